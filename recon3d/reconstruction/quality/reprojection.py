"""The frames that a reconstructed grain would give, to hold against the measured ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan, open_store
from recon3d.projection.operator import IlluminatedPixels, Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.build import build_model, with_dead_pixels
from recon3d.reconstruction.model.scan_model import ScanModel, UnknownPixels


def model_of(grain: Grain, store: CleanedScan, experiment: Experiment) -> ScanModel:
    """The model with which a grain was reconstructed; its provenance says what was found."""
    found = grain.provenance
    for key in ("rotation_center", "turning_center", "handedness"):
        if key not in found:
            raise ParameterError(
                f"the grain does not say its {key}, with which it can be compared with its frames: "
                "was it made by recon3d.reconstruct?"
            )
    detector = replace(experiment.detector, rotation_center_pix=float(found["rotation_center"]))
    mu, gamma = (float(value) for value in found["turning_center"])
    given = replace(experiment, detector=detector).with_settings(turning_center_deg=(mu, gamma))
    model = with_dead_pixels(build_model(store, given, int(found["handedness"])))
    slope = np.multiply(found.get("acceptance_slope", (0, 0)), model.pixels.size)
    keys = ("rocking_width", "rolling_width", "two_theta_width")
    widths = {f"{key}_deg": float(found[key]) for key in keys if key in found}
    slopes = (float(slope[0]), float(slope[1]))
    acceptance = replace(model.acceptance, slope_deg_per_pix=slopes, **widths)
    model = replace(model, acceptance=acceptance)
    by_mu, by_gamma = (float(value) for value in found.get("turning_center_drift", (0, 0)))
    model = model.drifted((by_mu, by_gamma))
    drift = np.zeros_like(model.drift_pix)
    if "drift" in grain.projections:
        drift[model.projections] = grain.projections["drift"] / model.pixels.size
    return _lit_as(grain, replace(model, drift_pix=drift))


def _lit_as(grain: Grain, model: ScanModel) -> ScanModel:
    """The model with what lay beyond the edges of the light, as they were found, unknown."""
    if "lit" not in grain.projections:
        return model
    unknown = model.unknown or UnknownPixels.of_total(
        np.zeros(model.image_shape, np.float32), len(model.store.omega_deg)
    )
    lit = unknown.lit.copy()
    edges = (grain.projections["lit"] - model.pixels.corner) / model.pixels.size
    # A pixel of which some part is not lit is not known.
    begin, end = np.ceil(edges[:, 0] - 1e-6), np.floor(edges[:, 1] + 1e-6)
    lit[model.projections] = np.stack([begin, end], axis=1)
    return replace(model, unknown=replace(unknown, lit=lit))


def voxels_of(grain: Grain, inside: NDArray[np.int64]) -> OrientedVoxels:
    """Some voxels of a grain, by their numbers in its volume, at their own orientations."""
    points = np.ascontiguousarray(voxel_centres_um(grain.volume)[inside])
    a, b = grain.orientation.reshape(-1, 2)[inside].T.astype(float)
    strength = grain.occupancy.reshape(-1)[inside].astype(float)
    orientations = np.stack([a, b, np.zeros_like(a)])
    return OrientedVoxels(Projector(points, grain.volume.voxel_um), orientations, strength)


def reproject(grain: Grain, model: ScanModel, projection: int) -> NDArray[np.float32]:
    """Predict the frames, (frames, rows, cols), of one projection from a grain.

    Every voxel of the mask lights the frames that its own orientation meets, as strongly as its
    occupancy; the counts are scaled to the total of the measured projection, over those pixels that
    are known. Beyond an edge of the light it is what a wider beam would give.
    """
    voxels = voxels_of(grain, np.flatnonzero(grain.mask))
    measured = model.frames(projection)
    pixels = IlluminatedPixels.from_mask(np.ones(measured.shape[1:], bool))
    settings = model.scaled_settings(projection, voxels.orientations)
    images = voxels.frames(settings, model.affine(projection), pixels)
    frames = images[:-1].T.reshape(measured.shape)
    known = np.ones(measured.shape[1:], bool)
    if model.unknown is not None:
        known = ~model.unknown.of(projection)
    total = frames[:, known].sum(dtype=np.float64)
    counts = measured[:, known].sum(dtype=np.float64)
    return frames * np.float32(counts / total) if total > 0 else frames


def find_model(
    grain: Grain,
    grain_path: Path | None,
    scan: Path | None = None,
    ini: Path | None = None,
) -> ScanModel:
    """Open the scan of a grain, with the model with which it was reconstructed.

    What the grain recorded of its run stands in for an .ini file, and scan.h5 is looked for beside
    its file, where these are not given. A ParameterError says that the run was not recorded, or
    where the scan was looked for.
    """
    if scan is None and grain_path is not None:
        scan = grain_path.parent / "scan.h5"
    if scan is None or not scan.is_file():
        where = "nowhere (the grain has no file)" if scan is None else f"at {scan}"
        raise ParameterError(f"no cleaned scan was found: looked for it {where}; --scan names it")
    if grain.provenance.get("frame") == "lab":
        raise ParameterError("a grain at fixed laboratory angles cannot be reprojected")
    return model_of(grain, open_store(scan), experiment_of(grain, ini))


def experiment_of(grain: Grain, ini: Path | None = None) -> Experiment:
    """The experiment of a grain, from an .ini file or from what the grain recorded.

    Raises a ParameterError where the record lacks a key.
    """
    if ini is not None:
        return Experiment.from_ini(ini)
    try:
        return Experiment.from_record(grain.provenance)
    except ParameterError as error:
        raise ParameterError(
            f"the grain's record of its run: {error}; --ini names a file"
        ) from None
