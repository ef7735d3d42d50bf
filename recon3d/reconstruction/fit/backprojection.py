"""The grain by backprojection: in the sample frame, or at fixed laboratory angles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, islice

import numba
import numpy as np
from numpy.typing import NDArray

from recon3d.projection.cells import AT_A_TIME, Rooms, View, add_views, cell_affine
from recon3d.projection.kernels import FloatArray, Frames
from recon3d.projection.operator import FrameOperator, Projector
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.completeness import (
    IlluminatedBits,
    IlluminatedCells,
    read_illuminated,
)
from recon3d.reconstruction.fit.frames import read_ahead
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.runtime.compiled import in_parts, njit

FloatVolume = NDArray[np.float32]
Law = Callable[[int], Frames]


@dataclass(frozen=True)
class VoxelPeaks:
    """What backprojection says of each voxel of the support."""

    intensity: FloatArray  # sum of the orientation distribution around its peak
    a_deg: FloatArray  # at fixed laboratory angles μ from the middle of the scan, as b_deg is γ
    b_deg: FloatArray
    dtheta_deg: FloatArray  # 0 where strain was not scanned
    spread_deg: FloatArray  # root of the summed second moments around the peak
    bins: NDArray[np.int64]  # number of the strongest bin, -1 where there is none


def backproject_sample(
    model: ScanModel,
    bins: OrientationBins,
    points_um: FloatArray,
    *,
    cell_pix: int | None = None,
    illuminated: IlluminatedBits | None = None,
) -> FloatVolume:
    r"""Distributions in the sample frame, :math:`\sum_ω P_ω^T I_ω W_ω`: (voxels, bins).

    Each bin is divided by how much of it the scan covered. `cell_pix`: edge of the cells of pixels
    of which a voxel takes the one that its centre falls on; None for the four pixels around its
    centre.
    """
    images = _images(model, cell_pix, illuminated, "backprojection")
    return _in_the_sample([model], [bins], points_um, images, cell_pix)[0]


def backproject_at_once(
    models: Sequence[ScanModel],
    bins: Sequence[OrientationBins],
    points_um: FloatArray,
    description: str,
) -> list[FloatVolume]:
    """Backproject one scan with several turning laws, as `backproject_sample`, reading it once.

    The models have the same geometry and projections; each has bins of its own.
    """
    images = _images(models[0], None, None, description)
    return _in_the_sample(models, bins, points_um, images, None)


def backproject_laboratory(
    model: ScanModel, points_um: FloatArray, *, illuminated: IlluminatedBits | None = None
) -> FloatVolume:
    """Sum the nearest pixels over ω at fixed laboratory settings, as if tilts did not turn.

    The original's answer, (voxels, frames), kept for comparison: its orientation maps are wrong by
    more than the step wherever the grain's tilts turn with ω.
    """
    frames = model.store.shape[1]
    volume = np.zeros((len(points_um), frames), np.float32)
    each_its_own = np.eye(frames, dtype=np.float32)
    images = _images(model, 1, illuminated, "backprojection")
    _add_projections(model, points_um, [(lambda _: each_its_own, volume)], images, 1)
    model.communicator.sum(volume)
    return volume


def _images(
    model: ScanModel, cell_pix: int | None, illuminated: IlluminatedBits | None, description: str
) -> Iterator[list[IlluminatedCells]]:
    """Read this process's projections, as many at a time as are worked on, and as many ahead.

    What was given is overwritten when the next ones are asked for.
    """
    rooms, together = Rooms(), 1 if cell_pix is None else AT_A_TIME
    read = partial(read_illuminated, model, cell_pix=cell_pix or 1, bits=illuminated, rooms=rooms)
    readers = numba.get_num_threads()
    images = read_ahead(read, model.own, description, ahead=together, readers=readers)
    while group := list(islice(images, together)):
        yield group
        for one in group:
            rooms.take_back(one.images)


def _in_the_sample(
    models: Sequence[ScanModel],
    bins: Sequence[OrientationBins],
    points_um: FloatArray,
    images: Iterator[list[IlluminatedCells]],
    cell_pix: int | None,
) -> list[FloatVolume]:
    """Backproject images by the turning law of each model, bins divided by their coverage."""
    # What follows takes one thread: have the readers begin, which go on meanwhile.
    images = chain(list(islice(images, 1)), images)
    # Written to by one thread: zeros that the threads below would be the first to touch cost more.
    volumes = [np.full((len(points_um), kind.size), 0, np.float32) for kind in bins]
    laws = [_divided(model, kind) for model, kind in zip(models, bins, strict=True)]
    _add_projections(models[0], points_um, list(zip(laws, volumes, strict=True)), images, cell_pix)
    for volume in volumes:
        models[0].communicator.sum(volume)
    return volumes


def _divided(model: ScanModel, bins: OrientationBins) -> Law:
    """The turning law of a model, each bin's weights divided by how much the scan covered of it."""
    coverage, centres = np.zeros(bins.size), bins.centres_deg()
    for number in map(int, model.own):
        coverage += model.weights(number, centres).sum(axis=0)
    model.communicator.sum(coverage)
    # A bin that hardly any frame covered is not blown up by more than a factor of two.
    least = max(coverage.max() / 2, np.finfo(np.float32).tiny)
    share = (1 / np.maximum(coverage, least)).astype(np.float32)
    return lambda number: model.weights(number, centres) * share


def _add_projections(
    model: ScanModel,
    points_um: FloatArray,
    sums: Sequence[tuple[Law, FloatVolume]],
    images: Iterator[list[IlluminatedCells]],
    cell_pix: int | None,
) -> None:
    """Add images to volumes, each by the weights of its own law."""
    add = partial(_add_pixels if cell_pix is None else add_views, Projector(points_um))
    for group in images:
        affines = [cell_affine(model.affine(one.projection), cell_pix or 1) for one in group]
        for law, volume in sums:
            weights = [law(one.projection)[one.numbers] for one in group]
            views = [
                View(affine, one.cells, one.images, shown)
                for affine, one, shown in zip(affines, group, weights, strict=True)
            ]
            add(views, volume)


def _add_pixels(projector: Projector, views: Sequence[View], volume: FloatVolume) -> None:
    """Add projections to a volume, the four pixels around each voxel, by their weights."""
    for view in views:
        operator = FrameOperator(projector, view.affine, view.cells, view.weights)
        operator.adjoint(view.frames, volume)


def find_peaks(
    volume: FloatVolume, bins: OrientationBins, reach: int, columns: NDArray[np.int64] | None = None
) -> VoxelPeaks:
    """Centre of mass of each voxel's orientation distribution around its strongest bin.

    `volume`, (voxels, columns): the distributions. `reach`: half-width of the window in bins; 0 for
    the strongest bin itself. `columns`: numbers of the bins that they hold; all of them where None.
    """
    moments = np.zeros((len(volume), 5))
    peak_bins = np.full(len(volume), -1, np.int64)
    axes = np.zeros((3, max(bins.shape)))
    for row, axis in zip(axes, (bins.a_deg, bins.b_deg, bins.dtheta_deg), strict=True):
        row[: axis.size] = axis
    held = np.arange(bins.size) if columns is None else columns
    given = volume, held, np.array(bins.shape), axes, reach, moments, peak_bins
    in_parts(local_peaks, len(volume), *given)
    intensity, a, b, dtheta, spread = moments.T
    return VoxelPeaks(intensity, a, b, dtheta, spread, peak_bins)


@njit(cache=True, nogil=True)
def local_peaks(start, stop, volume, columns, shape, axes, reach, moments, peak_bins):  # type: ignore[no-untyped-def]
    """Centre of mass and second moment around the strongest bin of each voxel, from `start` on.

    The lowest value of the window, `reach` bins to either side, is taken off as background, so that
    what other voxels smear over all bins does not pull the centre to the middle of the window; with
    a reach of 0 it is the strongest bin itself.

    `columns`: numbers of the bins of `volume`, (voxels, columns), in C order over `shape`; all
    other bins are empty. `axes`, (3, longest axis): bin centres. `moments`, (voxels, 5), is filled
    with the sum in the window, mean a, b and Δθ, and the root of the summed second moments of a and
    b; `peak_bins` with the strongest bin, -1 for a voxel without intensity.
    """
    n_a, n_b, n_t = shape
    column_of = np.full(n_a * n_b * n_t, -1)
    for column in range(columns.size):  # an assignment of arrays takes 3 s to compile
        column_of[columns[column]] = column
    for voxel in range(start, stop):
        values = volume[voxel]
        strongest = _strongest(values)
        if not values[strongest] > 0:
            peak_bins[voxel] = -1
            continue
        peak = columns[strongest]
        peak_bins[voxel] = peak
        i, j, k = peak // (n_b * n_t), peak // n_t % n_b, peak % n_t
        a0, a1 = max(i - reach, 0), min(i + reach + 1, n_a)
        b0, b1 = max(j - reach, 0), min(j + reach + 1, n_b)
        t0, t1 = max(k - reach, 0), min(k + reach + 1, n_t)
        floor = values[strongest]
        if reach == 0:
            floor *= 0
        for a in range(a0, a1):
            for b in range(b0, b1):
                for t in range(t0, t1):
                    floor = min(floor, _held(values, column_of[(a * n_b + b) * n_t + t]))
        total = mean_a = mean_b = mean_t = square = 0.0
        for a in range(a0, a1):
            for b in range(b0, b1):
                for t in range(t0, t1):
                    weight = float(_held(values, column_of[(a * n_b + b) * n_t + t]) - floor)
                    total += weight
                    mean_a += weight * axes[0, a]
                    mean_b += weight * axes[1, b]
                    mean_t += weight * axes[2, t]
                    square += weight * (axes[0, a] ** 2 + axes[1, b] ** 2)
        if not total > 0:
            # A window as flat as its floor has no centre but its strongest bin.
            total, mean_a, mean_b, mean_t = 1.0, axes[0, i], axes[1, j], axes[2, k]
            square = mean_a**2 + mean_b**2
        moments[voxel, 0] = total
        moments[voxel, 1] = mean_a / total
        moments[voxel, 2] = mean_b / total
        moments[voxel, 3] = mean_t / total
        variance = square / total - (mean_a**2 + mean_b**2) / total**2
        moments[voxel, 4] = np.sqrt(max(variance, 0.0))


@njit(cache=True)
def _strongest(values):  # type: ignore[no-untyped-def]
    """Place of the first of the largest of single-precision values; quicker than `argmax`.

    Positive ones are in order as their bits are, of which a processor compares many at a time.
    """
    bits = values.view(np.int32)
    largest, place = bits[0], 0
    for i in range(bits.size):
        largest = max(largest, bits[i])
    while bits[place] != largest:
        place += 1
    return place


@njit(inline="always")
def _held(values, column):  # type: ignore[no-untyped-def]
    """Value of a column; 0 where the bin has none (-1)."""
    return values[column] if column >= 0 else values.dtype.type(0)
