"""The grain from the odd and from the even projections, to see how far it can be trusted."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.reconstruction.backprojection import VoxelPeaks
from recon3d.reconstruction.model import ScanModel
from recon3d.reconstruction.support import cut_occupancy
from recon3d.reconstruction.trust import (
    ShellCorrelation,
    fourier_shell_correlation,
    orientation_precision_mdeg,
)
from recon3d.volume import Volume

logger = logging.getLogger(__name__)

FitOne = Callable[[ScanModel], tuple[NDArray[np.float32], VoxelPeaks]]


@dataclass(frozen=True)
class HalvesResult:
    """How well two halves of the data agree.

    Parameters
    ----------
    shells
        Fourier shell correlation of the two occupancies; it gives the spatial resolution.
    precision_mdeg
        Median distance of their orientations, the predicted error of the whole.
    """

    shells: ShellCorrelation
    precision_mdeg: float


def compare_halves(
    model: ScanModel,
    fit_one: FitOne,
    inside: NDArray[np.int64],
    in_mask: NDArray[np.bool_],
    volume: Volume,
) -> HalvesResult:
    """Reconstruct from every other projection, twice, and compare.

    Parameters
    ----------
    model
        The scan.
    fit_one
        Gives the intensities and the peaks of the support's voxels for one half.
    inside, shape (voxels,)
        Numbers of the support's voxels in the volume.
    in_mask, shape (voxels,)
        Which of them belong to the grain.
    volume
        The voxels.
    """
    occupancies, orientations = [], []
    for start in (0, 1):
        intensity, peaks = fit_one(replace(model, projections=model.projections[start::2]))
        occupancy, _ = cut_occupancy(intensity, inside, volume.shape)
        full = np.zeros(volume.shape)
        full.reshape(-1)[inside] = occupancy
        occupancies.append(full)
        orientations.append(np.stack([peaks.a_deg, peaks.b_deg], axis=-1)[in_mask])
    shells = fourier_shell_correlation(occupancies[0], occupancies[1], volume)
    precision = orientation_precision_mdeg(orientations[0], orientations[1])
    logger.info(
        "two halves: resolution %.0f nm, orientations to %.2f mdeg",
        shells.resolution_nm,
        precision,
    )
    return HalvesResult(shells, precision)
