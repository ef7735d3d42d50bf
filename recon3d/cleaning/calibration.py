"""Calibration of the detector: background, flat field, bad pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.cleaning.counts import SilentPixels, find_silent_pixels
from recon3d.cleaning.kernels.frames import BoolFrame, FloatFrame
from recon3d.errors import ParameterError
from recon3d.readers.source import NO_BINNING, Binning, Roi
from recon3d.runtime.communicator import ALONE, Communicator, from_first
from recon3d.scan.scan import Scan


@dataclass(frozen=True, eq=False)
class Calibration:
    """Background, flat field and bad pixels of the region of interest, each (rows, cols)."""

    background: FloatFrame  # mean background frame; zeros for none
    gain: FloatFrame  # factor from the flat field; ones for none
    bad: BoolFrame  # bad pixels
    bad_at: NDArray[np.int64] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "bad_at", places_of(self.bad))

    @classmethod
    def none(cls, shape: tuple[int, int]) -> Calibration:
        """Nothing known: no background, an even detector, no bad pixels."""
        return cls(np.zeros(shape, np.float32), np.ones(shape, np.float32), np.zeros(shape, bool))

    @classmethod
    def for_roi(
        cls,
        roi: Roi,
        frame_shape: tuple[int, int],
        background: ArrayLike | None = None,
        flat_field: ArrayLike | None = None,
        bad_pixels: ArrayLike | None = None,
        *,
        binning: Binning = NO_BINNING,
    ) -> Calibration:
        """Cut the calibration frames to the region of interest, and bin them.

        They have the shape of a whole frame, `frame_shape`, or of the region, and are not binned.
        Bad pixels are those that are not zero. A ParameterError where a frame has neither shape, a
        number is not finite, or the flat field is not positive at a good pixel.
        """
        plain = cls.none((roi.rows, roi.cols))
        bad = plain.bad
        if bad_pixels is not None:
            bad = _cut(bad_pixels, roi, frame_shape, "the bad-pixel mask") != 0
            if bad.all():
                raise ParameterError("the bad-pixel mask marks every pixel of the region as bad")
        gain, counts = plain.gain, plain.background
        if flat_field is not None:
            gain = flat_field_gain(_cut(flat_field, roi, frame_shape, "the flat field"), bad)
        if background is not None:
            counts = _cut(background, roi, frame_shape, "the background").astype(np.float32)
            if not np.isfinite(counts[~bad]).all():
                raise ParameterError("the background holds numbers that are not finite")
            counts = np.where(bad, np.float32(0), counts)
        return cls(counts, gain, bad).binned(binning)

    def binned(self, binning: Binning) -> Calibration:
        """The same for frames of which pixels are summed in blocks.

        A bin with a bad pixel is bad; a ParameterError where every bin is. The detector's answer is
        summed in a bin, so that its factor is the harmonic mean of those of its pixels.
        """
        if binning.pixels == 1:
            return self
        bad = binning.sums(self.bad.astype(np.uint8)) > 0
        if bad.all():
            raise ParameterError(
                f"the bad-pixel mask marks a pixel in every bin of {binning.rows} x {binning.cols}"
            )
        gain = (binning.pixels / binning.sums(1 / self.gain)).astype(np.float32)
        return Calibration(binning.sums(self.background), gain, bad)


def calibrated(
    scan: Scan,
    background: ArrayLike | None = None,
    flat_field: ArrayLike | None = None,
    bad_pixels: ArrayLike | None = None,
    *,
    communicator: Communicator = ALONE,
) -> tuple[Scan, Calibration, SilentPixels]:
    """Find out which pixels cannot be used, and cut the calibration frames to the region.

    The frames are those of `recon3d.clean`. Returns the scan with the bad and the silent pixels
    masked, so that they are read as 0; the calibration for its frames; and the silent pixels that
    were found and are not in `bad_pixels`. Of the processes that share the work the first one looks
    at frames.
    """
    whole, shape = scan.source.frame_shape, (scan.roi.rows, scan.roi.cols)
    bad = np.zeros(shape, bool)
    if bad_pixels is not None:
        bad = _cut(bad_pixels, scan.roi, whole, "the bad-pixel mask") != 0
    scan = scan.masking(bad)

    def with_bad(bad: BoolFrame) -> Calibration:
        return Calibration.for_roi(
            scan.roi, whole, background, flat_field, bad, binning=scan.binning
        )

    calibration = with_bad(bad)  # reports what is wrong with the images before frames are read
    silent = from_first(communicator, lambda: find_silent_pixels(scan))
    if silent.mask.any():
        calibration = with_bad(bad | silent.mask)
    return scan.masking(silent.mask), calibration, silent


def flat_field_gain(flat_field: ArrayLike, bad: BoolFrame | None = None) -> FloatFrame:
    """The factor by which each pixel's counts are to be multiplied (step 0 of cleaning).

    It is the mean of the flat field, dark subtracted, over the good pixels, divided by it; 1 for
    bad ones. A ParameterError where any other pixel has no positive flat field.
    """
    flat = as_frame(flat_field, "the flat field")
    good = np.ones(flat.shape, bool) if bad is None else ~bad
    dead = good & ~(np.isfinite(flat) & (flat > 0))
    if dead.any():
        row, col = np.argwhere(dead)[0]
        raise ParameterError(
            f"the flat field is {flat[row, col]:g} at row {row}, column {col} ({dead.sum()} such "
            "pixels): expected positive numbers; mark dead pixels as bad ones"
        )
    gain = np.ones_like(flat)
    gain[good] = flat[good].mean(dtype=np.float64) / flat[good]
    return gain


def _cut(values: ArrayLike, roi: Roi, frame_shape: tuple[int, int], what: str) -> NDArray[Any]:
    """Cut a whole frame to the region, or pass a region on."""
    frame: NDArray[Any] = np.asarray(values)
    if frame.shape == (roi.rows, roi.cols):
        return frame
    if frame.shape == tuple(frame_shape):
        return frame[roi.slices]
    raise ParameterError(
        f"{what} has the shape {frame.shape}: expected that of a whole frame, "
        f"{tuple(frame_shape)}, or of the region of interest, {(roi.rows, roi.cols)}"
    )


def as_frame(values: ArrayLike, what: str = "the frame") -> FloatFrame:
    """Copy one frame, (rows, cols), to contiguous float32."""
    frame = np.array(values, np.float32, order="C")
    if frame.ndim != 2:
        raise ParameterError(f"{what} has the shape {frame.shape}: expected (rows, cols)")
    return frame


def places_of(bad: BoolFrame) -> NDArray[np.int64]:
    """Rows and columns of the pixels of a mask, (n, 2), as the compiled loops take them."""
    return np.ascontiguousarray(np.argwhere(bad), np.int64)
