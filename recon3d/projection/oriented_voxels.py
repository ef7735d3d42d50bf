"""Voxels of one orientation each, and the frames that they predict.

In the compiled loops, successive voxels lie side by side and are alike in orientation, so a block
of them lights the same few frames. Weights are worked out for a stretch of successive frames at a
time, in single precision and without a branch, which is what lets the compiler use vector
instructions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels import FloatArray, Frames, add_weighted, corner
from recon3d.projection.operator import IlluminatedPixels, Projector, spread
from recon3d.runtime.compiled import in_parts, njit

ScaledSettings = tuple[FloatArray, FloatArray]


@dataclass(frozen=True)
class OrientedVoxels:
    """Voxels that have one orientation each: far less than a distribution, and far stiffer.

    Their settings at ω, as `scaled_settings` gives them, say which frames each voxel lights.
    """

    projector: Projector
    orientations: FloatArray  # (3, voxels): (a, b, Δθ) in degrees
    intensity: FloatArray  # (voxels,): how much they scatter

    def frames(
        self, settings: ScaledSettings, affine: FloatArray, pixels: IlluminatedPixels
    ) -> Frames:
        """Predict the frames of a projection: (pixels + 1, frames), the last row zero.

        `settings`: of the frames and of the voxels, in widths of the instrument. `affine`: map from
        sample to detector at ω.
        """
        of_frames, of_voxels = settings
        images = np.zeros((pixels.count + 1, len(of_frames)), np.float32)
        given = images, self.intensity, of_voxels, of_frames, self.projector.points_um, affine
        # Each part finds the places of all voxels, so there is one for each thread.
        in_parts(project_oriented, len(of_frames), *given, pixels.lookup, parts_a_thread=1)
        images[-1] = 0
        return spread(images, pixels, *self.projector.footprint(affine))

    def reached(self, settings: ScaledSettings) -> NDArray[np.bool_]:
        """Frames, of those of a projection, that the voxels may light; no parallel kernel."""
        of_frames, of_voxels = settings
        reached = np.zeros(len(of_frames), bool)
        mark_reached(reached, of_voxels, of_frames)
        return reached

    def summed(
        self, settings: ScaledSettings, affine: FloatArray, shape: tuple[int, ...]
    ) -> Frames:
        """Predict the sum of the frames of a projection: an image (rows, cols); see `frames`."""
        of_frames, of_voxels = settings
        share = np.empty(len(of_voxels))
        blocks = -(-len(of_voxels) // BLOCK)
        in_parts(visible_share, blocks, share, of_voxels, of_frames)
        return self.projector.image((share * self.intensity).astype(np.float32), affine, shape)


FARTHEST = np.float32(16.0)
"""Squared distance in widths beyond which a frame sees nothing, as in the weights of bins."""

REACH = float(FARTHEST) ** 0.5

NOWHERE = np.float32(1e4)
"""Setting, in widths, that stands for that of a missing frame: out of reach of all voxels."""

BLOCK = 64
"""Successive voxels, alike in orientation, of which it is asked together what frames are near."""

EXP = tuple(
    map(np.float32, (0.99999999, 0.99999856, 0.49996779, 0.16639898, 0.04064245, 0.00647312))
)
"""Coefficients of a polynomial for exp(x), -1/2 <= x <= 0, fitted for the least relative error."""

SIXTEENTH = np.float32(-1 / 32)
"""What makes a squared distance d² the sixteenth part of the exponent -d² / 2."""


@njit(inline="always")
def _weight(distance):  # type: ignore[no-untyped-def]
    """exp(-d² / 2) of a squared distance d², within 3e-6 of it; zero beyond `FARTHEST`."""
    x = min(distance, FARTHEST) * SIXTEENTH
    y = EXP[0] + x * (EXP[1] + x * (EXP[2] + x * (EXP[3] + x * (EXP[4] + x * EXP[5]))))
    y *= y
    y *= y
    y *= y
    y *= y
    return y if distance < FARTHEST else np.float32(0)


@njit(inline="always")
def _axes_apart(of_frames):  # type: ignore[no-untyped-def]
    """The settings of the frames axis by axis, (3, frames), in single precision."""
    apart = np.empty((3, of_frames.shape[0]), np.float32)
    for frame in range(of_frames.shape[0]):
        for axis in range(3):
            place = of_frames[frame, axis]
            apart[axis, frame] = NOWHERE if np.isnan(place) else place
    return apart


@njit(inline="always")
def _extent(of_voxels, first, last):  # type: ignore[no-untyped-def]
    """The lowest and the highest settings of some successive voxels, (3,) each."""
    lowest, highest = np.full(3, np.inf), np.full(3, -np.inf)
    for voxel in range(first, last):
        for axis in range(3):
            lowest[axis] = min(lowest[axis], of_voxels[voxel, axis])
            highest[axis] = max(highest[axis], of_voxels[voxel, axis])
    return lowest, highest


@njit(inline="always")
def _near_frames(of_voxels, first, last, of_frames):  # type: ignore[no-untyped-def]
    """The first and last + 1 of the frames that any voxel from `first` to `last` may light."""
    lowest, highest = _extent(of_voxels, first, last)
    begin, end = of_frames.shape[1], 0
    for frame in range(of_frames.shape[1]):
        inside = True
        for axis in range(3):
            inside &= lowest[axis] - REACH < of_frames[axis, frame] < highest[axis] + REACH
        if inside:
            begin, end = min(begin, frame), frame + 1
    return begin, end


@njit(cache=True, nogil=True)
def mark_reached(reached, of_voxels, of_frames):  # type: ignore[no-untyped-def]
    """Mark the frames that any voxel may light; serial, so that it can run beside others.

    `reached`: (frames,) of bool, marked in place. `of_voxels`, `of_frames`: as in
    `project_oriented`.
    """
    for first in range(0, of_voxels.shape[0], BLOCK):
        last = min(first + BLOCK, of_voxels.shape[0])
        lowest, highest = _extent(of_voxels, first, last)
        for frame in range(of_frames.shape[0]):
            inside = True
            for axis in range(3):
                # A missing frame, NaN, is not inside.
                place = of_frames[frame, axis]
                inside &= lowest[axis] - REACH < place < highest[axis] + REACH
            reached[frame] |= inside


@njit(cache=True, nogil=True, fastmath={"contract"})
def project_oriented(start, stop, images, intensity, of_voxels, of_frames, points, affine, lookup):  # type: ignore[no-untyped-def]
    """Project every voxel into the frames, of those from `start`, that its orientation lights.

    `images`: (pixels + 1, frames), added to. `of_voxels`, `of_frames`: (voxels, 3), (frames, 3),
    in widths of the instrument; NaN for a missing frame. `lookup`: number of each pixel, with a
    border of one.
    """
    rows, cols = lookup.shape[0] - 2, lookup.shape[1] - 2
    voxels, frames = points.shape[0], of_frames.shape[0]
    apart = _axes_apart(of_frames)
    room = np.empty(frames, np.float32)
    for first in range(0, voxels, BLOCK):
        last = min(first + BLOCK, voxels)
        begin, end = _near_frames(of_voxels, first, last, apart)
        begin, end = max(begin, start), min(end, stop)
        if begin >= end:
            continue
        weights = room[: end - begin]
        for voxel in range(first, last):
            row, col, down, right, seen = corner(points[voxel], affine, rows, cols)
            if not seen:
                continue
            _fill_weights(weights, apart, begin, of_voxels[voxel], intensity[voxel])
            p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
            p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
            down, right = np.float32(down), np.float32(right)
            up, left = np.float32(1) - down, np.float32(1) - right
            add_weighted(images[p00, begin:end], weights, up * left)
            add_weighted(images[p01, begin:end], weights, up * right)
            add_weighted(images[p10, begin:end], weights, down * left)
            add_weighted(images[p11, begin:end], weights, down * right)


@njit(inline="always")
def _fill_weights(weights, of_frames, begin, of_voxel, intensity):  # type: ignore[no-untyped-def]
    """Fill in how strongly a voxel shows in successive frames, of (3, frames), from `begin` on."""
    end = begin + weights.size
    mu, gamma, two_theta = of_frames[0, begin:end], of_frames[1, begin:end], of_frames[2, begin:end]
    at_mu, at_gamma = np.float32(of_voxel[0]), np.float32(of_voxel[1])
    at_two_theta, scale = np.float32(of_voxel[2]), np.float32(intensity)
    for k in range(weights.size):
        distance = (mu[k] - at_mu) ** 2 + (gamma[k] - at_gamma) ** 2
        weights[k] = scale * _weight(distance + (two_theta[k] - at_two_theta) ** 2)


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def visible_share(start, stop, out, of_voxels, of_frames):  # type: ignore[no-untyped-def]
    """Sum the weights of each voxel's orientation over all frames into `out`, (voxels,).

    `start`, `stop`: blocks of voxels. `of_voxels`, `of_frames`: as in `project_oriented`.
    """
    voxels, frames = of_voxels.shape[0], of_frames.shape[0]
    apart, room = _axes_apart(of_frames), np.empty(frames, np.float32)
    for block in range(start, stop):
        first, last = block * BLOCK, min((block + 1) * BLOCK, voxels)
        begin, end = _near_frames(of_voxels, first, last, apart)
        weights = room[: max(end - begin, 0)]
        for voxel in range(first, last):
            _fill_weights(weights, apart, begin, of_voxels[voxel], 1.0)
            out[voxel] = weights.sum()


@njit(cache=True, nogil=True, fastmath={"contract", "reassoc"})
def gather_slopes(  # type: ignore[no-untyped-def]
    start,
    stop,
    own,
    moments,
    strengths,
    turning,
    tilts,
    of_voxels,
    of_frames,
    points,
    affine,
    lookup,
    images,
):
    """Add to the normal equations of voxels, in blocks from `start`, what one projection says.

    With :math:`d` a voxel's distance to a frame in widths and :math:`W = e^{-d^2 / 2}`, the slope
    of its prediction along an axis is :math:`W d`; r are the differences in `images`, (pixels + 1,
    frames), whose last row is zero: a voxel all of whose pixels have it is not seen.

    `own`, (voxels, own unknowns, unknowns + 1): the rows of a voxel's own unknowns, which come
    first: squared slopes turned into all unknowns, then the slopes times r. `moments`, (blocks, 3,
    4, 5): for each axis, sums over blocks of voxels of the squared slopes times (1, x, y, z) and
    that again, then of the slopes times r and that. `strengths`, (voxels, 2): sums of W r and of
    W². All three are added to. `turning`, (3, unknowns): how a setting in widths follows the
    unknowns; `tilts`, (last unknowns, 3): how γ follows the last ones by the place of a voxel. The
    others are those of `project_oriented`.
    """
    rows, cols = lookup.shape[0] - 2, lookup.shape[1] - 2
    voxels = points.shape[0]
    steady = turning.shape[1] - tilts.shape[0]
    nowhere = images.shape[0] - 1
    apart = _axes_apart(of_frames)
    for block in range(start, stop):
        first, last = block * BLOCK, min((block + 1) * BLOCK, voxels)
        begin, end = _near_frames(of_voxels, first, last, apart)
        rest = np.empty(max(end - begin, 0), images.dtype)
        follow, sums, place = turning.copy(), np.empty(8), np.ones(4)
        for voxel in range(first, last if rest.size > 0 else first):
            row, col, down, right, seen = corner(points[voxel], affine, rows, cols)
            if not seen:
                continue
            p00, p01 = lookup[row + 1, col + 1], lookup[row + 1, col + 2]
            p10, p11 = lookup[row + 2, col + 1], lookup[row + 2, col + 2]
            if min(p00, p01, p10, p11) == nowhere:
                continue
            down, right = np.float32(down), np.float32(right)
            up, left = np.float32(1) - down, np.float32(1) - right
            rest[:] = 0
            add_weighted(rest, images[p00, begin:end], up * left)
            add_weighted(rest, images[p01, begin:end], up * right)
            add_weighted(rest, images[p10, begin:end], down * left)
            add_weighted(rest, images[p11, begin:end], down * right)
            _sum_slopes(sums, rest, apart, begin, of_voxels[voxel])
            strengths[voxel, 0] += sums[0]
            strengths[voxel, 1] += sums[1]
            for axis in range(3):  # an assignment of arrays takes 2 s to compile
                place[1 + axis] = points[voxel, axis]
            for i in range(tilts.shape[0]):
                follow[1, steady + i] = 0
                for axis in range(3):
                    follow[1, steady + i] += tilts[i, axis] * points[voxel, axis]
            for axis in range(3):
                # What the instrument is wide open to says nothing.
                if sums[5 + axis] > 0:
                    known = place[: 4 if axis == 1 and tilts.shape[0] > 0 else 1]
                    _add_normal(own[voxel], follow[axis], sums[5 + axis], sums[2 + axis])
                    _add_normal(moments[block, axis], known, sums[5 + axis], sums[2 + axis])


@njit(inline="always")
def _sum_slopes(sums, rest, of_frames, begin, of_voxel):  # type: ignore[no-untyped-def]
    """Fill in sums over frames: W r, W², then W d r and W² d² for each of the three axes."""
    end = begin + rest.size
    mu, gamma, two_theta = of_frames[0, begin:end], of_frames[1, begin:end], of_frames[2, begin:end]
    at_mu, at_gamma = np.float32(of_voxel[0]), np.float32(of_voxel[1])
    at_two_theta, zero = np.float32(of_voxel[2]), np.float32(0)
    strength, square = zero, zero
    slope_0, slope_1, slope_2 = zero, zero, zero
    curvature_0, curvature_1, curvature_2 = zero, zero, zero
    for k in range(rest.size):
        d_0, d_1, d_2 = mu[k] - at_mu, gamma[k] - at_gamma, two_theta[k] - at_two_theta
        weight = _weight(d_0 * d_0 + d_1 * d_1 + d_2 * d_2)
        explained, squared = weight * rest[k], weight * weight
        strength += explained
        square += squared
        slope_0 += explained * d_0
        slope_1 += explained * d_1
        slope_2 += explained * d_2
        curvature_0 += squared * d_0 * d_0
        curvature_1 += squared * d_1 * d_1
        curvature_2 += squared * d_2 * d_2
    sums[0], sums[1] = strength, square
    sums[2], sums[3], sums[4] = slope_0, slope_1, slope_2
    sums[5], sums[6], sums[7] = curvature_0, curvature_1, curvature_2


@njit(inline="always")
def _add_normal(out, along, curvature, slope):  # type: ignore[no-untyped-def]
    """Add what an axis says to the first rows of normal equations, right hand side last."""
    last = out.shape[1] - 1
    for i in range(min(out.shape[0], along.size)):
        bent = curvature * along[i]
        for j in range(along.size):
            out[i, j] += bent * along[j]
        out[i, last] += slope * along[i]
