"""From a cleaned scan and an experiment to a model: what was not given is found."""

from __future__ import annotations

import logging
from dataclasses import replace
from math import cbrt, ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.errors import warn
from recon3d.files.store import CleanedScan
from recon3d.projection.operator import voxel_centres_um
from recon3d.projection.weights import Acceptance, FrameSettings, Turning
from recon3d.reconstruction.fit.alignment import Alignment, align, with_edges
from recon3d.reconstruction.fit.backprojection import backproject_at_once
from recon3d.reconstruction.fit.completeness import find_support
from recon3d.reconstruction.model.checks import accepted_projections, require_plausible
from recon3d.reconstruction.model.scan_model import (
    ImagePixels,
    ScanModel,
    UnknownPixels,
    course_of,
    orient,
    projection_geometry,
)
from recon3d.reconstruction.model.scanned import (
    base_tilt_sense,
    effective_bins,
    fit_centre_of_mass,
    fit_turning,
    gamma_scanned,
    orientation_bins,
    setting_steps_deg,
    settings_of_frames,
    tells_drift,
    tells_handedness,
    two_theta_step_deg,
)
from recon3d.reconstruction.model.sizes import merged_volume
from recon3d.runtime.communicator import ALONE, Communicator

logger = logging.getLogger(__name__)

ROUNDS = 3
"""How often edges of the illumination are looked for, and the scan is aligned without them."""

MOST_ALIGNMENTS = 5
SETTLED_PIX = 0.1
"""How often a scan that the light cuts is aligned, unless its axis moves by less before."""

MOST_VOXELS = 150_000
"""Voxels of the whole volume that axis, edges and handedness are told from; more are merged."""

TRIAL_VOXELS = 3000
TRIAL_PROJECTIONS = 48
"""On how many voxels of the support and projections the two handednesses are tried."""

Evidence = dict[str, Any]
"""What was found from the data, and how well, for the record."""


def prepare(
    store: CleanedScan, experiment: Experiment, communicator: Communicator = ALONE
) -> tuple[ScanModel, Evidence]:
    """Find the rotation axis, the turning centre and the handedness, and say how they were found.

    Raises a ParameterError where what the experiment says lies far outside the scan.
    """
    require_plausible(store, experiment)
    volume = merged_volume(
        experiment.volume, ceil(cbrt(prod(experiment.volume.shape) / MOST_VOXELS))
    )
    points = voxel_centres_um(volume)
    first = build_model(store, experiment, experiment.settings.handedness or 1, communicator)
    first = with_dead_pixels(first)
    aligned = _align(first, experiment, volume)
    for _ in range(ROUNDS if experiment.settings.frame == "sample" else 0):
        cut = with_edges(aligned, points, volume)
        if cut is aligned:
            break
        aligned = _settled(cut, experiment, volume)
    column = aligned.rotation_center
    logger.info("rotation axis at column %.2f of the ROI", column)
    handedness, evidence = _handedness(aligned, experiment, points)
    model = _at_handedness(aligned, experiment, handedness)
    if np.isinf(model.acceptance.rolling_width_deg):
        warn(
            "γ was not scanned and no rolling_width is given: the instrument is taken as wide "
            "open in γ; a narrow one would hide voxels at some ω, and their shape would suffer"
        )
    turning = model.turning
    centre = (turning.centre_mu_deg, turning.centre_gamma_deg)
    logger.info("turning centre (μ_c, γ_c) = (%.4f°, %.4f°)", *centre)
    found = {"handedness": handedness, "base_tilt_sense": turning.base_tilt_sense}
    return model, evidence | found


def _align(model: ScanModel, experiment: Experiment, volume: Volume) -> ScanModel:
    """Refine axis and drift as far as the settings allow, from the grain in a volume."""
    allowed = Alignment.of(experiment, model)
    if not allowed.any:
        return model
    points = voxel_centres_um(volume)
    support = find_support(model, points, 0.75, 2)
    if not support.any():
        return model
    return align(model, points[support], volume, allowed)


def _settled(model: ScanModel, experiment: Experiment, volume: Volume) -> ScanModel:
    """Align a scan that the light cuts until its axis stays: the first one may be pixels off."""
    for _ in range(MOST_ALIGNMENTS):
        before = model.geometry.centre_col_pix
        model = _align(model, experiment, volume)
        if abs(model.geometry.centre_col_pix - before) < SETTLED_PIX:
            break
    return model


def _at_handedness(aligned: ScanModel, experiment: Experiment, handedness: int) -> ScanModel:
    """The model at one handedness, with the axis and the drift that were found before."""
    known = replace(experiment.detector, rotation_center_pix=aligned.rotation_center)
    known_at = replace(experiment, detector=known)
    cut = None if aligned.unknown is None else aligned.unknown.cut
    model = build_model(aligned.store, known_at, handedness, aligned.communicator, cut)
    return replace(
        model, geometry=aligned.geometry, drift_pix=aligned.drift_pix, unknown=aligned.unknown
    )


def build_model(
    store: CleanedScan,
    experiment: Experiment,
    handedness: int,
    communicator: Communicator = ALONE,
    cut: NDArray[np.bool_] | None = None,
) -> ScanModel:
    """The model of a scan at one handedness, with first estimates of axis and centre.

    `cut`, (projections,): which ones show a part of the grain only, as far as it is known.
    """
    given = experiment.settings
    used = accepted_projections(store, given.omega_exclude)
    theta = experiment.crystal.bragg_angle_deg
    settings = settings_of_frames(store, given.tilt_azimuth_deg, handedness, theta)
    steps = setting_steps_deg(store)
    sense = given.base_tilt_sense or base_tilt_sense(store, settings, theta)
    centre, drift = given.turning_center_deg, (0.0, 0.0)
    if centre is None:
        centre, drift = _turning_centre(store, settings, used, handedness, sense, cut)
    pixels = ImagePixels.of(store, experiment.detector)
    axis = _axis_column(store, experiment, pixels, used, communicator)
    model = ScanModel(
        store=store,
        detector=experiment.detector,
        geometry=projection_geometry(experiment, pixels, axis),
        settings=settings,
        turning=Turning(handedness, *centre, base_tilt_sense=sense),
        acceptance=Acceptance(
            given.rocking_width_deg or steps[0] / 2,
            given.rolling_width_deg or steps[1] / 2,
            given.two_theta_width_deg or two_theta_step_deg(store, settings) / 2,
        ),
        projections=used,
        drift_pix=np.zeros((len(store.omega_deg), 2)),
        communicator=communicator,
    )
    return model.drifted(drift)


def with_dead_pixels(model: ScanModel) -> ScanModel:
    """The model with the pixels that are dead in all projections unknown."""
    total = np.zeros(model.image_shape, np.float32)
    for number in map(int, model.own):
        total += model.summed(number)
    model.communicator.sum(total)
    unknown = UnknownPixels.of_total(total, len(model.store.omega_deg))
    if not unknown.dead.any():
        return model
    logger.info("%d pixels are dead", int(unknown.dead.sum()))
    return replace(model, unknown=unknown)


def _turning_centre(
    store: CleanedScan,
    settings: FrameSettings,
    used: NDArray[np.int64],
    handedness: int,
    sense: int,
    cut: NDArray[np.bool_] | None,
) -> tuple[tuple[float, float], tuple[float, float]]:
    """First estimates of (μ_c, γ_c) and of its drift, from the mean setting of every projection.

    What an edge of the light cuts off the grain changes with ω and looks like a drift, so only
    whole projections tell one, and the fit of the orientations where these are few.
    """
    whole = used if cut is None else used[~cut[used]]
    few = whole.size < used.size / 2
    used = used if few else whole
    of_used = FrameSettings(
        settings.mu_deg[used], settings.gamma_deg[used], settings.two_theta_deg[used]
    )
    fit = fit_turning(
        of_used,
        store.integrated[used],
        store.omega_deg[used],
        handedness,
        gamma_scanned=gamma_scanned(store),
        course=course_of(len(store.omega_deg))[used] if tells_drift(store) and not few else None,
    )
    # What the grain's mean strain adds to μ at every ω is no part of the centre.
    two_theta = np.nan_to_num(settings.two_theta_deg)
    shift = sense * float((two_theta * store.integrated).sum() / store.integrated.sum()) / 2
    drift = (fit.drift_mu_deg, fit.drift_gamma_deg)
    return (fit.centre_mu_deg - shift, fit.centre_gamma_deg), drift


def _axis_column(
    store: CleanedScan,
    experiment: Experiment,
    pixels: ImagePixels,
    used: NDArray[np.int64],
    communicator: Communicator,
) -> float:
    """Column of the rotation axis in the images: given, or a first estimate from their masses."""
    detector = experiment.detector
    if detector.rotation_center_pix is not None:
        return pixels.col_of(detector.rotation_center_pix)
    # One projection at a time: the sums of a large scan need not fit into memory.
    numbers = map(int, communicator.share(used))
    own = [orient(store.read_summed(k), detector).sum(axis=0, dtype=float) for k in numbers]
    profiles = np.stack(communicator.collect(own))
    cols, counts = np.arange(profiles.shape[1]), profiles.sum(axis=1)
    mean = np.where(counts > 0, profiles @ cols / np.maximum(counts, 1e-30), np.nan)
    axis = fit_centre_of_mass(store.omega_deg[used], np.stack([mean, mean], axis=1)).axis_pix
    return axis if np.isfinite(axis) else (cols.size - 1) / 2


def _handedness(
    aligned: ScanModel, experiment: Experiment, points_um: NDArray[np.float64]
) -> tuple[int, Evidence]:
    """The handedness that is given, or the one that gives the sharper maps, and what tells it."""
    given = experiment.settings.handedness
    if experiment.settings.frame == "lab" or not tells_handedness(aligned.store):
        # Nothing is turned in the laboratory; the other scans give a mirror image.
        return given or 1, {"handedness_from": "given" if given else "assumed"}
    sharpness = _sharpness(aligned, experiment, points_um)
    best = min(sharpness, key=lambda sign: sharpness[sign])
    logger.info(
        "handedness %+d: %.2f effective bins a voxel, %.2f at %+d",
        best,
        sharpness[best],
        sharpness[-best],
        -best,
    )
    return given or best, {
        "handedness_from": "given" if given else "sharpness",
        "effective_bins_plus": sharpness[1],
        "effective_bins_minus": sharpness[-1],
    }


def _sharpness(
    aligned: ScanModel, experiment: Experiment, points_um: NDArray[np.float64]
) -> dict[int, float]:
    """How many bins a voxel fills at either handedness, backprojected on some voxels."""
    inside = points_um[find_support(aligned, points_um, 0.5)]
    points = np.ascontiguousarray(inside[:: max(len(inside) // TRIAL_VOXELS, 1)])
    step_deg = min(setting_steps_deg(aligned.store))
    models = [
        _at_handedness(aligned, experiment, sign).thinned(TRIAL_PROJECTIONS) for sign in (1, -1)
    ]
    communicator = aligned.communicator
    bins = [communicator.agree(orientation_bins(model, step_deg)) for model in models]
    volumes = backproject_at_once(models, bins, points, "handedness")
    return communicator.agree(dict(zip((1, -1), map(effective_bins, volumes), strict=True)))
