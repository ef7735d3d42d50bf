"""Reading and cleaning of raw projections, by one process or shared among several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.counts import CountTally, CountWatch, mended
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import CleanedProjection, brightest_pixels, work_on_projection
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError
from recon3d.readers.source import Damage, list_damage
from recon3d.runtime.communicator import Communicator
from recon3d.runtime.progress import track
from recon3d.scan.scan import Scan

STOP_ROUNDS = 4
"""How often members ask whether to stop: each time all of them wait for the first one."""


@dataclass(frozen=True, eq=False)
class Worked:
    """A projection that was read and cleaned; its frames stay until the next one is asked for."""

    k: int
    valid: NDArray[np.bool_]  # (frames,): which frames can be used
    damaged: dict[int, Damage]  # name and reason of each frame that cannot, by its number
    # (frames, rows, cols): as they were recorded; None where they were not asked for
    raw: NDArray[Any] | None
    done: CleanedProjection  # the frames when clean


@dataclass
class Work:
    """Cleans one projection after another, and keeps what is learnt on the way."""

    scan: Scan
    cleaning: Cleaning
    calibration: Calibration
    normalizer: Normalizer  # the factors so far
    keep: bool  # keep the frames as they were recorded, and before the mask
    skip_damaged: bool
    show_progress: bool
    # what was unusual about the counts so far
    watch: CountWatch = field(default_factory=CountWatch)
    # whether results are sent to another process: frames that nobody asked for are not
    sent: bool = field(default=False, init=False)

    def shared(self, communicator: Communicator) -> Iterator[Worked]:
        """Go through the projections with others; the first member gets all, in their order.

        Until a projection has set the scale of all others the first member works alone.
        """
        first, self.sent = 0, communicator.size > 1
        if self.sent:
            for worked, notes in self._each(
                range(self.scan.shape[0]) if communicator.rank == 0 else ()
            ):
                self._learn(worked.k, notes)
                yield worked
                first = worked.k + 1
                if self.normalizer.scaled:
                    break
        first, current, total = communicator.agree(
            (first, self.normalizer.reference_current_ma, self.normalizer.reference_total)
        )
        self.normalizer.reference_current_ma, self.normalizer.reference_total = current, total
        numbers = range(first, self.scan.shape[0])
        # Members with nothing left to do still take part in the last round.
        rounds = -(-len(numbers) // communicator.size)
        own = self._each(communicator.share(numbers))
        for number in range(rounds):
            if number % STOP_ROUNDS == 0 and communicator.stopping():
                raise KeyboardInterrupt
            found = next(own, None)
            packed = (
                found if found is None or communicator.rank == 0 else (_packed(found[0]), found[1])
            )
            del found
            for one in communicator.gathered(packed):
                if one is not None:
                    self._learn(one[0].k, one[1])
                    yield _unpacked(one[0], self.scan.shape[1])
        # Asking once more lets the reading end, and its progress bar reach the last projection.
        next(own, None)

    def _each(self, numbers: Any) -> Iterator[tuple[Worked, _Notes]]:
        """Work on some projections; what each teaches comes with it."""
        currents = self.scan.motors.ring_current_ma
        cleaning = self.cleaning.for_bins(*self.scan.binning)
        room: NDArray[np.float32] | None = None
        for read in read_projections(
            self.scan, numbers, skip_damaged=self.skip_damaged, show=self.show_progress
        ):
            watch, normalizer = CountWatch(), self.normalizer.begun_again()
            watch.take(read.tally, self._namer(read))
            given = read.counts, read.valid, currents[read.k], cleaning, self.calibration
            done = work_on_projection(*given, normalizer, self.keep, room)
            watch.hot_pixels, watch.dropped_pixels = done.hot_pixels, done.dropped_pixels
            if read.valid.any() and not done.sums.any():
                watch.brightest = brightest_pixels(*given, self.normalizer)
            room = done.frames
            kept = read.frames if self.keep or not self.sent else None
            yield Worked(read.k, read.valid, read.damaged, kept, done), (normalizer, watch)
            # Else its frames would be held while the next ones are worked on.
            del done, given, read, kept

    def _learn(self, k: int, notes: _Notes) -> None:
        normalizer, watch = notes
        self.normalizer.take_over(k, normalizer)
        self.watch.add(watch)

    def _namer(self, read: RawProjection) -> Callable[[int], str]:
        return lambda frame: self.scan.source.name(int(self.scan.slots[read.k, frame]))


_Notes = tuple[Normalizer, CountWatch]


def _packed(worked: Worked) -> Worked:
    """The same with the frames that are not dark alone, which is less to send.

    Where 0.3 of 121 frames of 300 x 300 pixels are lit, sending takes 25 ms rather than 89.
    """
    frames = worked.done.frames[worked.done.sums > 0]
    return replace(worked, done=replace(worked.done, frames=frames))


def _unpacked(worked: Worked, frames: int) -> Worked:
    """Put dark frames back among those that were sent."""
    done = worked.done
    if len(done.frames) == frames:
        return worked
    whole = np.zeros((frames, *done.frames.shape[1:]), np.float32)
    whole[done.sums > 0] = done.frames
    return replace(worked, done=replace(done, frames=whole))


_ALONE = "is the only frame of its projection: nothing rocked, and no dark frame can be made"


@dataclass(frozen=True, eq=False)
class RawProjection:
    """One projection as it was read."""

    k: int
    # (frames, rows, cols): zeros where a frame is missing or damaged; bins have the sums of counts
    # as the detector meant them
    frames: NDArray[Any]
    valid: NDArray[np.bool_]  # (frames,): which frames can be used
    # name and reason of each frame that cannot be used, by its number in the projection
    damaged: dict[int, Damage]
    tally: CountTally  # what is unusual about the counts

    @property
    def counts(self) -> NDArray[Any]:
        """The frames as the detector meant them: the same array where nothing had wrapped."""
        as_recorded = self.frames.dtype == np.uint16
        return mended(self.frames) if self.tally.wrapped and as_recorded else self.frames


def read_projections(
    scan: Scan, numbers: Sequence[int], *, skip_damaged: bool, show: bool
) -> Iterator[RawProjection]:
    """Go through some projections, reading each while its forerunner is worked on.

    Two arrays of frames take turns: those of a projection are there until the next one is asked
    for. `skip_damaged`: leave out frames that cannot be read; else all are named in a DataError.
    """
    if not numbers:
        return
    rooms = cycle([np.zeros(scan.shape[1:], scan.dtype) for _ in numbers[:2]])
    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(read_projection, scan, numbers[0], next(rooms))
        following = [*numbers[1:], None]
        for after in track(following, "cleaning", unit="projection", show=show):
            projection = pending.result()
            if projection.damaged and not skip_damaged:
                raise _all_damage(scan, projection, show)
            if after is not None:
                pending = reader.submit(read_projection, scan, after, next(rooms))
            yield _without_lone_frame(scan, _without_empty_frames(scan, projection))


def read_projection(scan: Scan, k: int, room: NDArray[Any] | None = None) -> RawProjection:
    """Read one projection, into `room` if given, going on after frames that cannot be read."""
    frames = np.zeros(scan.shape[1:], scan.dtype) if room is None else room
    recorded = scan.room_for_recorded()
    slots = scan.slots[k]
    valid = slots >= 0
    frames[~valid] = 0
    damaged: dict[int, Damage] = {}
    tally = CountTally()
    for frame in np.argsort(slots)[np.count_nonzero(~valid) :].tolist():  # as they were taken
        slot = int(slots[frame])
        try:
            tally.look(frame, scan.read_counts(slot, frames[frame], recorded))
        except DataError as error:
            frames[frame], valid[frame] = 0, False
            name = scan.source.name(slot)
            damaged[frame] = (name, str(error).removeprefix(name).strip())
    if recorded is not None and tally.wrapped:
        _bin_mended(scan, slots, frames, valid, recorded)
    return RawProjection(k, frames, valid, damaged, tally)


def _bin_mended(
    scan: Scan,
    slots: NDArray[np.int64],
    frames: NDArray[Any],
    valid: NDArray[np.bool_],
    recorded: NDArray[Any],
) -> None:
    """Read once more, now that it is known which counts are negative, and bin what they are."""
    for frame in np.flatnonzero(valid):
        pixels = scan.read_into(int(slots[frame]), frames[frame], recorded)
        scan.binning.sum_into(mended(pixels), frames[frame])


def _all_damage(scan: Scan, first: RawProjection, show: bool) -> DataError:
    """The error that names every frame of a scan, from one projection on, that is damaged."""
    damaged = list(first.damaged.values())
    rest = range(first.k + 1, scan.shape[0])
    for k in track(rest, "looking for more damage", unit="projection", show=show):
        damaged += read_projection(scan, k).damaged.values()
    count = int(np.count_nonzero(scan.slots >= 0))
    return DataError(
        f"{len(damaged)} of {count} frames are damaged: {list_damage(damaged)}. "
        "(--skip-damaged leaves them out)"
    )


_SAMPLE = 101
_FAR_COUNTS = 5.0
"""A frame of zeros was never written where others have more than this in nearly all pixels."""


def _without_empty_frames(scan: Scan, projection: RawProjection) -> RawProjection:
    """Leave out frames of nothing but 0 or full counts, as of a file that was never filled.

    Where other frames have dark pixels, as with a photon counter, zeros are counts.
    """
    frames, full = projection.frames, _full_count(scan)
    sample = frames.reshape(len(frames), -1)[:, ::_SAMPLE]
    numbers = np.flatnonzero(projection.valid)
    even = [k for k in numbers if sample[k, 0] in (0, full) and np.ptp(sample[k]) == 0]
    even = [k for k in even if np.ptp(frames[k]) == 0]
    others = np.setdiff1d(numbers, even)
    if not even or not others.size:
        return projection
    low, high = np.quantile(sample[others], (0.02, 0.98), axis=1)
    empty = {
        int(k): (
            scan.source.name(int(scan.slots[projection.k, k])),
            f"holds {sample[k, 0]:g} in every pixel, where other frames of its projection hold "
            f"{low.min():g} to {high.max():g}: was it ever written?",
        )
        for k in even
        if (low.min() > _FAR_COUNTS if sample[k, 0] == 0 else high.max() < full)
    }
    valid = projection.valid.copy()
    valid[list(empty)] = False
    frames[list(empty)] = 0
    return replace(projection, valid=valid, damaged=projection.damaged | empty)


def _full_count(scan: Scan) -> float:
    """The largest count of the detector's type, summed over a bin; NaN for floating point."""
    kind = scan.source.dtype
    return scan.binning.pixels * np.iinfo(kind).max if kind.kind in "iu" else np.nan


def _without_lone_frame(scan: Scan, projection: RawProjection) -> RawProjection:
    """Leave out the frame of a projection that has no other, where other projections do."""
    if np.count_nonzero(projection.valid) != 1:
        return projection
    frame = int(np.argmax(projection.valid))
    lone = {frame: (scan.source.name(int(scan.slots[projection.k, frame])), _ALONE)}
    nothing = np.zeros_like(projection.frames), np.zeros_like(projection.valid)
    return RawProjection(projection.k, *nothing, projection.damaged | lone, CountTally())
