"""The rotation axis and the drift of the sample, found by reprojection."""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.config.volume import Volume
from recon3d.projection.kernels import AnyFloats, FloatArray, shift_equations
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.projection_cache import relative
from recon3d.reconstruction.fit.widths import settings_in_place
from recon3d.reconstruction.model.scan_model import IlluminatedFrames, ScanModel
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
        SummedScan.of(model),
        ONE_BIN,
        points_um,
        voxel_um,
        threshold=threshold_of(model.store),
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


def sum_residuals(model: ScanModel, voxels: OrientedVoxels) -> FloatArray:
    """Misfit of the summed frames that a grain predicts, (used projections,).

    Root of the squared differences as a share of the measured sums, each projection scaled to meet
    them best.
    """
    residuals = [
        _misfit(predict_sum(model, voxels, number), model.summed(number))
        for number in map(int, model.own)
    ]
    return np.array(model.communicator.collect(residuals))


def predict_sum(model: ScanModel, voxels: OrientedVoxels, projection: int) -> AnyFloats:
    """Predict the summed frames of a projection, (rows, cols), up to their scale."""
    settings = settings_in_place(model, voxels, projection)
    return voxels.summed(settings, model.affine(projection), model.image_shape)


def _misfit(predicted: AnyFloats, measured: AnyFloats) -> float:
    """Root of squared differences as a share of the measured; the prediction scaled to them."""
    known = measured >= 0
    predicted, measured = predicted[known].astype(np.float64), measured[known].astype(np.float64)
    square = float((predicted**2).sum())
    scale = float((predicted * measured).sum()) / square if square > 0 else 0.0
    return float(relative(((scale * predicted - measured) ** 2).sum(), (measured**2).sum()))


def _moved(model: ScanModel, fit: IterativeFit, allowed: Alignment) -> tuple[ScanModel, float]:
    """Shift every projection to where the shape puts it; tell the largest change, in pixels."""
    moved = shift_model(model, _shifts(model, fit), allowed)
    change = np.abs(moved.drift_pix - model.drift_pix).max()
    change = max(change, abs(moved.geometry.centre_col_pix - model.geometry.centre_col_pix))
    return moved, float(model.communicator.agree(change))


def _shifts(model: ScanModel, fit: IterativeFit) -> FloatArray:
    """How far each measured sum lies from the reprojected shape."""
    shifts = []
    for number in map(int, model.own):
        predicted = fit.projector.image(fit.volume[:, 0], model.affine(number), model.image_shape)
        shifts.append(best_shift(predicted, model.summed(number)))
    return np.array(model.communicator.collect(shifts))


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
