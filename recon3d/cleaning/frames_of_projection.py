"""Cleaning of the frames of one projection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.kernels import frames as kernels
from recon3d.cleaning.kernels import masks as mask_kernels
from recon3d.cleaning.kernels.frames import FloatArray, FloatFrame
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import (
    as_counts,
    check_framebg,
    counting_variance,
    dark_frame,
)
from recon3d.config.cleaning import Cleaning
from recon3d.errors import ParameterError

Frames = NDArray[np.float32]


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
    kernels.scale_frames(frames, start.factors, framebg)
    unmasked = frames.copy() if keep_unmasked else None
    sums, dropped = mask_frames(frames, cleaning)
    return CleanedProjection(
        frames, unmasked, sums, start.dark_subtracted, start.hot_pixels, int(dropped.sum())
    )


def mask_frames(
    frames: Frames, cleaning: Cleaning
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Do step 6 on frames in place; what is left of each, and how many pixels were dropped."""
    return mask_kernels.mask_frames(
        frames,
        cleaning.chosen[1],
        int(cleaning.min_region_pix),
        int(cleaning.close_radius_pix),
        cleaning.fill_holes,
    )


BRIGHTEST_OF = (
    "as it was read",
    "above the background and the dark frame",
    "once hot pixels are replaced",
    "once normalised",
    "within the rim of framebg, above the frame's own background",
)
"""What `brightest_pixels` finds the brightest pixel of."""


def brightest_pixels(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    currents: FloatArray,
    cleaning: Cleaning,
    calibration: Calibration,
    normalizer: Normalizer,
) -> tuple[float, ...]:
    """Find the brightest pixel of a projection at each of `BRIGHTEST_OF`, before the mask.

    The parameters are as in `work_on_projection`; of the normaliser nothing is changed.
    """
    framebg, _ = cleaning.chosen
    with_hot = replace(cleaning, hot_pixels=0.0, hot_limit=None)
    hot, cold = (
        subtract_projection(raw, valid, currents, one, calibration, normalizer.begun_again())
        for one in (with_hot, cleaning)
    )
    scaled = cold.frames * cold.factors[:, np.newaxis, np.newaxis]
    inside = cold.frames.copy()
    kernels.scale_frames(inside, cold.factors, framebg)
    good = raw[valid][:, ~calibration.bad]
    steps = (good, hot.frames, cold.frames, scaled, inside)
    return tuple(float(step.max(initial=0)) for step in steps)


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
    return kernels.subtract_frames(
        raw,
        valid,
        pedestal,
        calibration.gain,
        calibration.bad,
        calibration.bad_at,
        counting_variance(pedestal, calibration.gain, averaged),
        float(cleaning.hot_pixels),
        kernels.NO_LIMIT if cleaning.hot_limit is None else float(cleaning.hot_limit),
        frames,
    )
