"""The steps of cleaning: first those of a projection, then the same on a single frame.

Arithmetic is signed and in float32 throughout. The compiled loops work on whole projections; the
functions for a single frame are there to look at it and to test.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.cleaning.calibration import Calibration, as_frame, places_of
from recon3d.cleaning.kernels import frames as kernels
from recon3d.cleaning.kernels import masks as mask_kernels
from recon3d.cleaning.kernels.frames import BoolFrame, FloatArray, FloatFrame
from recon3d.cleaning.normalize import Normalizer
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, ParameterError
from recon3d.runtime.compiled import in_parts

Frames = NDArray[np.float32]

LEAST_FRAMES_FOR_DARK = 3
"""The two weakest frames and one that they can be taken from."""

COMPILED_FOR = (np.uint16, np.int32, np.float32, np.float64)
"""Counts of other types are converted to the first of these that holds them: compiling the loops
for a type takes some 4 s."""


@dataclass(frozen=True, eq=False)
class CleanedProjection:
    """One projection after cleaning."""

    frames: Frames  # (frames, rows, cols): counts, zero outside the mask
    unmasked: Frames | None  # the same before the mask (after step 5), where asked for
    sums: FloatArray  # (frames,): what is left in each frame
    dark_subtracted: bool  # False where no dark frame could be made though one was asked for
    hot_pixels: int  # how many pixels of all frames were replaced as hot
    # pixels above `binth` that were dropped, in regions too small to be the grain
    dropped_pixels: int


@dataclass(frozen=True, eq=False)
class Subtracted:
    """A projection after step 3, with the factors of step 4."""

    frames: Frames  # (frames, rows, cols): counts above the dark frame, without hot pixels
    factors: NDArray[np.float32]  # (frames,): by what step 4 multiplies
    pedestal: FloatFrame  # (rows, cols): background and dark together, which were subtracted
    dark_subtracted: bool  # False where no dark frame could be made though one was asked for
    hot_pixels: int  # how many pixels of all frames were replaced as hot


def work_on_projection(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    currents: FloatArray,
    cleaning: Cleaning,
    calibration: Calibration,
    normalizer: Normalizer,
    keep_unmasked: bool = False,
    room: Frames | None = None,
) -> CleanedProjection:
    """Clean one projection, and tell what was done to it.

    Frames come back in counts of the reference's beam, zero outside the grain and where not valid.
    `raw`, (frames, rows, cols): recorded counts, of any real type. `currents`, (frames,): ring
    current in mA; NaN where it is not known. `normalizer` carries the reference from the first
    projection on. `room`: where the cleaned frames are written. Raises a ParameterError where
    `framebg` leaves nothing, a DataError where a count is not finite or a current is lacking.
    """
    framebg, _ = cleaning.chosen
    start = subtract_projection(raw, valid, currents, cleaning, calibration, normalizer, room)
    frames = start.frames
    scale_frames(frames, start.factors, framebg)
    unmasked = frames.copy() if keep_unmasked else None
    sums, dropped = mask_frames(frames, cleaning)
    return CleanedProjection(
        frames, unmasked, sums, start.dark_subtracted, start.hot_pixels, int(dropped.sum())
    )


def scale_frames(frames: Frames, factors: NDArray[np.float32], framebg: int) -> None:
    """Do steps 4 and 5 on frames in place."""
    in_parts(kernels.scale_frames, len(frames), frames, factors, framebg)


def mask_frames(frames: Frames, cleaning: Cleaning) -> tuple[FloatArray, NDArray[np.int64]]:
    """Do step 6 on frames in place; what is left of each, and how many pixels were dropped."""
    sums, dropped = np.empty(len(frames)), np.empty(len(frames), np.int64)
    in_parts(
        mask_kernels.mask_frames,
        len(frames),
        frames,
        cleaning.chosen[1],
        int(cleaning.min_region_pix),
        int(cleaning.close_radius_pix),
        cleaning.fill_holes,
        sums,
        dropped,
    )
    return sums, dropped


def brightest_pixels(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    currents: FloatArray,
    cleaning: Cleaning,
    calibration: Calibration,
    normalizer: Normalizer,
) -> tuple[float, float]:
    """Find the brightest pixel of a projection as it was read, and before the mask.

    The parameters are as in `work_on_projection`; of the normaliser nothing is changed.
    """
    given = raw, valid, currents, cleaning, calibration, normalizer.begun_again()
    start = subtract_projection(*given)
    scale_frames(start.frames, start.factors, cleaning.chosen[0])
    read = raw[valid][:, ~calibration.bad]
    return float(read.max(initial=0)), float(start.frames.max(initial=0))


def check_region(shape: tuple[int, ...], cleaning: Cleaning) -> None:
    """Raise a ParameterError where a region of `shape` (rows, cols) cannot be cleaned."""
    if min(shape) < 2:
        raise ParameterError(f"a region of {shape[0]} x {shape[1]} pixels is too small to clean")
    check_framebg(shape, cleaning.framebg or 0)
    if 2 * cleaning.close_radius_pix > min(shape):
        raise ParameterError(
            f"close_radius is {cleaning.close_radius_pix}: a disk of that radius does not fit into "
            f"the region of {shape[0]} x {shape[1]} pixels"
        )


def subtract_projection(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    currents: FloatArray,
    cleaning: Cleaning,
    calibration: Calibration,
    normalizer: Normalizer,
    room: Frames | None = None,
) -> Subtracted:
    """Do steps 0 to 3 on a projection and find the factors of step 4.

    Background and dark frame are subtracted in one, as the raw mean of the weakest frames: the
    background is in it already. Flat field and repair come after the subtraction, which is
    the same where the flat field is concerned and better informed where the repair is.
    The frames are written into `room`, an array of their shape, where one is given.
    """
    raw = as_counts(raw)
    dark = dark_frame(raw, valid, calibration.bad) if cleaning.dark else None
    pedestal = calibration.background if dark is None else dark
    frames = np.empty(raw.shape, np.float32) if room is None else room
    averaged = None if dark is None else 2
    totals, hot = subtract_pedestal(raw, valid, pedestal, averaged, cleaning, calibration, frames)
    factors = normalizer.factors(totals, valid, currents).astype(np.float32)
    dark_subtracted = not (cleaning.dark and dark is None)
    return Subtracted(frames, factors, pedestal, dark_subtracted, int(hot.sum()))


def subtract_pedestal(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    pedestal: FloatFrame,
    averaged: int | None,
    cleaning: Cleaning,
    calibration: Calibration,
    frames: Frames,
) -> tuple[FloatArray, NDArray[np.int64]]:
    """Do steps 0 to 3 on frames whose pedestal is known; the result is written into `frames`.

    `averaged`: how many frames the pedestal is the mean of; None for very many. Returns the total
    of each frame, and how many of its pixels were hot.
    """
    variance = counting_variance(pedestal, calibration.gain, averaged)
    sigmas = float(cleaning.hot_pixels)
    limit = kernels.NO_LIMIT if cleaning.hot_limit is None else float(cleaning.hot_limit)
    totals, hot = np.empty(len(raw)), np.empty(len(raw), np.int64)
    in_parts(
        kernels.subtract_frames,
        len(raw),
        raw,
        valid,
        pedestal,
        calibration.gain,
        calibration.bad,
        calibration.bad_at,
        variance,
        *kernels.hot_thresholds(variance, sigmas, limit),
        sigmas,
        limit,
        frames,
        totals,
        hot,
    )
    return totals, hot


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
    sums = np.empty(len(frames))
    in_parts(kernels.integrate_frames, len(frames), as_counts(frames), bad_at, sums)
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
