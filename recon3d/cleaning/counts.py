"""Counts that a detector could not hold: saturated ones, and negative ones that wrapped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import warn

FEWEST_SATURATED = 10
"""Pixels of one frame at the largest count from which on it is told; fewer are hot pixels."""

WRAPPED_FROM = 60_000
"""Counts of 16 bits from here on are negative ones, where hardly any lie between."""

_HALF = 1 << 15
_TOPS = (4095, 16383, 65535)
_BETWEEN = 0.1
_FULL = 65535
_NOWHERE = np.empty(0, np.intp)


@dataclass
class CountTally:
    """What the counts of one projection are like, gathered frame by frame as they are read.

    It is the counts of the detector that are judged, before pixels are binned. `_always_upper`
    lists the pixels that are high in every frame so far, and how often each was full.
    """

    frames: int = 0
    _top: int = -1
    _at_top: dict[int, int] = field(default_factory=dict)
    _always_at_top: NDArray[np.intp] | None = None
    _upper: int = 0
    _between: int = 0
    _full: int = 0
    _always_upper: NDArray[np.int64] | None = None

    def look(self, number: int, pixels: NDArray[Any]) -> None:
        """Take one frame into account.

        Parameters
        ----------
        number
            Its number in the projection.
        pixels, shape (rows, cols)
            Its counts as they were recorded.
        """
        if pixels.dtype.kind not in "iu":
            return
        top = int(pixels.max())
        if pixels.dtype == np.uint16:
            self._look_for_wrapped(pixels, top)
        if top > self._top:
            self._top, self._at_top, self._always_at_top = top, {}, None
        if top == self._top and top in (*_TOPS, np.iinfo(pixels.dtype).max):
            at = np.flatnonzero(pixels == top)
            self._at_top[number] = at.size
            known = self._always_at_top
            self._always_at_top = at if known is None else known[pixels.flat[known] == top]
        self.frames += 1

    def _look_for_wrapped(self, pixels: NDArray[np.uint16], top: int) -> None:
        flat = pixels.reshape(-1)
        if top >= _HALF:
            self._between += int(np.count_nonzero(flat >= _HALF))
        upper = np.flatnonzero(flat >= WRAPPED_FROM) if top >= WRAPPED_FROM else _NOWHERE
        self._between -= upper.size
        self._upper += upper.size
        self._full += int(np.count_nonzero(flat[upper] == _FULL))
        if self._always_upper is None:
            self._always_upper = np.stack([upper, np.zeros_like(upper)])
        values = flat[self._always_upper[0]]
        self._always_upper[1] += values == _FULL
        self._always_upper = self._always_upper[:, values >= WRAPPED_FROM]

    @property
    def wrapped(self) -> int:
        """How many counts are negative ones that wrapped around.

        None unless the highest counts stand apart from all others, and are not just saturated.
        What is high in every frame is a hot pixel, and does not count.
        """
        if self._always_upper is None or not self._upper:
            return 0
        high = self._upper - self.frames * self._always_upper.shape[1]
        below_top = high - (self._full - int(self._always_upper[1].sum()))
        apart = below_top >= FEWEST_SATURATED and self._between <= _BETWEEN * high
        return self._upper if apart else 0

    @property
    def saturated(self) -> dict[int, int]:
        """How many pixels are at the detector's largest count, by the numbers of the frames.

        What is there in every frame is a hot pixel, and does not count.
        """
        if self.wrapped:
            return {}
        hot = 0
        if self.frames > 2 and len(self._at_top) == self.frames and self._at_top:
            assert self._always_at_top is not None
            hot = self._always_at_top.size
        found = {number: count - hot for number, count in sorted(self._at_top.items())}
        return {number: n for number, n in found.items() if n >= FEWEST_SATURATED}


def mended(pixels: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Counts of 16 bits of which those from `WRAPPED_FROM` on are negative ones."""
    counts = pixels.astype(np.int32)
    counts[pixels >= WRAPPED_FROM] -= 1 << 16
    return counts


@dataclass
class CountWatch:
    """Keeps what was unusual about the counts of one projection after another.

    Parameters
    ----------
    saturated_pixels
        How many pixels are at the largest count that the detector has.
    saturated_frames
        Names of the frames with at least `FEWEST_SATURATED` of them.
    wrapped_pixels, wrapped_projections
        How many counts were negative ones that wrapped around, and in how many projections.
    hot_pixels
        How many pixels were hot and replaced.
    dropped_pixels
        How many pixels were above the threshold, but in regions too small to be the grain.
    """

    saturated_pixels: int = 0
    saturated_frames: list[str] = field(default_factory=list)
    wrapped_pixels: int = 0
    wrapped_projections: int = 0
    hot_pixels: int = 0
    dropped_pixels: int = 0

    def take(self, tally: CountTally, name: Callable[[int], str]) -> None:
        """Take in a projection.

        Parameters
        ----------
        tally
            What was found in it.
        name
            The name of a frame, by its number in the projection.
        """
        if tally.wrapped:
            self.wrapped_pixels += tally.wrapped
            self.wrapped_projections += 1
        for number, count in tally.saturated.items():
            self.saturated_pixels += count
            self.saturated_frames.append(name(number))

    def add(self, other: CountWatch) -> None:
        """Take over what another one found in other projections."""
        self.saturated_pixels += other.saturated_pixels
        self.saturated_frames += other.saturated_frames
        self.wrapped_pixels += other.wrapped_pixels
        self.wrapped_projections += other.wrapped_projections
        self.hot_pixels += other.hot_pixels
        self.dropped_pixels += other.dropped_pixels

    def provenance(self) -> dict[str, int]:
        """What was found, in numbers."""
        return {
            "saturated_frames": len(self.saturated_frames),
            "saturated_pixels": self.saturated_pixels,
            "wrapped_pixels": self.wrapped_pixels,
            "hot_pixels_replaced": self.hot_pixels,
            "pixels_dropped_by_mask": self.dropped_pixels,
        }

    def tell(self) -> None:
        """Tell, once for the scan, what was found."""
        if self.saturated_frames:
            warn(
                f"{len(self.saturated_frames)} frames are saturated: {self.saturated_pixels} of "
                "their pixels are at the detector's largest count, the first of them in "
                f"{self.saturated_frames[0]}: their intensity is cut off"
            )
        if self.wrapped_pixels:
            warn(
                f"{self.wrapped_pixels} counts from {WRAPPED_FROM} on, in "
                f"{self.wrapped_projections} projections, are taken for negative ones that wrapped "
                "around in 16 bits (hardly any lie between 32768 and there): 65536 is subtracted"
            )
