"""Single frames, cleaned as the whole scan would be, quickly enough for a slider."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.cleaning.calibration import calibrated
from recon3d.cleaning.kernels.frames import BoolFrame, FloatFrame
from recon3d.cleaning.light import noise_of, plane_below
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.sharing import RawProjection, read_projection
from recon3d.cleaning.steps import (
    Subtracted,
    check_region,
    frame_background,
    signal_mask,
    subtract_frame_background,
    subtract_pedestal,
    subtract_projection,
)
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError
from recon3d.readers.source import list_damage
from recon3d.scan.scan import Scan

_REMEMBERED = 10
"""Projections whose dark frame is kept: the shown one, and nine spread over the scan."""


@dataclass(frozen=True, eq=False)
class FrameSteps:
    """One frame on its way through cleaning; every image has the shape (rows, cols)."""

    before: FloatFrame  # the recorded counts
    pedestal: FloatFrame  # what steps 1 and 2 subtract: background and dark
    background: FloatFrame  # the frame's own background of step 5
    unmasked: FloatFrame  # the counts after step 5
    mask: BoolFrame  # where the grain is
    after: FloatFrame  # the result: `unmasked` inside the mask
    factor: float  # by how much step 4 multiplied


class Kept(NamedTuple):
    """How much of the signal of a projection survives the mask, in counts."""

    projection: int
    inside: float  # signal above 3 standard deviations of the noise, inside the mask
    total: float  # the same altogether
    summed: FloatFrame  # the sum over the cleaned frames, (rows, cols)


class Signal(NamedTuple):
    """The signal of a projection, to judge what cleaning keeps of it."""

    start: Subtracted  # the projection after step 3
    # (frames, rows, cols): counts of pixels that are signal beyond doubt, 0 elsewhere
    above: FloatFrame
    noise: float  # standard deviation of the counts where there is no signal


_Level = tuple[FloatFrame, NDArray[np.float32]]
"""What steps 1 to 4 need to know of a projection: its pedestal, and the factors of its frames."""


class FramePreview:
    """Cleans one frame of a raw scan at a time, exactly as `recon3d.clean` does.

    The dark frame and the factor of a frame depend on its whole projection. They are found by
    `prepare`, which reads it; until then a frame is shown with those of the last projection. Where
    the scan is binned, cleaning is given in counts and pixels of the detector, and the images are
    of bins. `images`: those of `recon3d.clean`.
    """

    def __init__(self, scan: Scan, **images: Any) -> None:
        self.scan, self.calibration, _ = calibrated(scan, **images)
        self._currents = scan.motors.ring_current_ma
        self._levels: OrderedDict[tuple[Any, ...], _Level] = OrderedDict()
        self._references: dict[tuple[Any, ...], Normalizer] = {}
        self._last: tuple[Any, Any, Any, Any] = (None, None, None, None)

    def raw(self, k: int, frame: int) -> NDArray[Any]:
        """Read one recorded frame, (rows, cols); zeros where it is missing."""
        slot = int(self.scan.slots[k, frame])
        if slot < 0:
            return np.zeros(self.scan.shape[2:], self.scan.dtype)
        return self.scan.read_frame(slot)

    def own(self, cleaning: Cleaning) -> Cleaning:
        """What `cleaning` is for the frames as they are read: for bins, where there are any."""
        return cleaning.for_bins(*self.scan.binning)

    def is_exact(self, k: int, cleaning: Cleaning) -> bool:
        """Whether the dark frame and the factors of a projection are known."""
        return (k, *_early(self.own(cleaning))) in self._levels

    def prepare(self, k: int, cleaning: Cleaning) -> None:
        """Read a projection, and find its dark frame and the factors of its frames."""
        if not self.is_exact(k, cleaning):
            own = self.own(cleaning)
            self._remember(k, own, self._subtract(k, own))

    def steps(self, k: int, frame: int, cleaning: Cleaning) -> FrameSteps:
        """Clean frame `frame` of projection `k` and keep the images on the way; only it is read.

        Raises a ParameterError where `framebg` leaves nothing of the region, a DataError where the
        frame cannot be read.
        """
        own = self.own(cleaning)
        check_region(self.scan.shape[2:], own)
        pedestal, factors = self._level(k, own)
        key = (k, frame, *_early(own))
        last, dark, raw, subtracted = self._last
        if last != key or dark is not pedestal:
            raw = self.raw(k, frame)
            subtracted = np.empty((1, *raw.shape), np.float32)
            given = raw[None], np.ones(1, bool), pedestal, 2 if own.dark else None
            subtract_pedestal(*given, own, self.calibration, subtracted)
            self._last = key, pedestal, raw, subtracted  # it stays while `binth` moves
        return steps_of(raw, subtracted[0], pedestal, float(factors[frame]), own)

    def kept(self, k: int, cleaning: Cleaning) -> Iterator[Kept]:
        """Tell how much of a projection's signal the mask keeps, after every frame of it.

        The last sums are of the whole projection; between two of them there is time to stop.
        """
        cleaning = self.own(cleaning)
        read, start, noise = self._begin(k, cleaning)
        raw = read.counts
        self._remember(k, cleaning, start)
        inside = total = 0.0
        summed = np.zeros(raw.shape[1:], np.float32)
        for frame in np.flatnonzero(read.valid).tolist():
            factor = float(start.factors[frame])
            steps = steps_of(raw[frame], start.frames[frame], start.pedestal, factor, cleaning)
            signal = self._above_noise(raw[frame], start, frame, noise)
            inside += float(signal.sum(where=steps.after > 0, dtype=np.float64))
            total += float(signal.sum(dtype=np.float64))
            summed += steps.after
            yield Kept(k, inside, total, summed)

    def signal(self, k: int, cleaning: Cleaning) -> Signal:
        """What of a projection is signal beyond doubt, before any rim or threshold is chosen."""
        read, start, noise = self._begin(k, self.own(cleaning))
        raw = read.counts
        above = np.zeros(raw.shape, np.float32)
        for frame in np.flatnonzero(read.valid).tolist():
            above[frame] = self._above_noise(raw[frame], start, frame, noise)
        return Signal(start, above, noise)

    def _read(self, k: int) -> RawProjection:
        """Read a projection as the cleaning does, without damaged frames while there are others."""
        read = read_projection(self.scan, k)
        if read.damaged and not read.valid.any():
            raise DataError(list_damage(read.damaged.values()))
        return read

    def _begin(self, k: int, cleaning: Cleaning) -> tuple[RawProjection, Subtracted, float]:
        """Read a projection, do steps 0 to 3 on it, and find the deviation of its dark counts.

        It is that of the difference of the two weakest frames, which hold the least signal.
        """
        read = self._read(k)
        start, raw = self._subtract(k, cleaning, read), read.counts
        frames = np.flatnonzero(read.valid)
        weakest = frames[np.argsort(start.frames[frames].sum(axis=(1, 2)), kind="stable")[:2]]
        between = raw[weakest[0]].astype(np.float32) - raw[weakest[-1]]
        noise = noise_of(between * self.calibration.gain) * float(start.factors[weakest[0]])
        of_dark = 0.5 if cleaning.dark and start.dark_subtracted else 0.0
        return read, start, noise * float(np.sqrt(1 + of_dark))

    def _above_noise(
        self, raw: NDArray[Any], start: Subtracted, frame: int, noise: float
    ) -> FloatFrame:
        """Counts above a plane, of pixels that stand 3 standard deviations out of the noise.

        So do they and their neighbours together, which noise does not. Negative counts are
        left in, and hot pixels out.
        """
        above = (raw.astype(np.float32) - start.pedestal) * self.calibration.gain
        above = np.minimum(above, start.frames[frame]) * start.factors[frame]
        above -= plane_below(above, noise)
        above[self.calibration.bad] = 0
        around = ndimage.uniform_filter(above, 3)
        signal: FloatFrame = np.where(
            (above > 3 * noise) & (around > 1.5 * noise), above, np.float32(0)
        )
        return signal

    def _level(self, k: int, cleaning: Cleaning) -> _Level:
        key = (k, *_early(cleaning))
        if key in self._levels:
            self._levels.move_to_end(key)
            return self._levels[key]
        alike = [known for known in self._levels if known[1:] == key[1:]]
        if not alike:
            self._remember(k, cleaning, self._subtract(k, cleaning))
            return self._levels[key]
        return self._levels[alike[-1]]

    def _subtract(
        self, k: int, cleaning: Cleaning, read: RawProjection | None = None
    ) -> Subtracted:
        """Do steps 0 to 3 on a projection, on the scale of the first one."""
        early = _early(cleaning)
        if early not in self._references:
            normalizer = Normalizer(cleaning.normalize)
            self._run(0, cleaning, normalizer, read if k == 0 else None)
            self._references[early] = normalizer
        return self._run(k, cleaning, self._references[early].begun_again(), read)

    def _run(
        self, k: int, cleaning: Cleaning, normalizer: Normalizer, read: RawProjection | None
    ) -> Subtracted:
        read = read or self._read(k)
        recorded = read.counts, read.valid, self._currents[k]
        return subtract_projection(*recorded, cleaning, self.calibration, normalizer)

    def _remember(self, k: int, cleaning: Cleaning, start: Subtracted) -> None:
        self._levels[(k, *_early(cleaning))] = start.pedestal, start.factors
        while len(self._levels) > _REMEMBERED:
            self._levels.popitem(last=False)


def steps_of(
    raw: NDArray[Any],
    subtracted: FloatFrame,
    pedestal: FloatFrame,
    factor: float,
    cleaning: Cleaning,
) -> FrameSteps:
    """Do steps 4 to 6 on one frame, and keep the images on the way, all (rows, cols).

    `subtracted`: the counts after step 3. `pedestal`: what was subtracted. `factor`: by what step 4
    multiplies.
    """
    framebg, binth = cleaning.chosen
    scaled = subtracted * np.float32(factor)
    unmasked = subtract_frame_background(scaled, framebg)
    mask = signal_mask(
        unmasked, binth, cleaning.min_region_pix, cleaning.close_radius_pix, cleaning.fill_holes
    )
    return FrameSteps(
        before=raw.astype(np.float32),
        pedestal=pedestal,
        background=frame_background(scaled, framebg),
        unmasked=unmasked,
        mask=mask,
        after=np.where(mask, unmasked, np.float32(0)),
        factor=factor,
    )


def _early(cleaning: Cleaning) -> tuple[Any, ...]:
    """The parameters that steps 1 to 4 depend on."""
    return (cleaning.dark, cleaning.hot_pixels, cleaning.hot_limit, cleaning.normalize)
