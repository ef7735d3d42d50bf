"""Pixel values that are not counts: saturated, wrapped around, missing, or stuck."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.errors import DataError, warn
from recon3d.scan.scan import Scan

BoolImage = NDArray[np.bool_]

FEWEST_SATURATED = 10
"""So many pixels of a frame at the largest count are reported; fewer are hot pixels."""

WRAPPED_FROM = 60_000
"""Counts of 16 bits from here on are negative ones, where hardly any lie between."""

FEWEST_LOST = 4
"""Pixels that a peak above the largest count of 16 bits leaves dark; fewer are dead pixels."""

_HALF = 1 << 15
_TOPS = (4095, 16383, 65535)
_BETWEEN = 0.1
_FULL = 65535
_NOWHERE = np.empty(0, np.intp)


@dataclass
class CountTally:
    """What the counts of one projection are like, gathered frame by frame as they are read.

    It is the counts of the detector that are judged, before pixels are binned. `lost` is how many
    of them passed 65535 and began again at 0, see `lost_in_peaks`; `_always_upper` lists the pixels
    that are high in every frame so far, and how often each was full.
    """

    frames: int = 0
    _top: int = -1
    _at_top: dict[int, int] = field(default_factory=dict)
    _always_at_top: NDArray[np.intp] | None = None
    _upper: int = 0
    _between: int = 0
    _full: int = 0
    lost: int = 0
    _always_upper: NDArray[np.int64] | None = None

    def look(self, number: int, pixels: NDArray[Any]) -> None:
        """Take one frame of recorded counts, (rows, cols), into account."""
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
        upper = np.flatnonzero(flat >= WRAPPED_FROM) if top >= WRAPPED_FROM else _NOWHERE
        between = int(np.count_nonzero(flat >= _HALF)) - upper.size if top >= _HALF else 0
        self._between += between
        self._upper += upper.size
        # Bright peaks have flanks; hot pixels, and negative counts that wrapped, have none.
        if upper.size and between > _BETWEEN * upper.size:
            self.lost += lost_in_peaks(pixels)
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
    def stuck(self) -> int:
        """How many pixels are at the detector's largest count in every frame."""
        always = self._always_at_top
        if self.frames < 3 or always is None or len(self._at_top) < self.frames:
            return 0
        return always.size

    @property
    def saturated(self) -> dict[int, int]:
        """How many pixels are at the detector's largest count, by the numbers of the frames.

        What is there in every frame is a hot pixel, and does not count.
        """
        if self.wrapped:
            return {}
        found = {number: count - self.stuck for number, count in sorted(self._at_top.items())}
        return {number: n for number, n in found.items() if n >= FEWEST_SATURATED}


def mended(pixels: NDArray[np.uint16]) -> NDArray[np.int32]:
    """Counts of 16 bits of which those from `WRAPPED_FROM` on are negative ones."""
    counts = pixels.astype(np.int32)
    counts[pixels >= WRAPPED_FROM] -= 1 << 16
    return counts


def lost_in_peaks(pixels: NDArray[np.uint16]) -> int:
    """Pixels that passed 65535 and began again at 0, in the middle of bright ones.

    A hole in a bright region is such a peak if its border is smoother with 65536 added. Holes of
    fewer than `FEWEST_LOST` pixels may be dead ones.
    """
    bright = pixels >= _HALF
    if np.count_nonzero(bright[1:] & bright[:-1]) < FEWEST_LOST:
        return 0
    holes, _ = ndimage.label(ndimage.binary_fill_holes(bright) & ~bright)
    lost = 0
    for number, (rows, cols) in enumerate(ndimage.find_objects(holes), 1):
        # A hole has bright pixels on all sides: one more pixel is always there.
        place = (slice(rows.start - 1, rows.stop + 1), slice(cols.start - 1, cols.stop + 1))
        hole, counts = holes[place] == number, pixels[place]
        around = counts[ndimage.binary_dilation(hole) & ~hole].mean()
        rim = counts[hole & ~ndimage.binary_erosion(hole)].mean()
        if hole.sum() >= FEWEST_LOST and around - rim > _HALF:
            lost += int(hole.sum())
    return lost


@dataclass
class CountWatch:
    """Keeps what was unusual about the counts of one projection after another."""

    saturated_pixels: int = 0  # how many pixels are at the largest count that the detector has
    # names of the frames with at least `FEWEST_SATURATED` of them
    saturated_frames: list[str] = field(default_factory=list)
    wrapped_pixels: int = 0  # counts that were negative and wrapped around
    wrapped_projections: int = 0
    lost_pixels: int = 0  # counts that passed 65535 and began again at 0
    stuck_pixels: int = 0  # pixels at the largest count in every frame of a projection
    stuck_projections: int = 0  # those with at least `FEWEST_SATURATED` stuck pixels
    hot_pixels: int = 0  # how many pixels were hot and replaced
    dropped_pixels: int = 0  # pixels above the threshold, but in regions too small to be the grain
    # the brightest pixels of the projections of which nothing was left
    brightest: tuple[float, ...] = ()

    def take(self, tally: CountTally, name: Callable[[int], str]) -> None:
        """Take in a projection.

        `name`: the name of a frame, by its number in the projection.
        """
        if tally.wrapped:
            self.wrapped_pixels += tally.wrapped
            self.wrapped_projections += 1
        self.lost_pixels += 0 if tally.wrapped else tally.lost
        if tally.stuck >= FEWEST_SATURATED:
            self.stuck_pixels = max(self.stuck_pixels, tally.stuck)
            self.stuck_projections += 1
        for number, count in tally.saturated.items():
            self.saturated_pixels += count
            self.saturated_frames.append(name(number))

    def add(self, other: CountWatch) -> None:
        """Take over what another one found in other projections."""
        both = zip_longest(self.brightest, other.brightest, fillvalue=0.0)
        brightest = tuple(max(pair) for pair in both)
        stuck = max(self.stuck_pixels, other.stuck_pixels)
        for name, value in vars(other).items():
            setattr(self, name, getattr(self, name) + value)
        self.brightest, self.stuck_pixels = brightest, stuck

    def provenance(self) -> dict[str, int]:
        """What was found, in numbers."""
        return {
            "saturated_frames": len(self.saturated_frames),
            "saturated_pixels": self.saturated_pixels,
            "wrapped_pixels": self.wrapped_pixels,
            "lost_pixels": self.lost_pixels,
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
        if self.stuck_projections:
            warn(
                f"{self.stuck_pixels} pixels are at the detector's largest count in every frame of "
                f"{self.stuck_projections} projections, but not in all frames of the scan (a gap "
                "between modules that was not always marked?): --bad-pixels can leave them out"
            )
        if self.lost_pixels:
            warn(
                f"{self.lost_pixels} counts, in the middle of the brightest peaks, passed 65535 "
                "and began again at 0, as 16 bits do: the peaks are dark there; expose shorter"
            )
        if self.wrapped_pixels:
            warn(
                f"{self.wrapped_pixels} counts from {WRAPPED_FROM} on, in "
                f"{self.wrapped_projections} projections, are taken for negative ones that wrapped "
                "around in 16 bits (hardly any lie between 32768 and there): 65536 is subtracted"
            )


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
    """Pixels of a region, (rows, cols), that hold the same in every frame that was looked at."""

    # not finite, or at a value that stands for none: the type's largest, 65535, 2^32 - 1, or a
    # negative number
    without_value: BoolImage
    constant: BoolImage  # at one value, while the pixels around them change

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
        """Tell what is masked, and where it begins."""
        kinds = {
            "without a value in any frame (a gap between modules?)": self.without_value,
            "that never change (dead, or stuck)": self.constant,
        }
        told = []
        for what, mask in kinds.items():
            if count := int(mask.sum()):
                row, col = np.argwhere(mask)[0] + (scan.roi.row, scan.roi.col)
                pixels = "1 pixel" if count == 1 else f"{count} pixels"
                told.append(f"{pixels} {what}: the first at row {row}, column {col}")
        if told:
            warn(f"{'; '.join(told)}. They are masked like bad pixels")


def find_silent_pixels(scan: Scan) -> SilentPixels:
    """Look at frames spread over a raw scan for pixels that never tell anything.

    Pixels that it masks already are left out. Up to `SAMPLED_FRAMES` frames of its region are read,
    one at a time. Raises a DataError where no pixel of the region has a value.
    """
    plain = scan.binned(1)
    frames = 0
    for slot in _sampled_slots(scan):
        try:
            pixels = plain.read_frame(slot)
        except DataError:
            continue  # found again, and told of, when all frames are read
        if not frames:
            first, finite = pixels.copy(), np.zeros(pixels.shape, bool)
            unchanged = np.zeros(pixels.shape, np.int16)
        unchanged += pixels == first
        finite |= np.isfinite(pixels)
        frames += 1
    none = np.zeros(plain.shape[2:], bool)
    if frames < FEWEST_FRAMES:
        return SilentPixels(none, none)
    markers = [*_MARKERS, np.iinfo(first.dtype).max] if first.dtype.kind in "iu" else [*_MARKERS]
    same = unchanged == frames
    without_value = ~finite | same & (np.isin(first, markers) | (first < 0))
    known = none if plain.masked is None else plain.masked[plain.roi.slices]
    if (without_value | known).all():
        raise DataError(
            f"no pixel of the region of {plain.roi.rows} x {plain.roi.cols} pixels from row "
            f"{plain.roi.row}, column {plain.roi.col} has a value in the {frames} frames that "
            "were looked at: is it beside the detector's active area?"
        )
    stuck = same & ~without_value & _incredible(unchanged, finite, frames)
    return SilentPixels(without_value & ~known, stuck & ~known)


def _incredible(unchanged: NDArray[np.int16], finite: BoolImage, frames: int) -> BoolImage:
    """Where the pixels around make it incredible that one is the same in all frames by chance.

    `unchanged`: in how many frames a pixel is at its first value. With a share q of frames in which
    the neighbours are at their first value too, a pixel is so in n frames with a probability of
    about q^(n-1): where few photons come, this is no small number, and the pixel is left alone.
    """
    varying = ((unchanged < frames) & finite).astype(np.float32)
    near = ndimage.uniform_filter(varying, _AROUND_PIX, mode="constant")
    share = varying * unchanged / np.float32(frames)
    share = ndimage.uniform_filter(share, _AROUND_PIX, mode="constant")
    with np.errstate(divide="ignore", invalid="ignore"):
        chance = (share / near) ** (frames - 1) * unchanged.size
    result: BoolImage = (near >= _FEWEST_NEIGHBOURS) & (chance < _CHANCE)
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
