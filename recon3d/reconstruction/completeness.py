"""Where the grain can be, and how complete its voxels are: both told by which pixels are lit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage as morphology

from recon3d.progress import track
from recon3d.projection.lit_bits import DARK, UNMEASURED, count_lit, pack
from recon3d.reconstruction.lit import LitBits
from recon3d.reconstruction.model import ScanModel, orient
from recon3d.reconstruction.streaming import read_ahead

FloatArray = NDArray[np.float64]


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
    the_sum, alike = np.zeros(1, np.int64), np.zeros(len(points_um), np.int64)
    cols = model.image_shape[1]
    disk = morphology.iterate_structure(morphology.generate_binary_structure(2, 1), margin_pix)
    for number in track(model.own, "support", unit="projection", show=show_progress):
        lit = orient(model.store.read_summed(number), model.detector) > 0
        bits = pack(morphology.binary_dilation(lit, disk) if margin_pix else lit)
        count_lit(hits, seen, points_um, model.affine(number), bits[None], cols, the_sum, alike)
    model.team.sum(hits)
    return hits >= share * len(model.projections)


def completeness(
    model: ScanModel,
    points_um: FloatArray,
    frame_of_bin: NDArray[np.int64],
    peak_bins: NDArray[np.int64],
    *,
    bits: LitBits | None = None,
    show_progress: bool = True,
) -> NDArray[np.float32]:
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
    bits
        What was kept of the frames when they were read before.
    show_progress
        False for a silent run.
    """
    hits = np.zeros(len(points_um), np.int32)
    seen = np.zeros_like(hits)
    lit_of = read_ahead(
        (bits or LitBits(model)).of, model.own, "completeness", show_progress=show_progress
    )
    shape = model.image_shape
    own_frames: list[NDArray[np.int64]] = model.team.share(frame_of_bin)
    for number, frame_of, (numbers, packed) in zip(model.own, own_frames, lit_of, strict=True):
        place = np.full(model.store.shape[1] + 1, DARK)
        place[numbers], place[-1] = np.arange(numbers.size), UNMEASURED
        affine = model.affine(int(number))
        count_lit(hits, seen, points_um, affine, packed, shape[1], place[frame_of], peak_bins)
    model.team.sum(hits)
    model.team.sum(seen)
    return (hits / np.maximum(seen, len(model.projections) / 2)).astype(np.float32)
