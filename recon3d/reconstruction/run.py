"""The reconstruction of a grain from a cleaned scan, from end to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.experiment import Experiment
from recon3d.io.grain import Grain
from recon3d.io.store import CleanedScan
from recon3d.projection.bins import OrientationBins
from recon3d.reconstruction.backprojection import (
    VoxelPeaks,
    backproject_laboratory,
    backproject_sample,
    completeness,
    find_peaks,
    frames_of_bins,
)
from recon3d.reconstruction.model import orientation_bins, setting_steps_deg
from recon3d.reconstruction.prepare import Prepared, prepare


def reconstruct(
    clean: CleanedScan,
    experiment: Experiment,
    *,
    memory_gib: float = 1.0,
    show_progress: bool = True,
) -> Grain:
    """Reconstruct the grain: its shape, and the orientation of every voxel.

    Parameters
    ----------
    clean
        The cleaned scan, from `recon3d.clean` or `recon3d.open_store`.
    experiment
        Crystal, detector, volume and settings.
    memory_gib
        What the orientation distributions may take at a time; a larger volume is worked on
        in parts.
    show_progress
        False for a silent run.

    Returns
    -------
    grain
        Occupancy, mask, orientation, spread and completeness of every voxel.

    Raises
    ------
    DataError
        No voxel of the volume is lit in half of the projections.
    """
    prepared = prepare(clean, experiment, show_progress=show_progress)
    inside = np.flatnonzero(prepared.support)
    if inside.size == 0:
        raise DataError(
            f"{clean.path}: no voxel of the volume is lit in half of the projections: are "
            "grain_pos, grain_dim, M and rotation_center those of this scan?"
        )
    points = prepared.points_um[inside]
    method = _laboratory if experiment.settings.frame == "lab" else _sample
    peaks, share, found = method(prepared, experiment, points, memory_gib, show_progress)
    return _grain(experiment, inside, peaks, share, prepared.evidence | found)


Found = tuple[VoxelPeaks, NDArray[np.float32], dict[str, Any]]


def _sample(
    prepared: Prepared,
    experiment: Experiment,
    points_um: NDArray[np.float64],
    memory_gib: float,
    show_progress: bool,
) -> Found:
    """Peaks and completeness in the sample frame."""
    model = prepared.model
    step = experiment.settings.bin_deg or prepared.step_deg / 2
    bins = orientation_bins(model, step)
    # One step of the scan to each side: what the local centre of mass is taken over.
    reach = max(round(prepared.step_deg / step), 1)
    peaks = _in_parts(
        points_um,
        bins.size,
        memory_gib,
        lambda part: find_peaks(
            backproject_sample(model, bins, part, show_progress=show_progress), bins, reach
        ),
    )
    steps = setting_steps_deg(model.store)
    # A setting more than this from every frame lies outside the scan.
    reach_deg = (0.75 * steps[0], 0.75 * steps[1], np.inf)
    frames = frames_of_bins(model, bins, reach_deg)
    share = completeness(model, points_um, frames, peaks.bins, show_progress=show_progress)
    acceptance = model.acceptance
    return (
        peaks,
        share,
        {
            "bin_size": step,
            "rocking_width": acceptance.rocking_width_deg,
            "rolling_width": acceptance.rolling_width_deg,
        },
    )


def _laboratory(
    prepared: Prepared,
    experiment: Experiment,  # noqa: ARG001 (the same call as _sample)
    points_um: NDArray[np.float64],
    memory_gib: float,
    show_progress: bool,
) -> Found:
    """Peaks and completeness at fixed laboratory settings, which are the bins."""
    model = prepared.model
    axes = [axis.values_deg for axis in model.store.axes] + [np.zeros(1)] * 2
    middle = [axis - (axis.max() + axis.min()) / 2 for axis in axes]
    bins = OrientationBins(middle[0], middle[1], middle[2])
    peaks = _in_parts(
        points_um,
        bins.size,
        memory_gib,
        lambda part: find_peaks(
            backproject_laboratory(model, part, show_progress=show_progress), bins, reach=0
        ),
    )
    same = np.tile(np.arange(bins.size), (len(model.projections), 1))
    share = completeness(model, points_um, same, peaks.bins, show_progress=show_progress)
    return peaks, share, {}


def _in_parts(points_um, bins, memory_gib, peaks_of):  # type: ignore[no-untyped-def]
    """Work on as many voxels at a time as their distributions fit into memory."""
    at_a_time = max(int(memory_gib * 2**30 / (4 * bins)), 1)
    parts = [
        peaks_of(points_um[start : start + at_a_time])
        for start in range(0, len(points_um), at_a_time)
    ]
    return VoxelPeaks(
        *(
            np.concatenate([getattr(part, name) for part in parts])
            for name in VoxelPeaks.__dataclass_fields__
        )
    )


def _grain(
    experiment: Experiment,
    inside: NDArray[np.int64],
    peaks: VoxelPeaks,
    share: NDArray[np.float32],
    found: dict[str, Any],
) -> Grain:
    """Spread the voxels of the support over the whole volume."""
    shape = experiment.volume.shape
    in_mask = share >= experiment.settings.completeness_cutoff
    typical = np.median(peaks.intensity[in_mask]) if in_mask.any() else peaks.intensity.max()

    def fill(values: NDArray[Any], empty: float) -> NDArray[np.float32]:
        volume = np.full(shape, empty, np.float32)
        volume.reshape(-1)[inside] = values
        return volume

    kept = np.where(in_mask, 1.0, np.nan)
    orientation = [fill(values * kept, np.nan) for values in (peaks.a_deg, peaks.b_deg)]
    settings = replace(experiment.settings)
    return Grain(
        volume=experiment.volume,
        occupancy=fill(peaks.intensity / typical, 0),
        mask=fill(in_mask, 0) > 0,
        orientation=np.stack(orientation, axis=-1),
        orientation_spread=fill(peaks.spread_deg * kept, np.nan),
        completeness=fill(share, 0),
        strain=None,
        residual=np.zeros(0),
        provenance={
            "method": settings.method,
            "frame": settings.frame,
            "completeness_cutoff": settings.completeness_cutoff,
            **experiment.source,
            **found,
        },
    )
