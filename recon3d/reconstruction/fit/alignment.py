"""The rotation axis, the drift of the sample and the edges of the light, by reprojection."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.projection.kernels import AnyFloats, FloatArray, shift_equations
from recon3d.projection.operator import Projector
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.completeness import find_support
from recon3d.reconstruction.fit.frames import predict_sum
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.model.scan_model import IlluminatedFrames, ScanModel, UnknownPixels
from recon3d.reconstruction.model.scanned import threshold_of
from recon3d.runtime.progress import bars_shown, track

logger = logging.getLogger(__name__)

ROUNDS = 8
PASSES = 3
STEPS_OF_OTHERS = 3
SETTLED_PIX = 0.03
"""Rounds of fitting and shifting, passes of each fit, steps of the projections that the shape was
not fitted to, and the change that ends the rounds."""

LEAST_TURN_DEG = 150.0
"""Range of ω below which an axis elsewhere and a drift look alike: there only the axis is moved,
and by the shape alone. From voxels it went .35 to .6 pixel off on planted scans of 90°."""

FEWEST = 6
"""Projections below which neither axis nor drift can be told."""

REWEIGHTINGS = 4
OUTLIER = 6.0
"""How often projections are weighed again, and beyond how many usual misfits one counts less."""

MOST_VOXELS = 40_000
MOST_PROJECTIONS = 72
"""More voxels than that are merged into larger ones, and the shape is fitted to no more
projections: it is known well enough to align by. All projections are aligned."""

EDGE_ROUNDS = 3
SHARE = 0.5
MARGIN_PIX = 2
"""How often the shape is fitted and edges are looked for, and where: in which share of the
projections, and how near to what is lit."""

DARK = 0.05
BRIGHT = 0.2
LEAST_LOST = 0.01
"""Share of the predicted counts up to which a line of pixels is dark; brightness of the line at
the edge, of the brightest one's, that no rim of a grain has; and what is lost at least."""

SHARP = 0.7
SHARP_PIX = 3
SHARP_FROM_PIX = 9 * SHARP_PIX
"""Brightness, as a share of the brightest line's, so many lines before the last lit one, from which
the light ends sharply; and of how many lit lines: every smaller grain ends as sharply."""

ALIKE_PIX = 1.5
FEWEST_ALIKE = 5
LEAST_RANGE_DEG = 12.0
"""Distance within which edges are the same one, how many projections must share it, and the range
of ω that they must span."""

SOFT_PIX = 3
"""How far from the edge a pixel must be to be fully lit."""

ONE_BIN = OrientationBins(np.zeros(1), np.zeros(1), np.zeros(1))


@dataclass(frozen=True)
class Alignment:
    """What `align` may change."""

    axis: bool  # move the rotation axis
    drift: bool  # let every projection have a displacement of its own

    @classmethod
    def of(cls, experiment: Experiment, model: ScanModel) -> Alignment:
        """What the settings leave open; the original's way, in the laboratory, has neither."""
        wanted = experiment.settings.align
        few = len(model.projections) < FEWEST
        if few or wanted == "none" or experiment.settings.frame == "lab":
            return cls(axis=False, drift=False)
        axis_open = experiment.detector.rotation_center_pix is None
        return cls(axis=axis_open, drift=wanted == "drift")

    @property
    def any(self) -> bool:
        """Whether anything may be changed."""
        return self.axis or self.drift


def align(model: ScanModel, points_um: FloatArray, volume: Volume, allowed: Alignment) -> ScanModel:
    """Find the rotation axis and the drift that reproject the grain onto the summed frames.

    The shape is fitted to the summed frames, and every projection shifted to where it fits best,
    until nothing moves. What a displacement of the whole sample would do is taken off them: it
    cannot be told from the grain being elsewhere. `points_um`: the voxels that may be grain.
    """
    points_um, voxel_um = coarser_points(points_um, volume, MOST_VOXELS)
    every, few = model.projections, model.thinned(MOST_PROJECTIONS)
    fit = _shape_fit(few, points_um, voxel_um)
    for round_ in track(range(ROUNDS), "alignment", unit="round"):
        fit.adopt(SummedScan.of(few))
        _fit_silently(fit, 1 if round_ else PASSES)
        few, change = _moved(few, fit, allowed)
        if change < SETTLED_PIX:
            break
    model = replace(few, projections=every)
    # A step brings a projection no more than a pixel nearer: those not seen so far need some.
    for _ in range(STEPS_OF_OTHERS if few.projections.size < every.size else 0):
        model, _ = _moved(model, fit, allowed)
    drift = model.drift_pix[model.projections] * model.pixels.size
    logger.info(
        "rotation axis at column %.2f, drift of the sample %.2f pixel (rms)",
        model.rotation_center,
        np.sqrt((drift**2).sum(axis=1).mean()),
    )
    return model


def fit_shape(
    model: ScanModel, points_um: FloatArray, voxel_um: tuple[float, ...]
) -> NDArray[np.float32]:
    """Fit the shape alone to the summed frames, whatever the orientations: (voxels, 1).

    An independent check of the shape that the orientation distributions add up to.
    """
    fit = _shape_fit(model, points_um, voxel_um)
    _fit_silently(fit, PASSES)
    return fit.volume


def _fit_silently(fit: IterativeFit, passes: int) -> None:
    with bars_shown(False):
        for _ in range(passes):
            fit.run_pass("shape")


def _shape_fit(
    model: ScanModel, points_um: FloatArray, voxel_um: tuple[float, ...]
) -> IterativeFit:
    return IterativeFit(
        SummedScan.of(model), ONE_BIN, points_um, voxel_um, threshold=threshold_of(model.store)
    )


def coarser_points(
    points_um: FloatArray, volume: Volume, at_most: int
) -> tuple[FloatArray, tuple[float, ...]]:
    """Merge voxels that may be grain into larger ones until there are few enough.

    Returns the centres of the larger voxels that hold any of them, and their edges.
    """
    merge = max(int(np.ceil((len(points_um) / at_most) ** (1 / 3))), 1)
    edges = merge * np.array(volume.voxel_um)
    corner = np.array(volume.position_um) - np.array(volume.size_um) / 2
    cells = np.unique(np.floor((points_um - corner) / edges), axis=0)
    return corner + (cells + 0.5) * edges, tuple(float(edge) for edge in edges)


def shift_model(model: ScanModel, shifts: FloatArray, allowed: Alignment) -> ScanModel:
    """Move axis and projections by the part of some shifts that is no displacement.

    `shifts`, (used projections, 2): (row, column) by which each projection ought to move.
    """
    used = model.projections
    wanted = model.drift_pix[used] + shifts
    maps = np.stack([model.affine(int(k))[:, :3] for k in used])
    # Unknowns: a displacement of the sample (three), and the column of the axis.
    design = np.concatenate([maps, np.zeros((len(used), 2, 1))], axis=2)
    design[:, 1, 3] = 1.0 if allowed.axis else 0.0
    trusted = ~np.isin(used, list(model.suspected))
    solution = _without_outliers(design, wanted, trusted)
    drift = np.zeros_like(model.drift_pix)
    turned_deg = np.ptp(model.store.omega_deg[used])
    if allowed.drift and (turned_deg >= LEAST_TURN_DEG or not allowed.axis):
        drift[used] = np.where(trusted[:, None], wanted - design @ solution, 0)
    column = model.geometry.centre_col_pix + (float(solution[3]) if allowed.axis else 0.0)
    return replace(model, geometry=replace(model.geometry, centre_col_pix=column), drift_pix=drift)


def _without_outliers(
    design: FloatArray, wanted: FloatArray, trusted: NDArray[np.bool_]
) -> FloatArray:
    """Least squares over the trusted projections, in which those that stand out count less."""
    weights = trusted.astype(float)
    solution = np.zeros(design.shape[2])
    for _ in range(REWEIGHTINGS):
        root = np.sqrt(weights)[:, None]
        rows, values = (design * root[..., None]).reshape(-1, 4), (wanted * root).ravel()
        solution = np.linalg.lstsq(rows, values, rcond=None)[0]
        misfit = np.linalg.norm(wanted - design @ solution, axis=1)
        usual = float(np.median(misfit[trusted])) if trusted.any() else 0.0
        weights = trusted * np.minimum(1, (OUTLIER * usual + 1e-6) / (misfit + 1e-9)) ** 2
    return solution


def best_shift(predicted: AnyFloats, measured: AnyFloats) -> FloatArray:
    """Shift (row, column) that brings one image closest to another, up to a pixel.

    One step of Gauss-Newton for the shift and a scale, in least squares.
    """
    # Three numbers from many pixels: the normal equations are exact enough, and quick.
    normal, right = shift_equations(predicted, measured)
    scale, row, col = np.linalg.lstsq(normal, right, rcond=None)[0]
    return np.clip([row / scale, col / scale], -1, 1) if scale > 0 else np.zeros(2)


def realign(model: ScanModel, voxels: OrientedVoxels, allowed: Alignment) -> ScanModel:
    """Shift axis and projections to where voxels of known orientations put the summed frames.

    Unlike `align` this knows which voxels a projection hides, so it is right where the
    instrument does not see every orientation at every ω. An axis of a short turn stays where
    `align` found it: there it follows what is wrong with the shape.
    """
    if allowed.axis and np.ptp(model.store.omega_deg[model.projections]) < LEAST_TURN_DEG:
        return model
    shifts = [
        best_shift(predict_sum(model, voxels, number), model.summed(number))
        for number in map(int, model.own)
    ]
    return shift_model(model, np.array(model.communicator.collect(shifts)), allowed)


def _moved(model: ScanModel, fit: IterativeFit, allowed: Alignment) -> tuple[ScanModel, float]:
    """Shift every projection to where the shape puts it; tell the largest change, in pixels."""
    shifts = []
    for number in map(int, model.own):
        predicted = fit.projector.image(fit.volume[:, 0], model.affine(number), model.image_shape)
        shifts.append(best_shift(predicted, model.summed(number)))
    moved = shift_model(model, np.array(model.communicator.collect(shifts)), allowed)
    change = np.abs(moved.drift_pix - model.drift_pix).max()
    change = max(change, abs(moved.geometry.centre_col_pix - model.geometry.centre_col_pix))
    return moved, float(model.communicator.agree(change))


def with_edges(model: ScanModel, points_um: FloatArray, volume: Volume) -> ScanModel:
    """The same scan, with all that lies beyond the edges of the illumination unknown.

    A grain that the other projections show goes on where the light ends: there the frames are dark
    though the shape predicts counts, or they end more sharply than a grain does. Where several
    projections, too far apart in ω to see the same facet edge on, end at the same column, what
    lies beyond it is not known.
    """
    support = find_support(model, points_um, SHARE, MARGIN_PIX)
    if not support.any() or len(model.projections) < 2 * FEWEST_ALIKE:
        return model
    points, voxel_um = coarser_points(points_um[support], volume, MOST_VOXELS)
    projector = Projector(points, voxel_um)
    for _ in range(EDGE_ROUNDS):
        shape = fit_shape(model.thinned(MOST_PROJECTIONS), points, voxel_um)
        own = [_ends(model, projector, shape[:, 0], int(k)) for k in model.own]
        omega_deg = model.store.omega_deg[model.projections]
        cut = _cut_at(model, _shared(np.array(model.communicator.collect(own)), omega_deg))
        if cut is model:
            break
        model = cut
    return model


def _ends(
    model: ScanModel, projector: Projector, shape: NDArray[np.float32], number: int
) -> FloatArray:
    """The columns, counted from either side, at which a projection ends though the grain does not.

    Infinite where it does not. Rows are not looked at: a facet across the rotation axis ends at the
    same row at every ω.
    """
    measured = replace(model, unknown=None).summed(number).astype(np.float64)
    predicted = projector.image(shape, model.affine(number), model.image_shape).astype(np.float64)
    profiles = np.stack([predicted.sum(axis=0), measured.sum(axis=0)])
    return np.array([_end(*profiles), _end(*profiles[:, ::-1])])


def _end(predicted: FloatArray, measured: FloatArray) -> float:
    """The last line before the far end of two profiles that is lit at least by half; or inf."""
    lit = np.flatnonzero(measured > DARK * measured.max())
    if lit.size <= SHARP_PIX or not predicted[lit].any():
        return np.inf
    inner = measured[lit[-1] - SHARP_PIX]
    sharp = lit.size >= SHARP_FROM_PIX and inner >= SHARP * measured.max()
    if not sharp and not _goes_on(predicted, measured, lit):
        return np.inf
    return float(np.flatnonzero(measured > inner / 2)[-1])


def _goes_on(predicted: FloatArray, measured: FloatArray, lit: NDArray[np.int64]) -> bool:
    """Whether a predicted profile goes on beyond the lit lines of the measured one."""
    predicted = measured[lit].sum() / predicted[lit].sum() * predicted
    beyond = [profile[::-1].cumsum()[::-1] for profile in (predicted, measured)]
    dark = beyond[1] < DARK * beyond[0]
    first = int(np.argmax(dark))
    bright = predicted[first] > BRIGHT * predicted.max()
    return bool(dark.any() and bright and beyond[0][first] > LEAST_LOST * beyond[0][0])


def _shared(ends: FloatArray, omega_deg: FloatArray) -> FloatArray:
    """Leave out the ends (projections, 2) that not enough projections share.

    An edge that most of them share is one of all.
    """
    places = np.where(np.isfinite(ends), ends, -1e9)
    near = np.abs(places[:, None] - places[None]) < ALIKE_PIX
    omega = omega_deg[:, None]
    last = np.where(near, omega, -np.inf).max(axis=1)
    first = np.where(near, omega, np.inf).min(axis=1)
    shared = (near.sum(axis=1) >= FEWEST_ALIKE) & (last - first >= LEAST_RANGE_DEG)
    shared &= np.isfinite(ends)
    ends = np.where(shared, ends, np.inf)
    return np.where(shared.mean(axis=0) > 0.5, np.median(ends, axis=0), ends)


def _cut_at(model: ScanModel, ends: FloatArray) -> ScanModel:
    """The scan with all unknown beyond some ends (projections, 2); itself if it is already."""
    rows, cols = model.image_shape
    unknown = model.unknown or UnknownPixels(
        np.zeros((rows, cols), bool), np.zeros((len(model.store.omega_deg), 2, 2), np.int64)
    )
    lit = np.tile(np.array([(0, 0), (rows, cols)]), (len(unknown.lit), 1, 1))
    of_used = lit[model.projections, :, 1]
    cut = np.isfinite(ends)
    last = np.where(cut, ends, 0).astype(np.int64) - SOFT_PIX
    of_used[:, 1] = np.where(cut[:, 0], last[:, 0] + 1, cols)
    of_used[:, 0] = np.where(cut[:, 1], cols - 1 - last[:, 1], 0)
    lit[model.projections, :, 1] = of_used
    if np.array_equal(lit, unknown.lit) or not (cut.any() or model.unknown):
        return model
    logger.info(
        "the illumination ends inside the grain in %d projections", int(cut.any(axis=1).sum())
    )
    return replace(model, unknown=replace(unknown, lit=lit))


class SummedScan(ScanModel):
    """A scan seen as one frame a projection, the sum, that every orientation lights alike."""

    @classmethod
    def of(cls, model: ScanModel) -> SummedScan:
        """The sums of a scan."""
        return cls(**{each.name: getattr(model, each.name) for each in fields(ScanModel)})

    def illuminated_frames(self, projection: int) -> IlluminatedFrames:
        """Summed frame of a projection, the only one."""
        return IlluminatedFrames(np.zeros(1, np.int64), self.summed(projection)[None])

    def weights(self, projection: int, bins: FloatArray) -> NDArray[np.float32]:  # noqa: ARG002
        """Ones, (1, bins)."""
        return np.ones((1, bins.shape[1]), np.float32)
