"""Counts that a detector could not hold: saturated ones, and negative ones that wrapped."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import Recon3DWarning

FEWEST_SATURATED = 10
"""Pixels of one frame at the largest count from which on it is told; fewer are hot pixels."""

WRAPPED_FROM = 60_000
"""Counts of 16 bits from here on are negative ones, where hardly any lie between."""

_HALF = 1 << 15
_TOPS = (4095, 16383, 65535)
_BETWEEN = 0.1


@dataclass
class CountWatch:
    """Looks at the counts of one projection after another, and mends what can be mended.

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

    def mended(
        self, raw: NDArray[Any], valid: NDArray[np.bool_], name: Callable[[int], str]
    ) -> NDArray[Any]:
        """Counts as the detector meant them.

        Parameters
        ----------
        raw
            Shape (frames, rows, cols).
        valid
            Shape (frames,): which of them were recorded.
        name
            The name of a frame.

        Returns
        -------
        counts, shape (frames, rows, cols)
            The same array where nothing had wrapped, else one of int32.
        """
        if raw.dtype.kind not in "iu" or not valid.any():
            return raw
        top = int(raw.max())
        if raw.dtype == np.uint16 and top >= WRAPPED_FROM and _has_wrapped(raw[valid]):
            high = raw >= WRAPPED_FROM
            self.wrapped_pixels += int(np.count_nonzero(high))
            self.wrapped_projections += 1
            return np.where(high, raw.astype(np.int32) - (1 << 16), raw).astype(np.int32)
        if top in (*_TOPS, np.iinfo(raw.dtype).max):
            self._note_saturation(raw, top, valid, name)
        return raw

    def _note_saturation(
        self, raw: NDArray[Any], top: int, valid: NDArray[np.bool_], name: Callable[[int], str]
    ) -> None:
        at_top = raw[valid] == top
        if len(at_top) > 2:  # what is at the top in every frame is a hot pixel
            at_top &= ~at_top.all(axis=0)
        pixels = np.count_nonzero(at_top, axis=(1, 2))
        for number, count in zip(np.flatnonzero(valid), pixels, strict=True):
            if count >= FEWEST_SATURATED:
                self.saturated_pixels += int(count)
                self.saturated_frames.append(name(int(number)))

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

    def warn(self, stacklevel: int) -> None:
        """Tell, once for the scan, what was found."""
        if self.saturated_frames:
            warnings.warn(
                f"{len(self.saturated_frames)} frames are saturated: {self.saturated_pixels} of "
                "their pixels are at the detector's largest count, the first of them in "
                f"{self.saturated_frames[0]}: their intensity is cut off",
                Recon3DWarning,
                stacklevel=stacklevel + 1,
            )
        if self.wrapped_pixels:
            warnings.warn(
                f"{self.wrapped_pixels} counts from {WRAPPED_FROM} on, in "
                f"{self.wrapped_projections} projections, are taken for negative ones that wrapped "
                "around in 16 bits (hardly any lie between 32768 and there): 65536 is subtracted",
                Recon3DWarning,
                stacklevel=stacklevel + 1,
            )


def _has_wrapped(raw: NDArray[np.uint16]) -> bool:
    """Whether the highest counts stand apart from all others, and are not just saturated.

    What is high in every frame is a hot pixel, and does not count.
    """
    upper = raw >= WRAPPED_FROM
    hot = upper.all(axis=0)
    high = int(np.count_nonzero(upper)) - len(raw) * int(np.count_nonzero(hot))
    between = int(np.count_nonzero((raw >= _HALF) & ~upper & ~hot))
    at_top = (raw == np.iinfo(np.uint16).max) & ~hot
    below_top = high - int(np.count_nonzero(at_top))
    return below_top >= FEWEST_SATURATED and between <= _BETWEEN * high
