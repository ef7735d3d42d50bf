"""What a fit says of itself: how well it predicts the data, and how well two halves agree."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import Recon3DWarning
from recon3d.projection.oriented import OrientedVoxels
from recon3d.reconstruction.backprojection import VoxelPeaks
from recon3d.reconstruction.fitting import HALF_PASSES, Task, run_fit
from recon3d.reconstruction.halves import compare_halves
from recon3d.reconstruction.iterative import IterativeFit
from recon3d.reconstruction.model import ScanModel
from recon3d.reconstruction.quality import dice
from recon3d.reconstruction.refine import fit_shape, sum_residuals
from recon3d.reconstruction.scanned import threshold_of
from recon3d.reconstruction.squares import relative
from recon3d.reconstruction.support import SupportResult, cut_occupancy
from recon3d.reconstruction.trust import suspects


def with_agreement(
    result: SupportResult, fit: IterativeFit, voxels: OrientedVoxels
) -> SupportResult:
    """Add how well each projection and each pixel is predicted, and which ones stand out.

    Parameters
    ----------
    result
        What was found.
    fit
        The fit that it comes from.
    voxels
        The grain as voxels of one orientation each, whose summed frames are compared too.
    """
    model = result.model
    of_sums = sum_residuals(model, voxels)
    strange = suspects(fit.projection_residuals)
    _warn_of_suspects(model, strange)
    return replace(
        result,
        projections=result.projections
        | {
            "residual": fit.projection_residuals,
            "sum_residual": of_sums,
            "suspect": strange.astype(float),
        },
        images=result.images | {"residual": relative(*np.moveaxis(fit.pixel_sums, -1, 0))},
        found=result.found | {"sum_residual": float(np.median(of_sums))},
    )


def with_trust(
    result: SupportResult, task: Task, columns: NDArray[np.int64] | None = None
) -> SupportResult:
    """Add what two halves of the data, and the summed frames alone, say of the result.

    Parameters
    ----------
    result
        What was found from all the data.
    task
        How it was found.
    columns
        Numbers of the orientation bins that the whole fills, which is where its halves are
        looked for; all of them where None.
    """
    passes = min(HALF_PASSES, task.experiment.settings.iterations)

    def fit_one(model: ScanModel) -> tuple[NDArray[np.float32], VoxelPeaks]:
        odd = int(model.projections[0] != result.model.projections[0])
        stage = f"half-{odd + 1}"
        fit = run_fit(model, task, "half", passes=passes, stage=stage, columns=columns)
        return fit.volume.sum(axis=1), task.polished(fit, "half polish").peaks

    model, volume = result.model, task.experiment.volume
    halves = compare_halves(model, fit_one, result.inside, result.in_mask, volume)
    points, threshold = task.support.points_um, threshold_of(model.store)
    shape = fit_shape(model, points, volume.voxel_um, threshold)[:, 0]
    _, in_shape = cut_occupancy(shape, result.inside, volume.shape)
    shells = halves.shells
    return replace(
        result,
        curves={
            "fsc_frequency": shells.frequency_per_um,
            "fsc": shells.correlation,
            "fsc_threshold": shells.threshold,
        },
        found=result.found
        | {
            "resolution_nm": shells.resolution_nm,
            "precision_mdeg": halves.precision_mdeg,
            "shape_check_dice": dice(in_shape, result.in_mask),
        },
    )


def _warn_of_suspects(model: ScanModel, strange: NDArray[np.bool_]) -> None:
    if strange.any():
        angles = ", ".join(f"{model.omega_deg(int(k)):.2f}" for k in model.projections[strange])
        warnings.warn(
            f"the grain does not explain the projections at ω = {angles}° as it does the others "
            "(another grain passing, or the beam lost?): omega_exclude leaves them out",
            Recon3DWarning,
            stacklevel=2,
        )
