"""The grain by backprojection: in the sample frame, or at fixed laboratory angles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as morphology

from recon3d.progress import track
from recon3d.projection import kernels
from recon3d.projection.bins import OrientationBins
from recon3d.projection.cells import AT_A_TIME, View, add_views, cell_affine
from recon3d.projection.forward import FrameOperator
from recon3d.projection.operator import LitPixels, Projector
from recon3d.projection.peaks import local_peaks
from recon3d.reconstruction.model import ScanModel, orient
from recon3d.reconstruction.streaming import Frames, oriented_lit, read_ahead, read_lit

FloatArray = NDArray[np.float64]
FloatVolume = NDArray[np.float32]


@dataclass(frozen=True)
class VoxelPeaks:
    """What backprojection says of each voxel of the support.

    Parameters
    ----------
    intensity
        Sum of the orientation distribution around its peak.
    a_deg, b_deg
        Orientation; at fixed laboratory angles μ and γ from the middle of the scan.
    dtheta_deg
        Shift of the Bragg angle; 0 where strain was not scanned.
    spread_deg
        Root of the summed second moments around the peak.
    bins
        Number of the strongest bin, -1 where there is none.
    """

    intensity: FloatArray
    a_deg: FloatArray
    b_deg: FloatArray
    dtheta_deg: FloatArray
    spread_deg: FloatArray
    bins: NDArray[np.int64]


def find_support(
    model: ScanModel,
    points_um: FloatArray,
    share: float,
    margin_pix: int = 0,
    *,
    show_progress: bool = True,
) -> NDArray[np.bool_]:
    """Which points are lit, in any frame, in some share of the projections.

    Parameters
    ----------
    model
        The scan.
    points_um, shape (voxels, 3)
        Centres of the voxels.
    share
        Share of the projections, 0 to 1.
    margin_pix
        How far from a lit pixel still counts as lit.
    show_progress
        False for a silent run.

    Returns
    -------
    support, shape (voxels,)
    """
    hits = np.zeros(len(points_um), np.int32)
    seen = np.zeros_like(hits)
    any_frame = np.zeros(len(points_um), np.int64)
    disk = morphology.iterate_structure(morphology.generate_binary_structure(2, 1), margin_pix)
    for number in track(model.own, "support", unit="projection", show=show_progress):
        lit = orient(model.store.read_summed(number), model.detector) > 0
        pixels = LitPixels.from_mask(morphology.binary_dilation(lit, disk) if margin_pix else lit)
        images = np.ones((pixels.count + 1, 1), np.float32)
        images[-1] = 0
        affine = model.affine(number)
        kernels.count_lit(hits, seen, points_um, affine, pixels.lookup, images, any_frame)
    model.team.sum(hits)
    return hits >= share * len(model.projections)


def backproject_sample(
    model: ScanModel,
    bins: OrientationBins,
    points_um: FloatArray,
    *,
    cell_pix: int | None = None,
    description: str = "backprojection",
    show_progress: bool = True,
) -> FloatVolume:
    r"""Orientation distributions in the sample frame, :math:`\sum_ω P_ω^T I_ω W_ω`.

    Each bin is divided by how much of it the scan covered.

    Parameters
    ----------
    model
        The scan.
    bins
        The orientation bins.
    points_um, shape (voxels, 3)
        Centres of the voxels.
    cell_pix
        Edge of the cells of pixels of which a voxel takes the one that its centre falls on; None
        for the four pixels around its centre.
    description, show_progress
        For the progress bar.

    Returns
    -------
    volume, shape (voxels, bins)
    """
    return backproject_models(
        [model], [bins], points_um, description, show_progress, cell_pix=cell_pix
    )[0]


def backproject_models(
    models: Sequence[ScanModel],
    bins: Sequence[OrientationBins],
    points_um: FloatArray,
    description: str = "backprojection",
    show_progress: bool = True,
    *,
    cell_pix: int | None = None,
) -> list[FloatVolume]:
    """Backproject one scan with several turning laws, as `backproject_sample`, reading it once.

    Parameters
    ----------
    models
        The scan, with the same geometry and projections in all of them.
    bins
        The orientation bins for each of them.
    points_um, description, show_progress, cell_pix
        As in `backproject_sample`.

    Returns
    -------
    volumes
        For each of the models, (voxels, bins).
    """
    first = models[0]
    laws = [partial(model.weights, bins=kind) for model, kind in zip(models, bins, strict=True)]
    volumes = [np.zeros((len(points_um), kind.size), np.float32) for kind in bins]
    sums = list(zip(laws, volumes, strict=True))
    _add_projections(first, points_um, sums, cell_pix, description, show_progress)
    for law, volume in sums:
        coverage = np.zeros(volume.shape[1])
        for number in map(int, first.own):
            coverage += law(number).sum(axis=0)
        first.team.sum(coverage)
        first.team.sum(volume)
        # A bin that hardly any frame covered is not blown up by more than a factor of two.
        least = max(coverage.max() / 2, np.finfo(np.float32).tiny)
        volume /= np.maximum(coverage, least).astype(np.float32)
    return volumes


def backproject_laboratory(
    model: ScanModel, points_um: FloatArray, *, show_progress: bool = True
) -> FloatVolume:
    """Sum the nearest pixels over ω at fixed laboratory settings, as if tilts did not turn.

    The original's answer, kept for comparison: its orientation maps are wrong by more than
    the step wherever the grain's tilts turn with ω.

    Parameters
    ----------
    model
        The scan.
    points_um, shape (voxels, 3)
        Centres of the voxels.
    show_progress
        False for a silent run.

    Returns
    -------
    volume, shape (voxels, frames)
    """
    frames = model.store.shape[1]
    volume = np.zeros((len(points_um), frames), np.float32)
    each_its_own = np.eye(frames, dtype=np.float32)
    sums = [(lambda _: each_its_own, volume)]
    _add_projections(model, points_um, sums, 1, "backprojection", show_progress)
    model.team.sum(volume)
    return volume


def _add_projections(
    model: ScanModel,
    points_um: FloatArray,
    sums: Sequence[tuple[Callable[[int], Frames], FloatVolume]],
    cell_pix: int | None,
    description: str,
    show_progress: bool,
) -> None:
    """Add this process's projections to volumes, each by the weights of its own law."""
    across, together = (1, 1) if cell_pix is None else (cell_pix, AT_A_TIME)
    add = partial(_add_pixels if cell_pix is None else add_views, points_um)
    read = partial(read_lit, model, cell_pix=across)
    images = read_ahead(read, model.own, description, ahead=together, show_progress=show_progress)
    while group := list(islice(images, together)):
        affines = [cell_affine(model.affine(lit.projection), across) for lit in group]
        for law, volume in sums:
            weights = [law(lit.projection)[lit.numbers] for lit in group]
            views = [
                View(affine, lit.pixels, lit.images, shown)
                for affine, lit, shown in zip(affines, group, weights, strict=True)
            ]
            add(views, volume)


def _add_pixels(points_um: FloatArray, views: Sequence[View], volume: FloatVolume) -> None:
    """Add projections to a volume, the four pixels around each voxel, by their weights."""
    for view in views:
        operator = FrameOperator(Projector(points_um), view.affine, view.cells, view.weights)
        operator.adjoint(view.frames, volume)


def find_peaks(
    volume: FloatVolume,
    bins: OrientationBins,
    reach: int,
    columns: NDArray[np.int64] | None = None,
) -> VoxelPeaks:
    """Centre of mass of each voxel's orientation distribution around its strongest bin.

    Parameters
    ----------
    volume, shape (voxels, columns)
        Orientation distributions.
    bins
        The bins.
    reach
        Half-width of the window in bins; 0 for the strongest bin itself.
    columns
        Numbers of the bins that the distributions hold; all of them where None.
    """
    moments = np.zeros((len(volume), 5))
    peak_bins = np.full(len(volume), -1, np.int64)
    axes = np.zeros((3, max(bins.shape)))
    for row, axis in zip(axes, (bins.a_deg, bins.b_deg, bins.dtheta_deg), strict=True):
        row[: axis.size] = axis
    held = np.arange(bins.size) if columns is None else columns
    local_peaks(volume, held, np.array(bins.shape), axes, reach, moments, peak_bins)
    intensity, a, b, dtheta, spread = moments.T
    return VoxelPeaks(intensity, a, b, dtheta, spread, peak_bins)


def completeness(
    model: ScanModel,
    points_um: FloatArray,
    frame_of_bin: NDArray[np.int64],
    peak_bins: NDArray[np.int64],
    *,
    show_progress: bool = True,
) -> FloatVolume:
    """Share of the projections in which each voxel's own (μ, γ) frame is lit.

    Projections in which no frame was measured near the voxel's own setting do not count, but
    the share is never taken of fewer than half of all projections.

    Parameters
    ----------
    model
        The scan.
    points_um, shape (voxels, 3)
        Centres of the voxels.
    frame_of_bin, shape (projections, bins)
        The frame that belongs to each bin, for the projections that are used; -1 for none.
    peak_bins, shape (voxels,)
        The bin of each voxel; -1 for none.
    show_progress
        False for a silent run.
    """
    hits = np.zeros(len(points_um), np.int32)
    seen = np.zeros_like(hits)
    lit_of = read_ahead(
        lambda number: (number, *oriented_lit(model, number)),
        model.own,
        "completeness",
        show_progress=show_progress,
    )
    own_frames: list[NDArray[np.int64]] = model.team.share(frame_of_bin)
    for frame_of, (number, numbers, frames) in zip(own_frames, lit_of, strict=True):
        place = np.full(model.store.shape[1] + 1, -1)
        place[numbers], place[-1] = np.arange(numbers.size), -2
        own = np.where(peak_bins < 0, -2, place[frame_of[peak_bins]])
        kernels.count_lit_frames(hits, seen, points_um, model.affine(number), frames, own)
    model.team.sum(hits)
    model.team.sum(seen)
    return (hits / np.maximum(seen, len(model.projections) / 2)).astype(np.float32)
