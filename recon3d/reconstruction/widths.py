"""The instrument's widths, found from the data."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
from numpy.typing import NDArray

from recon3d.progress import track
from recon3d.projection.bins import OrientationBins
from recon3d.projection.weights import Acceptance
from recon3d.reconstruction.iterative import IterativeFit
from recon3d.reconstruction.model import ScanModel
from recon3d.volume import Volume

FloatArray = NDArray[np.float64]

logger = logging.getLogger(__name__)

TRIAL_PROJECTIONS = 12
TRIAL_VOXELS = 4000
TRIAL_PASSES = 4
FACTORS = (1.3, 1.1)
"""How much of the data a trial sees, and by which factors the widths are varied in turn."""


def estimate_widths(
    model: ScanModel,
    bins: OrientationBins,
    points_um: FloatArray,
    volume: Volume,
    threshold: float,
    free: tuple[str, ...],
    *,
    show_progress: bool = True,
) -> Acceptance:
    """Find the widths with which a short fit of coarse voxels leaves least unexplained.

    Too wide a width cannot follow the frames, and too narrow a one leaves gaps between the
    bins: the residual has its least near the truth.

    Parameters
    ----------
    model
        The scan with first estimates of the widths.
    bins
        The orientation bins.
    points_um, shape (voxels, 3)
        Centres of the voxels that may be grain.
    volume
        The volume that they are part of.
    threshold
        Counts up to which cleaning sets a pixel to zero.
    free
        Which of "rocking_width_deg", "rolling_width_deg" and "two_theta_width_deg" to find.
    show_progress
        False for a silent run.

    Returns
    -------
    acceptance
        The widths; those that are not free as they were.
    """
    trial = _fewer_projections(model)
    coarse, edges = coarser_points(points_um, volume, TRIAL_VOXELS)

    @cache
    def residual(acceptance: Acceptance) -> float:
        varied = replace(trial, acceptance=acceptance)
        # An update after every projection: a fit that has not settled favours narrow widths.
        fit = IterativeFit(varied, bins, coarse, edges, threshold=threshold, subset_size=1)
        for _ in range(TRIAL_PASSES):
            fit.run_pass("widths", show_progress=False)
        return fit.residuals[-1]

    best = model.acceptance
    rounds = [(name, factor) for factor in FACTORS for name in free]
    for name, factor in track(rounds, "widths", unit="trial", show=show_progress):
        best = descend(residual, best, name, factor)
    logger.info("%s", ", ".join(f"{name[:-4]} {getattr(best, name):.4f}°" for name in free))
    return best


def descend(
    residual: Callable[[Acceptance], float], start: Acceptance, name: str, factor: float
) -> Acceptance:
    """Vary one width by a factor, up or down, for as long as the residual falls.

    Parameters
    ----------
    residual
        What a set of widths leaves unexplained.
    start
        Where to begin.
    name
        The width to vary.
    factor
        Above 1.
    """
    best = start
    for step in (factor, 1 / factor):
        following = replace(best, **{name: getattr(best, name) * step})
        while residual(following) < residual(best):
            best = following
            following = replace(best, **{name: getattr(best, name) * step})
        if best != start:
            break
    return best


def coarser_points(
    points_um: FloatArray, volume: Volume, at_most: int
) -> tuple[FloatArray, tuple[float, ...]]:
    """Merge voxels into larger ones until there are few enough.

    Parameters
    ----------
    points_um, shape (voxels, 3)
        Centres of the voxels that may be grain.
    volume
        The volume that they are part of.
    at_most
        About how many to leave.

    Returns
    -------
    points_um
        Centres of the larger voxels that hold any of them.
    voxel_um
        Their edges.
    """
    merge = max(int(np.ceil((len(points_um) / at_most) ** (1 / 3))), 1)
    edges = merge * np.array(volume.voxel_um)
    corner = np.array(volume.position_um) - np.array(volume.size_um) / 2
    cells = np.unique(np.floor((points_um - corner) / edges), axis=0)
    return corner + (cells + 0.5) * edges, tuple(float(edge) for edge in edges)


def _fewer_projections(model: ScanModel) -> ScanModel:
    used = model.projections
    count = min(TRIAL_PROJECTIONS, len(used))
    return replace(model, projections=used[np.linspace(0, len(used) - 1, count).astype(int)])
