"""The steps of cleaning, one function each: frames in, frames out, nothing changed in place.

Arithmetic is signed and in float32 throughout. The pipeline does the same with the compiled
loops on whole projections; these functions are for a single frame, to look at and to test.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.cleaning.kernels import frames as kernels
from recon3d.cleaning.kernels import masks as mask_kernels
from recon3d.cleaning.kernels.frames import BoolFrame, FloatFrame
from recon3d.errors import DataError, ParameterError

LEAST_FRAMES_FOR_DARK = 3
"""The two weakest frames and one that they can be taken from."""


def dark_frame(
    frames: NDArray[Any], valid: BoolFrame | None = None, bad: BoolFrame | None = None
) -> FloatFrame | None:
    """Mean of a projection's two weakest frames, (rows, cols) (step 2).

    Frames are compared by the sum of their counts as they were recorded, before a background is
    subtracted: the order is the same, and a frame without signal stays above 0. None where fewer
    than 3 frames have a sum above 0: the dark frame would then be made of the very frames that it
    is subtracted from.

    `frames`, (frames, rows, cols): raw. `valid`, (frames,): which were recorded. `bad`, (rows,
    cols): pixels to leave out of the sums.
    """
    bad_at = places_of(np.zeros(frames.shape[1:], bool) if bad is None else bad)
    sums = kernels.integrate_frames(as_counts(frames), bad_at)
    usable = np.flatnonzero(sums > 0 if valid is None else valid & (sums > 0))
    if usable.size < LEAST_FRAMES_FOR_DARK:
        return None
    weakest = np.sort(usable[np.argsort(sums[usable], kind="stable")[:2]])
    return frames[weakest].mean(axis=0, dtype=np.float64).astype(np.float32)


def counting_variance(
    pedestal: FloatFrame, gain: FloatFrame, frames_of_pedestal: int | None
) -> FloatFrame:
    """Variance, (rows, cols), of counts where there is no signal, which step 3 needs.

    It is that of a Poisson process with the mean of the pedestal that was subtracted, plus that of
    the pedestal, the mean of `frames_of_pedestal` (None for very many), plus one count, so that a
    single photon is never hot. A constant offset in it makes it too large, which spares signal.
    """
    own = 0.0 if frames_of_pedestal is None else 1.0 / frames_of_pedestal
    return (1 + (1 + own) * gain**2 * np.maximum(pedestal, 0)).astype(np.float32)


def check_framebg(shape: tuple[int, ...], framebg: int) -> None:
    """Raise a ParameterError where a cornice of `framebg` pixels leaves nothing of a frame."""
    if 2 * framebg >= min(shape):
        raise ParameterError(
            f"framebg is {framebg}, but a region of {shape[0]} x {shape[1]} pixels (rows x "
            "columns) has nothing left inside a rim of that width: expected at most "
            f"{(min(shape) - 1) // 2}"
        )


def frame_background(frame: ArrayLike, framebg: int) -> FloatFrame:
    """A frame's own background, (rows, cols), as its rim tells it (step 5); 0 for a `framebg` of 0.

    The outermost `framebg` pixels on every side, the cornice, hold no signal; a ParameterError
    where nothing is left inside. In every band of `framebg` columns (the last one may be narrower)
    the background is a straight line along the rows, from the mean of the band's top cornice cell,
    at the centre of that cell, to the mean of its bottom one.
    """
    image = as_frame(frame)
    check_framebg(image.shape, framebg)
    if not framebg:
        return np.zeros_like(image)
    rows, cols = image.shape
    top, bottom = np.empty((2, cols), np.float32)
    kernels.cornice_means(image, framebg, 0, top)
    kernels.cornice_means(image, framebg, rows - framebg, bottom)
    share = (np.arange(rows) - 0.5 * (framebg - 1)) / (rows - framebg)
    return top + share.astype(np.float32)[:, None] * (bottom - top)


def subtract_frame_background(frame: ArrayLike, framebg: int) -> FloatFrame:
    """Subtract `frame_background`, clip at 0 and zero the cornice (step 5).

    With a `framebg` of 0 the frame stays as it is.
    """
    result = as_frame(frame)
    check_framebg(result.shape, framebg)
    if framebg > 0:
        kernels.subtract_cornice_lines(result, int(framebg))
    return result


def signal_mask(
    frame: ArrayLike,
    binth: float,
    min_region_pix: int = 100,
    close_radius_pix: int = 1,
    fill_holes: bool = True,
) -> BoolFrame:
    """Where a frame, (rows, cols), shows the grain (step 6).

    Pixels above `binth`, their holes filled, closed with a disk, filled again, without the regions
    of fewer than `min_region_pix` pixels. Dark pixels are joined by edges, lit ones by edges or
    corners, so that the rim of a hole is always one piece.
    """
    image = as_frame(frame)
    mask = np.zeros(image.shape, bool)
    top, bottom, left, right = mask_kernels.illuminated_box(image, float(binth))
    if bottom:
        box = image[top:bottom, left:right]
        mask[top:bottom, left:right] = mask_kernels.box_mask(
            box, float(binth), int(min_region_pix), int(close_radius_pix), fill_holes
        )
    return mask


def as_frame(values: ArrayLike, what: str = "the frame") -> FloatFrame:
    """Copy one frame, (rows, cols), to contiguous float32."""
    frame = np.array(values, np.float32, order="C")
    if frame.ndim != 2:
        raise ParameterError(f"{what} has the shape {frame.shape}: expected (rows, cols)")
    return frame


def places_of(bad: BoolFrame) -> NDArray[np.int64]:
    """Rows and columns of the pixels of a mask, (n, 2), as the compiled loops take them."""
    return np.ascontiguousarray(np.argwhere(bad), np.int64)


COMPILED_FOR = (np.uint16, np.int32, np.float32, np.float64)
"""Counts of other types are converted to the first of these that holds them: compiling the loops
for a type takes some 5 s."""


def as_counts(frames: NDArray[Any]) -> NDArray[Any]:
    """Frames as the compiled loops take them, without a copy where they are so already.

    Raises a DataError where they are no real numbers, or not all finite.
    """
    if frames.dtype.kind not in "iuf":
        raise DataError(f"frames of type {frames.dtype} cannot be cleaned: expected real numbers")
    fits = (kind for kind in COMPILED_FOR if np.can_cast(frames.dtype, kind))
    native = np.ascontiguousarray(frames, dtype=next(fits, np.float64))
    if native.dtype.kind == "f" and not np.isfinite(native).all():
        raise DataError("a projection holds counts that are not finite")
    return native
