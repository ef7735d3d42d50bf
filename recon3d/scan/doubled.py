"""Frames that were taken twice: which of them is used, and why."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError
from recon3d.readers.damage import Damage
from recon3d.readers.source import FrameSource, Roi
from recon3d.scan.grid import Candidate
from recon3d.scan.table import in_words

MOST_DOUBLED = 0.25
"""Share of the frames beyond which copies of equal merit are none: two scans are mixed."""
LATER, BEAM, READABLE = "was taken later", "has beam", "can be read"
_LOOKS = 50
"""How many settings are looked at before two scans are taken to be mixed."""
_BLOCK = 4
_LIT = 8.0
"""How many standard deviations of the background the brightest part of a lit frame has."""
_DARKER = 3.0

_Lit = tuple[list[int], str]
"""Those of some frames that have signal, and what that is called."""


class _Doubled(NamedTuple):
    """A frame that another one, taken at the same setting, stands for."""

    frame: int  # which one of the source it is
    name: str
    winner: str  # the name of the one that is used, without what it shares with the other's
    where: str  # the setting of both, in words
    why: str  # what speaks for the other one


@dataclass(frozen=True, eq=False)
class Settled:
    """Which frames of a scan are used where some were taken twice."""

    kept: NDArray[np.int64]  # the frames that are used
    # whether the others can be copies of them: without them there is one scan
    are_copies: bool = False
    left_out: tuple[Damage, ...] = ()  # each of the others, and why another one is used
    warning: str = ""  # where they are left out: how many for which reason, an example
    refusal: str = ""  # where they are not; empty where no frame was taken twice


def settle_doubled(grid: Candidate | None, source: FrameSource, goniometer: Goniometer) -> Settled:
    """Decide which of the frames at one setting is used.

    The source's merits decide first; of equals, one with signal wins, then the later one. `grid`:
    what the frames would fill with one in each cell; None for none.
    """
    count = source.motors.shape[0]
    doubled = [] if grid is None else _doubled(grid, source)
    if not doubled:
        return Settled(np.arange(count))
    left_out = tuple(
        (
            each.name,
            f"was taken where {each.winner} was, at {each.where}, which {each.why} and is used",
        )
        for each in doubled
    )
    return Settled(
        kept=np.setdiff1d(np.arange(count), [each.frame for each in doubled]),
        are_copies=sum(each.why == LATER for each in doubled) <= MOST_DOUBLED * count,
        left_out=left_out,
        warning=_warning(doubled),
        refusal=_refusal(doubled, goniometer),
    )


def _doubled(grid: Candidate, source: FrameSource) -> list[_Doubled]:
    """The frames for which others stand; those of two mixed scans by their times alone."""
    cells = grid.cells
    order = np.argsort(cells, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(cells[order])) + 1)
    several = [group.tolist() for group in groups if group.size > 1]
    unread = _settled(several, grid, source, lambda equal: (equal, LATER))
    if sum(each.why == LATER for each in unread) > MOST_DOUBLED * cells.size:
        few = several[:: math.ceil(len(several) / _LOOKS)]
        if all(each.why == LATER for each in _settled(few, grid, source, partial(_lit, source))):
            return unread
    return _settled(several, grid, source, partial(_lit, source))


def _settled(
    groups: list[list[int]],
    grid: Candidate,
    source: FrameSource,
    lit_ones: Callable[[list[int]], _Lit],
) -> list[_Doubled]:
    """All frames of some settings but those that are used; `lit_ones` compares equals."""
    merits, found = source.merits, []
    for group in groups:
        merit = {i: tuple(bool(has[i]) for has in merits.values()) for i in group}
        best = max(merit.values())
        equal = [index for index, own in merit.items() if own == best]
        lit, why = lit_ones(equal) if len(equal) > 1 else (equal, LATER)
        k, frame = divmod(int(grid.cells[group[0]]), math.prod(grid.grid_shape[1:]))
        where = in_words(grid.omega.centres[k], grid.axes, frame)
        for index, own in merit.items():
            if index != lit[-1]:
                told = next((w for w, a, b in zip(merits, own, best, strict=True) if a != b), "")
                told = told or (LATER if index in lit else why)
                name = source.name(index)
                winner = _beside(source.name(lit[-1]), name)
                found.append(_Doubled(index, name, winner, where, told))
    return sorted(found)


def _lit(source: FrameSource, equal: list[int]) -> _Lit:
    """Those of some frames that have signal, or all where none has, and what that is called.

    Rather than the whole of a frame, which is offset and noise, its brightest part is compared.
    """
    signals: dict[int, tuple[float, float]] = {}
    for index in equal:
        try:
            signals[index] = _signal(source.read(index, Roi.whole(source.frame_shape)))
        except DataError:
            continue  # another one is used; where none can be read, that is reported later
    if len(signals) < len(equal):
        return list(signals) or equal, READABLE
    brightest = max((peak for peak, noise in signals.values() if peak > _LIT * noise), default=0.0)
    dark = [
        index
        for index, (peak, noise) in signals.items()
        if peak <= _LIT * noise and _DARKER * peak < brightest
    ]
    return [index for index in equal if index not in dark], BEAM


def _signal(frame: NDArray[Any]) -> tuple[float, float]:
    """How far the brightest part of a frame stands out of its middle, and the noise there.

    Parts are blocks of pixels, each taken by its median: hot pixels do not count.
    """
    rows, cols = (edge // _BLOCK for edge in frame.shape)
    if not rows * cols:
        return 0.0, 0.0
    whole = np.nan_to_num(frame[: rows * _BLOCK, : cols * _BLOCK].astype(np.float64))
    blocks = whole.reshape(rows, _BLOCK, cols, _BLOCK).swapaxes(1, 2)
    parts = np.median(blocks.reshape(rows * cols, -1), axis=1)
    middle = np.median(parts)
    return float(parts.max() - middle), float(1.4826 * np.median(np.abs(parts - middle)))


def _warning(doubled: Sequence[_Doubled]) -> str:
    first, counts = doubled[0], Counter(each.why for each in doubled)
    whys = ", ".join(f"{count} as the other {why}" for why, count in counts.most_common())
    return (
        f"{len(doubled)} frames were taken where others were, and are left out: {whys}; the first "
        f"is {first.name}, in place of which {first.winner} is used"
    )


def _refusal(doubled: Sequence[_Doubled], goniometer: Goniometer) -> str:
    first = doubled[0]
    more = f" ({len(doubled)} such in all)" if len(doubled) > 1 else ""
    known = ", ".join(goniometer.motors.values())
    return (
        f"{first.name} and {first.winner} were both taken at {first.where}{more}: copies or a "
        f"repeat (--skip-damaged uses {first.winner}, which {first.why}), two scans mixed, or did "
        f"a motor move that is not among {known}?"
    )


def _beside(name: str, first: str) -> str:
    """A name without the folder or file that it shares with another one."""
    shared = name.rfind(", entry ")
    if shared > 0 and first.startswith(name[: shared + 2]):
        return name[shared + 2 :]
    folder = name.rfind("/")
    return name[folder + 1 :] if folder > 0 and first.startswith(name[: folder + 1]) else name
