r"""From orientation distributions f to the frames I of one projection, and back.

.. math::
    I_ω[pixel, frame] = \sum_{bin} (P_ω f)[pixel, bin] \, W_ω[frame, bin], \qquad
    (P_ω f)[pixel, bin] = \sum_{voxel} p_ω[pixel, voxel] \, f[voxel, bin]

`Projector` is P_ω, `FrameOperator` the whole of it; the adjoints of both are exact. The weights
p_ω are bilinear around the place on which a voxel's centre falls. A voxel larger than a pixel
casts a footprint of more pixels: `spread` is that footprint, a symmetric convolution of the
image, so it is its own adjoint and commutes with the weights W.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import convolve1d, maximum_filter1d
from scipy.spatial import ConvexHull, QhullError

from recon3d.config.volume import Volume
from recon3d.projection import kernels
from recon3d.projection.kernels import AnyFloats, FloatArray
from recon3d.projection.weights import BinRuns

ALL = slice(None)

MOST_BYTES = 1 << 28
"""Memory that the images of the orientation bins may take at a time."""

LEAST_OUTSIDE = 1e-6
"""Share of a voxel outside of an image that is more than rounding."""


@dataclass(frozen=True)
class IlluminatedPixels:
    """The pixels of a projection that are worked on."""

    # (rows + 2, cols + 2): number of each pixel, `count` for those left out, as the border is
    lookup: NDArray[np.int32]
    count: int  # how many pixels there are

    @classmethod
    def from_mask(cls, mask: NDArray[np.bool_]) -> IlluminatedPixels:
        """Number the pixels that are true in an image of shape (rows, cols)."""
        count = int(np.count_nonzero(mask))
        lookup = np.full((mask.shape[0] + 2, mask.shape[1] + 2), count, np.int32)
        lookup[1:-1, 1:-1][mask] = np.arange(count)
        return cls(lookup, count)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Which pixels of the image, of shape (rows, cols), are worked on."""
        return self.lookup[1:-1, 1:-1] < self.count

    @cached_property
    def places(self) -> NDArray[np.int64]:
        """Row and column of each pixel, of shape (count, 2)."""
        return np.argwhere(self.mask)

    @cached_property
    def row_starts(self) -> NDArray[np.int64]:
        """Number of the first pixel of each row, and of one row more, of shape (rows + 1,)."""
        return np.concatenate([[0], np.cumsum(np.count_nonzero(self.mask, axis=1))])

    @cached_property
    def _in_border(self) -> NDArray[np.int64]:
        """Where each pixel is in a flat image with a border of one pixel, of shape (count,)."""
        return np.flatnonzero(self.lookup.reshape(-1) < self.count)

    def lay_out(self, values: AnyFloats) -> AnyFloats:
        """Lay values (pixels + 1, 1) out as an image with a border, (rows + 2, cols + 2)."""
        image = np.zeros(self.lookup.shape, values.dtype)
        image.reshape(-1)[self._in_border] = values[:-1, 0]
        return image

    def take_up(self, image: AnyFloats, values: AnyFloats) -> None:
        """Fill values (pixels + 1, 1) from an image with a border: the reverse of `lay_out`."""
        values[:-1, 0] = image.reshape(-1).take(self._in_border)

    def gather(
        self, frames: AnyFloats, numbers: NDArray[np.int64] | None = None, count: int | None = None
    ) -> AnyFloats:
        """Pick the pixels out of frames: (frames, rows, cols) to (pixels + 1, frames).

        The last row is zero: it stands for all other pixels. `numbers`, `count`: which of how many
        frames they are, where the others are dark.
        """
        columns = np.arange(len(frames)) if numbers is None else numbers
        picked = np.zeros((self.count + 1, count or len(frames)), frames.dtype)
        kernels.pick(picked, frames, self.places, columns)
        return picked


@dataclass(frozen=True)
class Projector:
    """Projects values of voxels, with their centres (voxels, 3), onto the detector, and back.

    `voxel_um`: edges of a voxel, for its footprint; zeros for points.
    """

    points_um: NDArray[np.float64]
    voxel_um: tuple[float, ...] = (0.0, 0.0, 0.0)

    def forward(
        self,
        volume: AnyFloats | BinRuns,
        affine: FloatArray,
        pixels: IlluminatedPixels,
        bins: slice = ALL,
        out: AnyFloats | None = None,
    ) -> AnyFloats:
        """Project a volume, P_ω f: (pixels + 1, bins), the last row zero.

        `volume`: f, (voxels, bins), C-contiguous, or in runs of bins. `affine`: map from sample to
        detector at ω. `out`: overwritten with the images and returned.
        """
        if not isinstance(volume, BinRuns) and volume.shape[1] == 1:
            image = np.zeros((pixels.count + 1, 1), volume.dtype)
            bordered = self._project_image(volume[:, 0], affine, pixels.lookup.shape)
            pixels.take_up(bordered, image)
            return image
        runs = volume if isinstance(volume, BinRuns) else BinRuns.whole(volume)
        first, stop, _ = bins.indices(runs.bins)
        images = (
            np.empty((pixels.count + 1, stop - first), runs.values.dtype) if out is None else out
        )
        images[...] = 0
        of_voxels = (runs.values, runs.starts, runs.firsts, self.points_um)
        lanes = numba.get_num_threads()
        kernels.project(*of_voxels, affine, pixels.lookup, images, first, lanes)
        images[-1] = 0
        return images

    def image(self, values: AnyFloats, affine: FloatArray, shape: tuple[int, ...]) -> AnyFloats:
        """Project one value a voxel onto a whole image (rows, cols), footprint included."""
        rows, cols = shape
        bordered = self._project_image(values, affine, (rows + 2, cols + 2))
        return _convolved(bordered[1:-1, 1:-1], *self.footprint(affine))

    def _project_image(
        self, values: AnyFloats, affine: FloatArray, shape: tuple[int, ...]
    ) -> AnyFloats:
        """Project one value a voxel onto an image whose border of one pixel is not to be kept."""
        bordered = np.zeros((numba.get_num_threads(), *shape), values.dtype)
        kernels.project_image(values, self.columns_um, affine, bordered)
        return bordered.sum(axis=0)

    def adjoint(
        self,
        images: AnyFloats,
        affine: FloatArray,
        pixels: IlluminatedPixels,
        out: AnyFloats | BinRuns,
        bins: slice = ALL,
    ) -> None:
        """Add the backprojection of images, (pixels + 1, bins), to a volume, out += P_ωᵀ images.

        The last row of the images is zero. `affine`: map from sample to detector at ω. `out`:
        (voxels, all bins), C-contiguous, or in runs of bins, outside of which nothing is added.
        """
        if not isinstance(out, BinRuns) and out.shape[1] == 1:
            image, lanes = pixels.lay_out(images), numba.get_num_threads()
            kernels.backproject_image(out[:, 0], self.columns_um, affine, image, lanes)
            return
        runs = out if isinstance(out, BinRuns) else BinRuns.whole(out)
        first, _, _ = bins.indices(runs.bins)
        of_voxels = (runs.values, runs.starts, runs.firsts, self.points_um)
        kernels.backproject(*of_voxels, affine, pixels.lookup, images, first)

    def lend(self, rows: int, cols: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        """Lend an array, (rows, cols), whose memory every loan of that type shares.

        Fresh memory takes the system longer to provide than the loops to fill, and several times as
        long where threads ask for it at once: so it is written to here.
        """
        kept = self._lent.get(dtype)
        if kept is None or kept.size < rows * cols:
            # With some to spare: the next projections may light a few pixels more.
            kept = self._lent[dtype] = np.full(rows * cols * 9 // 8, 0, dtype)
        return kept[: rows * cols].reshape(rows, cols)

    @cached_property
    def _lent(self) -> dict[np.dtype[Any], NDArray[Any]]:
        return {}

    @cached_property
    def columns_um(self) -> NDArray[np.float64]:
        """The centres with each coordinate by itself, (3, voxels)."""
        return np.ascontiguousarray(self.points_um.T)

    @cached_property
    def _outermost_um(self) -> NDArray[np.float64]:
        """Centres of the voxels between which all others lie, (3, some)."""
        try:
            return self.columns_um[:, ConvexHull(self.points_um).vertices]
        except (QhullError, ValueError):  # too few voxels, or all in one plane
            return self.columns_um

    def footprint(self, affine: FloatArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Footprint of a voxel at ω along the rows and along the columns, for `spread`.

        The projection of a box is the convolution of the projections of its edges.
        """
        edges_pix = np.abs(affine[:, :3] * self.voxel_um)
        row_taps, col_taps = (
            np.convolve(np.convolve(box_taps(x), box_taps(y)), box_taps(z)) for x, y, z in edges_pix
        )
        return row_taps, col_taps

    def covered_pixels(self, affine: FloatArray, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """Which pixels of an image (rows, cols) the voxels fall on at ω, footprint included.

        Voxels wider than two pixels leave gaps between the pixels around their centres.
        """
        mask = np.zeros(shape, bool)
        kernels.mark_covered(mask, self.points_um, affine)
        for axis, taps in enumerate(self.footprint(affine)):
            mask = maximum_filter1d(mask, taps.size, axis, mode="constant")
        return mask

    def outside(
        self, affine: FloatArray, shape: tuple[int, ...]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Which voxels fall outside an image (rows, cols) at ω, and what share of each."""
        footprint = self.footprint(affine)
        reach = np.array([taps.size // 2 for taps in footprint])
        places = affine[:, :3] @ self._outermost_um + affine[:, 3:]
        past = places.max(axis=1) + reach > np.array(shape) - 1
        if not (past | (places.min(axis=1) - reach < 0)).any():
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        pixels = IlluminatedPixels.from_mask(np.ones(shape, bool))
        share = 1 - self.seen(affine, pixels, np.ones(pixels.count + 1, bool))
        cut = np.flatnonzero(share > LEAST_OUTSIDE)
        return cut, share[cut]

    def seen(
        self, affine: FloatArray, pixels: IlluminatedPixels, known: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        """Which share of each voxel falls on known pixels, of some (pixels + 1,), at ω."""
        images = known[:, None].astype(float)
        images[-1] = 0
        seen = np.zeros((len(self.points_um), 1))
        self.adjoint(spread(images, pixels, *self.footprint(affine)), affine, pixels, seen)
        return seen[:, 0].astype(np.float32)


def spread(
    images: AnyFloats, pixels: IlluminatedPixels, row_taps: AnyFloats, col_taps: AnyFloats
) -> AnyFloats:
    """Spread images, (pixels + 1, frames), over a voxel's footprint, among the pixels worked on.

    The footprint along each image axis is symmetric and of odd length. Returns a new array, or the
    same one where the footprint is one pixel.
    """
    if row_taps.size == col_taps.size == 1:
        return images
    out = np.zeros_like(images)
    if images.shape[1] == 1:
        pixels.take_up(_convolved(pixels.lay_out(images), row_taps, col_taps), out)
    else:
        taps = row_taps.astype(images.dtype), col_taps.astype(images.dtype)
        cols, lanes = pixels.mask.shape[1], numba.get_num_threads()
        kernels.convolve(images, out, pixels.places, pixels.row_starts, cols, *taps, lanes)
    return out


def _convolved(image: AnyFloats, row_taps: AnyFloats, col_taps: AnyFloats) -> AnyFloats:
    """Convolve an image (rows, cols), zero beyond its edges, with a footprint."""
    for axis, taps in enumerate((row_taps, col_taps)):
        image = convolve1d(image, taps, axis, mode="constant")
    return image


@lru_cache(maxsize=4096)
def box_taps(width_pix: float) -> NDArray[np.float64]:
    """Shares of a box of some width in the pixels around its middle; one pixel at least."""
    half = max(width_pix - 1, 0) / 2
    reach = int(np.ceil(half))
    covered = np.clip(half + 1 - np.abs(np.arange(-reach, reach + 1)), 0, 1)
    return covered / covered.sum()


def voxel_centres_um(volume: Volume) -> NDArray[np.float64]:
    """Centres of all voxels of a volume in C order, of shape (voxels, 3)."""
    axes = [volume.axis_um(axis) for axis in range(3)]
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)


@dataclass(frozen=True)
class FrameOperator:
    """A of one projection, on the voxels of a support and the pixels that matter.

    `forward` and `adjoint` are exact transposes of each other.
    """

    projector: Projector
    affine: FloatArray  # (2, 4): map from sample to detector at ω
    pixels: IlluminatedPixels
    weights: AnyFloats  # (frames, bins): how strongly each orientation bin shows in each frame

    def forward(self, volume: AnyFloats | BinRuns) -> AnyFloats:
        """Predict the frames, (pixels + 1, frames), of distributions f, (voxels, bins).

        The last row, which stands for all other pixels, is zero.
        """
        points = np.zeros((self.pixels.count + 1, len(self.weights)), self.weights.dtype)
        for bins in self._parts():
            weights = self.weights[:, bins]
            dtype = volume.values.dtype if isinstance(volume, BinRuns) else volume.dtype
            room = self._images_of(weights.shape[1], dtype)
            images = self.projector.forward(volume, self.affine, self.pixels, bins, room)
            points += images @ weights.T
        return spread(points, self.pixels, *self.projector.footprint(self.affine))

    def adjoint(self, frames: AnyFloats, out: AnyFloats | BinRuns) -> None:
        """Add the backprojection of frames, (pixels + 1, frames), to distributions in place."""
        images = spread(frames, self.pixels, *self.projector.footprint(self.affine))
        for bins in self._parts():
            weights = self.weights[:, bins]
            room = self._images_of(weights.shape[1], np.result_type(images, weights))
            np.matmul(images, weights, out=room)
            self.projector.adjoint(room, self.affine, self.pixels, out, bins)

    def _images_of(self, bins: int, dtype: np.dtype[Any]) -> AnyFloats:
        """Room for the images of some bins, (pixels + 1, bins)."""
        return self.projector.lend(self.pixels.count + 1, bins, dtype)

    def _parts(self) -> Iterator[slice]:
        """All bins, as many at a time as there is memory for their images."""
        at_a_time = max(MOST_BYTES // (4 * (self.pixels.count + 1)), 1)
        for first in range(0, self.weights.shape[1], at_a_time):
            yield slice(first, first + at_a_time)

    def lengths(self) -> AnyFloats:
        """What each pixel would see of a volume of ones in one bin: (pixels + 1, 1)."""
        ones = np.ones((len(self.projector.points_um), 1), self.weights.dtype)
        images = self.projector.forward(ones, self.affine, self.pixels)
        return spread(images, self.pixels, *self.projector.footprint(self.affine))
