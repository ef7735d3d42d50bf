"""Pixels that never tell anything: module gaps, and pixels that are dead or stuck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.errors import DataError, warn
from recon3d.scan.scan import Scan

BoolImage = NDArray[np.bool_]

SAMPLED_FRAMES = 32
"""Frames that are looked at: a saturated Bragg spot is dark in some of them."""

FEWEST_FRAMES = 4
"""With fewer frames nothing can be said of what never changes."""

_MARKERS = (65535, 2**31 - 1, 2**32 - 1)
_CHANCE = 0.01
_AROUND_PIX = 7
_FEWEST_NEIGHBOURS = 0.25


@dataclass(frozen=True, eq=False)
class SilentPixels:
    """Pixels of a region that hold the same in every frame that was looked at.

    Parameters
    ----------
    without_value, shape (rows, cols)
        Not finite, or at a value that stands for none: the type's largest, 65535, 2^32 - 1, or
        a negative number.
    constant, shape (rows, cols)
        At one value, while the pixels around them change.
    """

    without_value: BoolImage
    constant: BoolImage

    @property
    def mask(self) -> BoolImage:
        """Both kinds."""
        return self.without_value | self.constant

    def counts(self) -> dict[str, int]:
        """How many there are, for the provenance."""
        return {
            "pixels_without_value": int(self.without_value.sum()),
            "pixels_constant": int(self.constant.sum()),
        }

    def warn(self, scan: Scan) -> None:
        """Tell what is masked, and where."""
        kinds = {
            "without a value in any frame (a gap between modules?)": self.without_value,
            "that never change (dead, or stuck)": self.constant,
        }
        told = [
            f"{_pixels(mask)} {what}: {_places(mask, scan)}"
            for what, mask in kinds.items()
            if mask.any()
        ]
        if told:
            warn(f"{'; '.join(told)}. They are masked like bad pixels")


def find_silent_pixels(scan: Scan) -> SilentPixels:
    """Look at frames spread over a scan for pixels that never tell anything.

    Parameters
    ----------
    scan
        The raw scan; pixels that it masks already are left out. Up to `SAMPLED_FRAMES` frames
        of its region are read, one at a time.

    Raises
    ------
    DataError
        No pixel of the region has a value.
    """
    plain, seen = scan.binned(1), _Seen()
    for slot in _sampled_slots(scan):
        try:
            seen.look(plain.read_frame(slot))
        except DataError:
            continue  # found again, and told of, when all frames are read
    none = np.zeros(plain.shape[2:], bool)
    if seen.frames < FEWEST_FRAMES:
        return SilentPixels(none, none)
    known = none if plain.masked is None else plain.masked[plain.roi.slices]
    found = SilentPixels(seen.without_value & ~known, seen.constant & ~known)
    if (found.without_value | known).all():
        raise DataError(
            f"no pixel of the region of {plain.roi.rows} x {plain.roi.cols} pixels from row "
            f"{plain.roi.row}, column {plain.roi.col} has a value in the {seen.frames} frames that "
            "were looked at: is it beside the detector's active area?"
        )
    return found


class _Seen:
    """What is common to the frames seen so far."""

    def __init__(self) -> None:
        self.frames = 0

    def look(self, pixels: NDArray[Any]) -> None:
        if not self.frames:
            self.first = pixels.copy()
            self.unchanged = np.zeros(pixels.shape, np.int16)
            self.finite = np.zeros(pixels.shape, bool)
        same = pixels == self.first
        if pixels.dtype.kind == "f":
            self.finite |= np.isfinite(pixels)
        else:
            self.finite[...] = True
        self.unchanged += same
        self.frames += 1

    @property
    def without_value(self) -> BoolImage:
        """Never finite, or always at a value that stands for none."""
        first = self.first
        markers = set(_MARKERS)
        if first.dtype.kind in "iu":
            markers.add(int(np.iinfo(first.dtype).max))
        always = self.unchanged == self.frames
        return ~self.finite | always & (np.isin(first, list(markers)) | (first < 0))

    @property
    def constant(self) -> BoolImage:
        """At one value, where the pixels around make that incredible.

        With a share q of frames in which the neighbours are at their first value too, a pixel
        is so in n frames with a probability of about q^(n-1): where few photons come, this is
        no small number, and the pixel is left alone.
        """
        always = self.unchanged == self.frames
        suspect = always & ~self.without_value
        varying = (~always & self.finite).astype(np.float32)
        near = ndimage.uniform_filter(varying, _AROUND_PIX, mode="constant")
        share = varying * self.unchanged / np.float32(self.frames)
        share = ndimage.uniform_filter(share, _AROUND_PIX, mode="constant")
        with np.errstate(divide="ignore", invalid="ignore"):
            chance = (share / near) ** (self.frames - 1) * always.size
        result: BoolImage = suspect & (near >= _FEWEST_NEIGHBOURS) & (chance < _CHANCE)
        return result


def _sampled_slots(scan: Scan) -> list[int]:
    """Frames spread over all projections and settings, in the order in which they were taken."""
    lit = np.flatnonzero(scan.valid.any(axis=1))
    if np.count_nonzero(scan.valid) <= SAMPLED_FRAMES:
        return sorted(int(slot) for slot in scan.slots[scan.valid])
    slots = set()
    for i in range(SAMPLED_FRAMES):
        k = lit[i * lit.size // SAMPLED_FRAMES]
        frames = np.flatnonzero(scan.valid[k])
        # The golden ratio spreads evenly however many there are.
        slots.add(int(scan.slots[k, frames[int(i * 0.618034 % 1 * frames.size)]]))
    return sorted(slots)


def _pixels(mask: BoolImage) -> str:
    count = int(mask.sum())
    return "1 pixel" if count == 1 else f"{count} pixels"


def _places(mask: BoolImage, scan: Scan) -> str:
    """Where pixels are, in few words: whole columns, whole rows, or the first of them."""
    lines = [
        _numbers(name, np.flatnonzero(mask.all(axis=axis)) + first)
        for name, axis, first in (("column", 0, scan.roi.col), ("row", 1, scan.roi.row))
        if mask.all(axis=axis).any()
    ]
    if lines:
        return " and ".join(lines)
    row, col = np.argwhere(mask)[0]
    return f"the first at row {row + scan.roi.row}, column {col + scan.roi.col}"


def _numbers(name: str, numbers: Sequence[int] | NDArray[np.intp]) -> str:
    if len(numbers) == 1:
        return f"{name} {numbers[0]}"
    return f"{len(numbers)} {name}s from {numbers[0]} to {numbers[-1]}"
