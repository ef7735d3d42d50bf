"""Raw projections one after another, read ahead, with the frames that turn out unusable."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.counts import CountTally, mended
from recon3d.errors import DataError
from recon3d.io.damage import Damage, list_damage, trouble_in
from recon3d.io.scan import Scan
from recon3d.progress import track

_ALONE = "is the only frame of its projection: nothing rocked, and no dark frame can be made"


@dataclass(frozen=True, eq=False)
class RawProjection:
    """One projection as it was read.

    Parameters
    ----------
    k
        Its number.
    frames
        Shape (frames, rows, cols): zeros where a frame is missing or damaged. Bins have the
        sums of counts as the detector meant them.
    valid
        Shape (frames,): which frames can be used.
    damaged
        Name and reason of each frame that cannot be used, by its number in the projection.
    tally
        What is unusual about the counts.
    """

    k: int
    frames: NDArray[Any]
    valid: NDArray[np.bool_]
    damaged: dict[int, Damage]
    tally: CountTally

    @property
    def counts(self) -> NDArray[Any]:
        """The frames as the detector meant them: the same array where nothing had wrapped."""
        as_recorded = self.frames.dtype == np.uint16
        return mended(self.frames) if self.tally.wrapped and as_recorded else self.frames


def read_projections(
    scan: Scan, numbers: Sequence[int], *, skip_damaged: bool, show: bool
) -> Iterator[RawProjection]:
    """Go through some projections, reading each while its forerunner is worked on.

    Two arrays of frames take turns, since a new one for each would cost as much as reading
    does: the frames of a projection are there until the next one is asked for.

    Parameters
    ----------
    scan
        The raw scan.
    numbers
        Which projections, in which order.
    skip_damaged
        Leave frames out that cannot be read; else all of them are looked for and named.
    show
        Show a progress bar.

    Raises
    ------
    DataError
        Frames cannot be read, or hold counts that are no numbers.
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
            yield _without_lone_frame(scan, projection)


def read_projection(scan: Scan, k: int, room: NDArray[Any] | None = None) -> RawProjection:
    """Read one projection, going on after frames that cannot be read.

    Parameters
    ----------
    scan
        The raw scan.
    k
        Which projection.
    room, shape (frames, rows, cols)
        Where to write its frames; a new array where None.
    """
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
            pixels = scan.read_into(slot, frames[frame], recorded)
            reason = trouble_in(pixels)
        except DataError as error:
            reason = str(error).removeprefix(scan.source.name(slot)).strip()
        if reason:
            frames[frame], valid[frame] = 0, False
            damaged[frame] = (scan.source.name(slot), reason)
        else:
            tally.look(frame, pixels)
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
    """Read once more, now that it is known which counts are negative, and bin what was meant."""
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


def _without_lone_frame(scan: Scan, projection: RawProjection) -> RawProjection:
    """Leave out the frame of a projection that has no other, where other projections do."""
    if np.count_nonzero(projection.valid) != 1:
        return projection
    frame = int(np.argmax(projection.valid))
    lone = {frame: (scan.source.name(int(scan.slots[projection.k, frame])), _ALONE)}
    return RawProjection(
        projection.k,
        np.zeros_like(projection.frames),
        np.zeros_like(projection.valid),
        projection.damaged | lone,
        CountTally(),
    )
