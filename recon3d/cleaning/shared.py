"""The work on raw projections, done by one process or shared among many."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.counts import CountWatch
from recon3d.cleaning.normalization import Normalizer
from recon3d.cleaning.projection import CleanedProjection, work_on_projection
from recon3d.cleaning.reading import RawProjection, read_projections
from recon3d.experiment import Cleaning
from recon3d.io.damage import Damage
from recon3d.io.scan import Scan
from recon3d.team import Team

STOP_ROUNDS = 4
"""How often members ask whether to stop: each time all of them wait for the first one."""


@dataclass(frozen=True, eq=False)
class Worked:
    """A projection that was read and cleaned.

    Parameters
    ----------
    k
        Its number.
    valid, shape (frames,)
        Which frames can be used.
    damaged
        Name and reason of each frame that cannot, by its number.
    raw, shape (frames, rows, cols)
        The frames as they were recorded; None where they were not asked for. They are there
        until the next projection is asked for, and so are those of `done`.
    done
        The frames when clean.
    """

    k: int
    valid: NDArray[np.bool_]
    damaged: dict[int, Damage]
    raw: NDArray[Any] | None
    done: CleanedProjection


@dataclass
class Work:
    """Cleans one projection after another, and keeps what is learnt on the way.

    Parameters
    ----------
    scan, cleaning, calibration
        What is cleaned, and how.
    normalizer
        The factors so far.
    keep
        Keep the frames as they were recorded, and before the mask.
    skip_damaged, show_progress
        As in `recon3d.clean`.
    watch
        What was unusual about the counts so far.
    sent
        Whether results are sent to another process: frames that nobody asked for are not.
    """

    scan: Scan
    cleaning: Cleaning
    calibration: Calibration
    normalizer: Normalizer
    keep: bool
    skip_damaged: bool
    show_progress: bool
    watch: CountWatch = field(default_factory=CountWatch)
    sent: bool = field(default=False, init=False)

    def shared(self, team: Team) -> Iterator[Worked]:
        """Go through the projections with others; the first member gets all, in their order.

        Until a projection has set the scale of all others the first member works alone.
        """
        first, self.sent = 0, team.size > 1
        if self.sent:
            for worked, notes in self._each(range(self.scan.shape[0]) if team.rank == 0 else ()):
                self._learn(worked.k, notes)
                yield worked
                first = worked.k + 1
                if self.normalizer.scaled:
                    break
        first, current, total = team.agree(
            (first, self.normalizer.reference_current_ma, self.normalizer.reference_total)
        )
        self.normalizer.reference_current_ma, self.normalizer.reference_total = current, total
        numbers = range(first, self.scan.shape[0])
        # Members with nothing left to do still take part in the last round.
        rounds = -(-len(numbers) // team.size)
        own = self._each(team.share(numbers))
        for number in range(rounds):
            if number % STOP_ROUNDS == 0 and team.stopping():
                raise KeyboardInterrupt
            found = next(own, None)
            packed = found if found is None or team.rank == 0 else (_packed(found[0]), found[1])
            del found
            for one in team.gathered(packed):
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
            raw = read.counts
            done = work_on_projection(
                raw,
                read.valid,
                currents[read.k],
                cleaning,
                self.calibration,
                normalizer,
                self.keep,
                room,
            )
            watch.hot_pixels, watch.dropped_pixels = done.hot_pixels, done.dropped_pixels
            room = done.frames
            kept = read.frames if self.keep or not self.sent else None
            yield Worked(read.k, read.valid, read.damaged, kept, done), (normalizer, watch)
            # Else its frames would be held while the next ones are worked on.
            del done, raw, read, kept

    def _learn(self, k: int, notes: _Notes) -> None:
        normalizer, watch = notes
        self.normalizer.take_over(k, normalizer)
        self.watch.add(watch)

    def _namer(self, read: RawProjection) -> Callable[[int], str]:
        return lambda frame: self.scan.source.name(int(self.scan.slots[read.k, frame]))


_Notes = tuple[Normalizer, CountWatch]


def _packed(worked: Worked) -> Worked:
    """The same with the frames that are not dark alone, which is less to send."""
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
