"""A grain beside its frames: the frames that it would give, and what they say of one voxel.

Summed frames go to other tomography programs with their geometry.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d import __version__
from recon3d.config.experiment import Experiment
from recon3d.errors import DataError, ParameterError
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import create_own
from recon3d.files.store import CleanedScan, open_store
from recon3d.projection.kernels import FloatArray
from recon3d.projection.operator import IlluminatedPixels, Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.build import build_model, with_dead_pixels
from recon3d.reconstruction.fit.frames import settings_in_place
from recon3d.reconstruction.model.scan_model import ScanModel, UnknownPixels, orient
from recon3d.reconstruction.model.scanned import orientation_bins, setting_steps_deg


def model_of(grain: Grain, store: CleanedScan, experiment: Experiment) -> ScanModel:
    """The model with which a grain was reconstructed; its provenance says what was found.

    Raises a ParameterError where the scan is another, or the run was not recorded.
    """
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
    model = build_model(store, given, int(found["handedness"]))
    _require_own(grain, store, store.omega_deg[model.projections])
    model = with_dead_pixels(model)
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


def _require_own(grain: Grain, store: CleanedScan, omega_deg: FloatArray) -> None:
    """Refuse another scan than the grain's: the axis and the drift that were found are not its."""
    own_roi, own_omega = vars(store.roi).values(), omega_deg
    roi, omega = grain.provenance.get("roi", own_roi), grain.projections.get("omega", own_omega)
    of_grain, of_scan = _in_words(omega, *roi), _in_words(own_omega, *own_roi)
    if of_grain != of_scan:
        raise ParameterError(
            f"{store.path}: is not the scan that the grain was made from: it has {of_scan}, the "
            f"grain {of_grain}. Was getdata run again, or is omega_exclude another? Reconstruct "
            "anew, or name the right scan"
        )


def _in_words(omega_deg: FloatArray, row: int, col: int, rows: int, cols: int) -> str:
    return (
        f"{len(omega_deg)} projections from ω = {omega_deg[0]:.2f} to {omega_deg[-1]:.2f}°, "
        f"{rows} x {cols} pixels from row {row}, column {col}"
    )


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


def voxels_of(grain: Grain, inside: NDArray[np.int64], theta_deg: float) -> OrientedVoxels:
    """Some voxels of a grain, by their numbers in its volume, at their own orientation and strain.

    `theta_deg`: the Bragg angle of the grain without strain.
    """
    points = np.ascontiguousarray(voxel_centres_um(grain.volume)[inside])
    a, b = grain.orientation.reshape(-1, 2)[inside].T.astype(float)
    strength = grain.occupancy.reshape(-1)[inside].astype(float)
    strain = np.zeros(grain.mask.size) if grain.strain is None else grain.strain.reshape(-1)
    dtheta = -np.degrees(np.tan(np.radians(theta_deg)) * strain[inside].astype(float))
    orientations = np.stack([a, b, dtheta])
    return OrientedVoxels(Projector(points, grain.volume.voxel_um), orientations, strength)


def reproject(grain: Grain, model: ScanModel, projection: int) -> NDArray[np.float32]:
    """Predict the frames, (frames, rows, cols), of one projection from a grain.

    Every voxel of the mask lights the frames that its own orientation meets, as strongly as its
    occupancy; the counts are scaled to the total of the measured projection, over those pixels that
    are known. Beyond an edge of the light it is what a wider beam would give.
    """
    voxels = voxels_of(grain, np.flatnonzero(grain.mask), model.geometry.theta_deg)
    measured = model.frames(projection)
    pixels = IlluminatedPixels.from_mask(np.ones(measured.shape[1:], bool))
    settings = settings_in_place(model, voxels, projection)
    images = voxels.frames(settings, model.affine(projection), pixels)
    frames = images[:-1].T.reshape(measured.shape)
    known = np.ones(measured.shape[1:], bool)
    if model.unknown is not None:
        known = ~model.unknown.of(projection)
    total = frames[:, known].sum(dtype=np.float64)
    counts = measured[:, known].sum(dtype=np.float64)
    return frames * np.float32(counts / total) if total > 0 else frames


def find_model(
    grain: Grain, grain_path: Path | None, scan: Path | None = None, ini: Path | None = None
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


def voxel_bins(model: ScanModel) -> OrientationBins:
    """Bins of half a step for the distribution of one voxel."""
    return orientation_bins(model, min(setting_steps_deg(model.store)) / 2)


@dataclass(frozen=True, eq=False)
class VoxelEvidence:
    """The frames seen from one voxel."""

    bins: OrientationBins
    # (a, b): backprojected counts of every tilt, divided by how often it was covered
    tilts: FloatArray
    omega_deg: FloatArray  # rotation angles so far
    # (projections, frames) where the voxel falls; NaN where it misses the detector
    counts: FloatArray

    @property
    def mean_deg(self) -> tuple[float, float]:
        """Centre of mass (a, b) of the brighter half of the map; NaN where it is dark."""
        weights = np.maximum(self.tilts - 0.5 * self.tilts.max(), 0)
        total = float(weights.sum())
        if total <= 0:
            return (np.nan, np.nan)
        a = float(weights.sum(axis=1) @ self.bins.a_deg) / total
        return a, float(weights.sum(axis=0) @ self.bins.b_deg) / total


def look_at_voxel(
    model: ScanModel, bins: OrientationBins, point_um: tuple[float, float, float]
) -> Iterator[VoxelEvidence]:
    r"""Backproject the pixels on which one voxel lands, :math:`\sum_ω I_ω W_ω`, step by step.

    `point_um`: centre of the voxel, in sample axes. Yields what the projections so far say; after
    the last one, what all say.
    """
    sums, coverage = np.zeros(bins.size), np.zeros(bins.size)
    counts: list[FloatArray] = []
    omega: list[float] = []
    centres = bins.centres_deg()
    for number in map(int, model.projections):
        weights = model.weights(number, centres)
        counts.append(pixel_counts(model, number, place_of(model, number, point_um)))
        omega.append(model.omega_deg(number))
        sums += np.nan_to_num(counts[-1]) @ weights
        coverage += weights.sum(axis=0)
        # As in the backprojection of a grain: a bin hardly covered is not blown up.
        share = sums / np.maximum(coverage, max(coverage.max() / 2, 1e-9))
        tilts = share.reshape(bins.shape).sum(axis=2)
        yield VoxelEvidence(bins, tilts, np.array(omega), np.stack(counts))


def place_of(
    model: ScanModel, projection: int, point_um: tuple[float, float, float]
) -> tuple[float, float]:
    """Row and column, in oriented images, on which a point of the sample lands."""
    row, col = model.affine(projection) @ (*point_um, 1.0)
    return float(row), float(col)


def pixel_counts(model: ScanModel, projection: int, place: tuple[float, float]) -> FloatArray:
    """Counts of every frame of a projection at a place between pixels, (frames,).

    Only the four pixels around it are read. Those outside the image count as dark; where all
    are, the counts are NaN.
    """
    store = model.store
    rows, cols = store.shape[2:]
    numbers = orient(np.arange(rows * cols, dtype=np.float32).reshape(rows, cols), model.detector)
    corner = np.floor(place).astype(int)
    part = np.asarray(place) - corner
    if not (-1 < place[0] < numbers.shape[0] and -1 < place[1] < numbers.shape[1]):
        return np.full(store.shape[1], np.nan)
    counts = np.zeros(store.shape[1])
    for step in product((0, 1), repeat=2):
        row, col = corner + step
        if not (0 <= row < numbers.shape[0] and 0 <= col < numbers.shape[1]):
            continue
        share = np.prod(np.where(step, part, 1 - part))
        counts += share * store.read_pixel(projection, *divmod(int(numbers[row, col]), cols))
    if not np.isfinite(counts).all():
        raise DataError(f"{store.path}: projection {projection} holds counts that are no numbers")
    return counts


def parallel_vectors(affine: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Describe a projection as ASTRA's `parallel3d_vec` geometry does: 12 numbers.

    Direction of the ray, centre of the detector, step to the next column and to the next row, in µm
    along the sample axes x, y, z. (van Aarle et al. 2016, Opt. Express 24, 25129). `affine`: map
    from sample to (row, column) of an image of some shape.
    """
    row, col = affine[:, :3]
    ray = np.cross(row, col)
    ray /= np.linalg.norm(ray)
    # Steps on a detector that stands across the ray: each changes one coordinate by one.
    steps = np.linalg.pinv(affine[:, :3])
    middle = (np.array(shape) - 1) / 2
    centre = steps @ (middle - affine[:, 3])
    return np.concatenate([ray, centre, steps[:, 1], steps[:, 0]])


def export_sums(model: ScanModel, path: str | Path) -> None:
    """Write the summed frames of every used projection and where they were seen from, to HDF5.

    The file has `sums` (projections, rows, cols), `omega`, `vectors` (projections, 12) as
    `parallel_vectors` gives them, drift included, and `affine` (projections, 2, 4). It appears when
    it is complete.
    """
    used = [int(k) for k in model.projections]
    shape = model.image_shape
    affine = np.stack([model.affine(k) for k in used])
    room_bytes = 4 * len(used) * shape[0] * shape[1]
    with create_own(path, room_bytes) as file:
        file.attrs["_written_by"] = f"recon3d {__version__}"
        chunks = (1, *shape)
        sums = file.create_dataset("sums", (len(used), *shape), "f4", chunks=chunks, shuffle=True)
        for place, number in enumerate(used):
            sums[place] = model.summed(number)
        file["omega"] = model.store.omega_deg[used]
        file["omega"].attrs["units"] = "degree"
        file["affine"] = affine
        file["vectors"] = np.stack([parallel_vectors(one, shape) for one in affine])
        file["vectors"].attrs["units"] = "um"
