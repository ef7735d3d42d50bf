"""Doubts: sentences that say why a grain may be wrong, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels import FloatArray
from recon3d.reconstruction.fit.alignment import LEAST_TURN_DEG
from recon3d.reconstruction.fit.bending import bend_in_widths
from recon3d.reconstruction.fit.passes import CLEAR_SLOPE, slope_steps
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import (
    gamma_scanned,
    setting_steps_deg,
    tells_handedness,
    threshold_of,
)
from recon3d.reconstruction.quality.agreement import Evidence
from recon3d.reconstruction.task import Found

POOR_EXCESS = 0.35
"""Residual beyond counting noise above which the model does not describe the scan; good scans
have 0.1 to 0.15, absorption, small grains and broad tails up to 0.25."""

SHARPER = 0.97
"""A handedness is in doubt if the other one gives maps that fill fewer bins than this share."""

MOST_OF_SIGNAL = 0.45
"""Share of a bright pixel (about a third of the brightest one) from which binth cuts the grain: one
of .41 left it 2 % too small, with errors as claimed, and one of .48 left it 13 % too small."""

MOST_AT_THE_EDGE = 0.25
"""Intensity that the outermost settings of a scan may have, as a share of the strongest one."""

MOST_MISSING = (0.01, 0.2)
"""Share of the predicted intensity that may fall on dark pixels though far above the threshold:
of a large grain, and of one that is a pixel wide, whose rim is less well known."""

DRIFT_STEPS = (0.2, 0.5)
DRIFT_SIGMAS = 5.0
"""Drift of μ and of γ, in steps of the scan, and in standard errors, from which it is told: the
instrument is wider in γ."""

JUMP_PIX = 1.5
JUMP_TIMES = 4.0
"""Pixels by which the sample moves from one projection to the next, and how many times more than
from the ones beside them, from which it jumped: what is found elsewhere is smooth, or scatters."""

MOST_OUTLIERS = 0.4
"""Share of the squared differences that a few far too bright pixels may have."""

SECOND_ORIENTATIONS = ((0.15, 0.2), (0.08, 0.5))
"""Share of a voxel's intensity that makes a second orientation of it, and the share of the grain's
voxels that may have one: boundaries of subgrains have many, all voxels have weak ones only where
something is wrong."""

MOST_BENT = 1.9
"""Bend along the depth, in rocking widths, from which errors are claimed too small where γ was not
scanned: grains of up to 1.7 were right, and those of 2.1 to 2.6 wrong by 1.3 to 3 times as much."""

MOST_ASIDE = 0.1
"""Share of the projections that may be set aside without a doubt."""

STRANGE = 0.35
STRANGE_TIMES = 2.2
"""Residual of a projection, and how many times that of a typical one, of which the cause is not
the grain: wide voxels that line up with the rays leave less, and so does an edge of the beam."""

DEAD = 0.3
"""Share of what is predicted below which a column of pixels is dead."""

DIM_BRIGHT = ((4.0, -0.12), (12.0, -0.07))
"""Curvature of measured against predicted counts that saturation or extinction leaves, by the
brightness of the signal in thresholds: what is made dark below them bends it, too."""


@dataclass(frozen=True)
class Case:
    """All that is known for and against a grain."""

    found: Found
    record: dict[str, Any]  # how what was not given was found
    # what frames and predictions say of each other; None where nothing was fitted
    evidence: Evidence | None

    @property
    def model(self) -> ScanModel:
        """The scan."""
        return self.found.task.model


def doubts_of(case: Case) -> tuple[str, ...]:
    """Go through all checks and keep the sentences of those that find something."""
    evidence = case.evidence
    sentences = [check(case) for check in CHECKS]
    if evidence is not None:
        sentences += [check(case, evidence) for check in CHECKS_OF_FRAMES]
    told = tuple(sentence for sentence in sentences if sentence)
    if told or evidence is None or evidence.excess < POOR_EXCESS:
        return told
    return (
        f"the grain explains the frames poorly: residual {evidence.residual:.2f}, where "
        f"counting noise alone leaves {evidence.counting:.2f}; no single cause stands out: "
        "are M, rotation_center, turning_center and tilt_azimuth right?",
    )


def _handedness(case: Case) -> str | None:
    if case.found.task.experiment.settings.frame == "lab":
        return None
    how, store, h = (
        case.record.get("handedness_from"),
        case.model.store,
        case.model.turning.handedness,
    )
    if not tells_handedness(store):
        return (
            f"the handedness {h:+d} was {how}, and this scan ({store.kind}) cannot test it: with "
            "the other one orientations come out mirrored, at the same residual; scan μ and γ "
            "together once to know 'handedness'"
        )
    bins = {+1: case.record["effective_bins_plus"], -1: case.record["effective_bins_minus"]}
    if bins[-h] >= SHARPER * bins[h]:
        return None
    return (
        f"the handedness {h:+d} was {how}, but the scan says {-h:+d} (orientation maps fill "
        f"{bins[h]:.1f} bins a voxel, {bins[-h]:.1f} with the other): leave 'handedness' out"
    )


def _threshold(case: Case, evidence: Evidence) -> str | None:
    pixels, threshold = case.model.store.binning.pixels, threshold_of(case.model.store)
    signal = float(np.nanmedian(evidence.signal))
    if not threshold > MOST_OF_SIGNAL * signal:  # no signal at all is told elsewhere
        return None
    return (
        f"binth {threshold / pixels:g} is {threshold / signal:.0%} of a bright pixel "
        f"({signal / pixels:.0f} counts), so the grain's rim is cut off and the grain comes out "
        f"too small: clean with binth {signal / pixels / 4:.2g} if the background's noise allows it"
    )


def _range(case: Case) -> str | None:
    omega = case.model.store.omega_deg[case.model.projections]
    covered = float(np.ptp(omega) + np.median(np.diff(np.sort(omega)))) if omega.size > 1 else 360.0
    if covered >= LEAST_TURN_DEG:
        return None
    return (
        f"only {covered:.0f}° of ω: rotation axis, drift and the shape along the beam are not told "
        "apart well; scan 180°, or give rotation_center and align none"
    )


def _counts(case: Case) -> str | None:
    known = case.model.store.provenance
    if saturated := known.get("saturated_frames", 0):
        return (
            f"{saturated} frames are saturated: their brightest pixels are cut off, which shifts "
            "orientations towards the wings; expose shorter, or attenuate the beam"
        )
    if lost := known.get("lost_pixels", 0):
        return (
            f"{lost} counts passed 65535 and began again at 0, as 16 bits do: the brightest peaks "
            "are dark in their middle, which shifts orientations; expose shorter"
        )
    if wrapped := known.get("wrapped_pixels", 0):
        return (
            f"{wrapped} counts near 65535 were taken for negative ones that wrapped around in 16 "
            "bits; if they are true peaks the brightest pixels are lost: expose shorter"
        )
    return None


def _scanned_range(case: Case) -> str | None:
    """Intensity in the outermost settings: part of the grain lies beyond."""
    store = case.model.store
    shape = [axis.values_deg.size for axis in store.axes]
    if int(np.prod(shape)) != store.shape[1]:
        return None
    frames = store.integrated[case.model.projections].sum(axis=0).reshape(shape)
    cut = []
    for number, axis in enumerate(store.axes):
        profile = np.moveaxis(frames, number, 0).reshape(shape[number], -1).sum(axis=1)
        ends = max(profile[0], profile[-1]) / profile.max()
        if axis.name in ("mu", "gamma") and profile.size > 2 and ends > MOST_AT_THE_EDGE:
            cut.append(f"{axis.name} ends at {ends:.0%} of its strongest setting")
    if not cut:
        return None
    return (
        f"orientations reach past the scanned range ({', '.join(cut)}): voxels beyond it are "
        "missing or pulled inwards; scan a wider range"
    )


def _region(case: Case) -> str | None:
    """The grain at the border of the volume."""
    mask = case.found.task.fill(case.found.in_mask) > 0
    cut = ["xyz"[k] for k in range(3) if np.moveaxis(mask, k, 0)[[0, -1]].any()]
    if not (case.found.residual.size and cut):
        return None
    return (
        f"the grain reaches the border of the volume along {', '.join(cut)}: if it is cut off, "
        "enlarge grain_dim or move grain_pos"
    )


def _hidden(case: Case, evidence: Evidence) -> str | None:
    """Pixels that ought to be bright are dark: an edge of the beam, or of the region."""
    missing = evidence.missing
    volume_um3 = case.found.in_mask.sum() * np.prod(case.found.task.volume.voxel_um)
    width_pix = np.cbrt(volume_um3) / max(case.model.pixel_um)
    most = max(MOST_MISSING[0], MOST_MISSING[1] / max(width_pix, 1))
    where = (missing > most) & ~np.isin(evidence.projections, _strange(evidence))
    if where.sum() < 2:
        return None
    return (
        f"part of the grain is dark in {where.sum()} projections "
        f"({_span(case.model, evidence.projections[where])}; up to "
        f"{np.nanmax(missing[where]):.0%} of what is expected), and its "
        "shape is wrong there: the edge of the illumination or of the region of interest cuts it, "
        "pixels are dead, or the acceptance shifts across the field; widen them, or leave these "
        "projections out by omega_exclude"
    )


def _edges(case: Case) -> str | None:
    """Projections of which a part lies beyond the edge of the illumination."""
    model = case.model
    cut = np.zeros(1, bool) if model.unknown is None else model.unknown.cut[model.projections]
    if not cut.any():
        return None
    return (
        f"the illumination, or the region of interest, cuts the grain in {cut.sum()} of {cut.size} "
        f"projections ({_span(model, model.projections[cut])}): what lies beyond its edge "
        "was taken as unknown; where few others show it, shape and axis may be wrong: widen the "
        "beam, or move the grain to its middle"
    )


def _span(model: ScanModel, projections: NDArray[np.int64]) -> str:
    omega = [model.omega_deg(int(k)) for k in projections]
    return f"ω from {min(omega):.0f} to {max(omega):.0f}°"


def _jump(case: Case) -> str | None:
    """A sudden displacement of the sample, and calm on both sides of it."""
    model = case.model
    # No drift is taken from projections that were set aside.
    trusted = model.projections[~np.isin(model.projections, list(model.suspected))]
    drift = model.drift_pix[trusted] * model.pixels.size
    steps = np.linalg.norm(np.diff(drift, axis=0), axis=1)
    if steps.size < 5:
        return None
    # Where projections are left out between two, a steady drift takes as many steps in one.
    apart = np.diff(trusted)
    each = steps / apart
    calm = JUMP_TIMES * np.maximum(np.maximum(each[:-2], each[2:]), np.median(each))
    jumps = np.flatnonzero(steps[1:-1] > np.maximum(calm * apart[1:-1], JUMP_PIX)) + 1
    if not jumps.size:
        return None
    omega = [model.omega_deg(int(k)) for k in trusted]
    told = [
        f"by {steps[k]:.1f} pixels between ω = {omega[k]:.2f} and {omega[k + 1]:.2f}°"
        for k in jumps
    ]
    return (
        f"the sample jumped {', '.join(told)}: this was found and taken off, so the shape holds, "
        "but the grain's place lies between that before and that after; did something slip?"
    )


def _drift(case: Case, evidence: Evidence) -> str | None:
    """Trends of μ and γ over the scan that no tilt of a voxel turns with."""
    model = case.model
    omega = model.store.omega_deg[evidence.projections]
    if np.ptp(omega) < LEAST_TURN_DEG / 2 or _slope(case) or _two_orientations(case):
        return None
    steps, told = setting_steps_deg(model.store), []
    shifts = evidence.shift_deg.T
    for name, shift, step, least in zip("μγ", shifts, steps, DRIFT_STEPS, strict=True):
        drift, error = _trend(omega, shift)
        if np.isfinite(step) and abs(drift) > max(least * step, DRIFT_SIGMAS * error):
            told.append(f"{name}_c by {1e3 * abs(drift):.0f} mdeg")
    if told:
        return (
            f"the setting of the turning centre drifts over the scan ({', '.join(told)} at least): "
            "orientations are shifted by a part of that; was the optics still warming up, or did "
            "the sample creep?"
        )
    fitted = 1e3 * abs(model.centre_drift_deg[0])
    if not fitted or gamma_scanned(model.store):
        return None
    return (
        f"μ_c drifts by {fitted:.0f} mdeg over the scan, as far as μ alone tells, which takes "
        "a part of it for a tilt of the whole grain: misorientations hold, but all "
        "orientations may be off together; scan μ and γ, or let the optics warm up"
    )


def _trend(omega_deg: FloatArray, shift_deg: FloatArray) -> tuple[float, float]:
    """Linear change over the scan beside what turns with ω, and its standard error."""
    known = np.isfinite(shift_deg)
    if known.sum() < 8:
        return 0.0, np.inf
    omega = np.radians(omega_deg[known])
    course = np.linspace(-0.5, 0.5, known.sum())
    design = np.stack([np.ones_like(omega), np.cos(omega), np.sin(omega), course], axis=1)
    solution, *_ = np.linalg.lstsq(design, shift_deg[known], rcond=None)
    rest = shift_deg[known] - design @ solution
    covariance = np.linalg.pinv(design.T @ design) * (rest @ rest) / (known.sum() - 4)
    return float(solution[3]), float(np.sqrt(covariance[3, 3]))


def _strange(evidence: Evidence) -> NDArray[np.int64]:
    """Numbers of the projections that the grain explains far worse than the others."""
    residuals = evidence.residuals
    limit = max(STRANGE, STRANGE_TIMES * float(np.nanmedian(residuals)))
    return evidence.projections[residuals > limit]


def _slope(case: Case) -> str | None:
    """An acceptance in γ that moves over the image."""
    voxels = case.found.voxels
    if voxels is None or slope_steps(case.model, voxels) < CLEAR_SLOPE:
        return None
    slope = 100 * max(case.model.acceptance.slope_deg_per_pix, key=abs)
    return (
        f"the acceptance in γ moves over the image by {slope:.2g}° in 100 pixels: orientations are "
        "corrected for it, the shape is not, and what lies past the scanned range is missing on "
        "one side; align the objective, or scan a wider range of γ (a grain that is bent along the "
        "beam looks much alike: is it?)"
    )


def _bend(case: Case) -> str | None:
    """A strong bend along the depth, seen by μ alone."""
    voxels = case.found.voxels
    if voxels is None or gamma_scanned(case.model.store):
        return None
    bend = bend_in_widths(case.model, voxels)
    if bend < MOST_BENT:
        return None
    return (
        f"the grain is bent along its depth by {bend:.1f} rocking widths (standard deviation), and "
        "γ was not scanned: voxels behind each other are told apart by their shape alone, and "
        "orientations may be wrong by three times their errors; scan μ and γ"
    )


def _suspects(case: Case, evidence: Evidence) -> str | None:
    model, aside = case.model, sorted(case.model.suspected)
    if len(aside) > MOST_ASIDE * len(model.projections):
        return (
            f"{len(aside)} of {len(model.projections)} projections were set aside, because the "
            "grain does not explain them as it does the others (another grain passing, or the "
            f"beam lost?): ω = {_angles(model, aside)}°; the result rests on the others alone, and "
            "omega_exclude leaves these out for good"
        )
    strange = [k for k in _strange(evidence) if k not in model.suspected]
    if not strange:
        return None
    return (
        f"the grain does not explain the projections at ω = {_angles(model, strange)}° as it does "
        "the others (another grain passing, or the beam lost?): omega_exclude leaves them out"
    )


def _angles(model: ScanModel, projections: Sequence[int]) -> str:
    angles = ", ".join(f"{model.omega_deg(int(k)):.2f}" for k in projections)
    return f"{angles[:160]} ..." if len(angles) > 160 else angles


def _outliers(_: Case, evidence: Evidence) -> str | None:
    share = float(np.nanmedian(evidence.outliers))
    if share <= MOST_OUTLIERS:
        return None
    return (
        f"{share:.0%} of what the grain leaves unexplained is in single pixels that are far too "
        "bright: zingers or hot pixels that cleaning left, or another grain; try a lower "
        "hot_pixels limit or a mask of bad pixels"
    )


def _dead_columns(_: Case, evidence: Evidence) -> str | None:
    measured, predicted = evidence.columns
    known = predicted > 0.2 * predicted.max()
    ratio = measured / np.maximum(predicted, 1e-9)
    around = np.median(ratio[known]) if known.any() else 1.0
    dead = np.flatnonzero(known & (ratio < DEAD * around))
    if not dead.size:
        return None
    return (
        f"columns {', '.join(map(str, dead[:8]))} of the images hold hardly anything of what the "
        "grain predicts there: dead columns, or the edge of the illumination; give a mask of bad "
        "pixels, or widen the beam"
    )


def _two_orientations(case: Case) -> str | None:
    second = case.found.second_share
    if second is None or not case.found.in_mask.any():
        return None
    if not tells_handedness(case.model.store) or _slope(case):
        return None  # where one tilt was scanned, distributions are wide until they are refined
    inside = second[case.found.in_mask]
    shares = [(float((inside > counts).mean()), most) for counts, most in SECOND_ORIENTATIONS]
    share = next((share for share, most in shares if share > most), None)
    if share is None:
        return None
    return (
        f"{share:.0%} of the voxels hold a second orientation: a and b are those of the stronger "
        "one; is the voxel larger than the subgrains, or does another grain overlap?"
    )


def _extinction(case: Case, evidence: Evidence) -> str | None:
    threshold = threshold_of(case.model.store)
    curvature, signal = (float(np.nanmedian(one)) for one in (evidence.curvature, evidence.signal))
    if not any(signal > bright * threshold and curvature < dim for bright, dim in DIM_BRIGHT):
        return None
    return (
        f"bright pixels hold less than their share (curvature {curvature:.2f}): extinction in the "
        "crystal or a detector that saturates; the shape is rounder and occupancy lower inside"
    )


CHECKS: tuple[Callable[[Case], str | None], ...] = (
    _handedness, _range, _counts, _scanned_range, _region, _edges, _jump, _slope, _bend,
    _two_orientations,
)  # fmt: skip
CHECKS_OF_FRAMES: tuple[Callable[[Case, Evidence], str | None], ...] = (
    _threshold, _hidden, _drift, _suspects, _outliers, _dead_columns, _extinction,
)  # fmt: skip
"""Each names one cause, in words that end with what to do; the last ones hold frames against what
the grain predicts."""
