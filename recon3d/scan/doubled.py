"""Frames that were taken twice: which of them is used."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.readers.source import Damage, FrameSource, Roi
from recon3d.scan.grid import Candidate
from recon3d.scan.table import in_words

MOST_DOUBLED = 0.25
"""Share of the frames beyond which copies of equal merit are none: two scans are mixed."""
_LOOKS = 50
"""How many settings are looked at before two scans are taken to be mixed."""
_BLOCK = 4
_LIT = 8.0
"""How many standard deviations of the background the brightest part of a lit frame has."""
_DARKER = 3.0

Indices = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Settled:
    """Which frames of a scan are used where some were taken twice."""

    kept: Indices  # the frames that are used
    # whether the others can be copies of them: without them there is one scan
    are_copies: bool = False
    left_out: tuple[Damage, ...] = ()  # each of the others, and which one is used
    warning: str = ""  # where they are left out
    refusal: str = ""  # where they are not; empty where no frame was taken twice


def settle_doubled(grid: Candidate | None, source: FrameSource) -> Settled:
    """Decide which of the frames at one setting is used: of the best, one with signal, the latest.

    `grid`: what the frames would fill with one in each cell; None for none.
    """
    count = source.motors.shape[0]
    groups = [] if grid is None else _sharing(grid.cells)
    if grid is None or not groups:
        return Settled(np.arange(count))
    merit = source.merit
    best = [group[merit[group] == merit[group].max()] for group in groups]
    most = MOST_DOUBLED * count
    few = best[:: math.ceil(len(best) / _LOOKS)]
    # The frames of two mixed scans need not be read all to be told as such.
    if _equals(best) <= most or any(_lit(source, own).size < own.size for own in few):
        best = [_lit(source, own) for own in best]
    winner = {int(i): int(own[-1]) for group, own in zip(groups, best, strict=True) for i in group}
    doubled = sorted(i for i, used in winner.items() if i != used)
    told = [(source.name(i), Path(source.name(winner[i])).name, _where(grid, i)) for i in doubled]
    (first, used, where), more = told[0], f" ({len(told)} such in all)" if told[1:] else ""
    return Settled(
        kept=np.setdiff1d(np.arange(count), doubled),
        are_copies=_equals(best) <= most,
        left_out=tuple(
            (name, f"was taken where {used} was, at {where}: that one is better or later, and used")
            for name, used, where in told
        ),
        warning=f"{len(told)} frames were taken where others were that are better (of a scan that "
        "came to its end, with beam) or later, and are left out; the first is "
        f"{first}, in place of which {used} is used",
        refusal=f"{first} and {used} were both taken at {where}{more}: copies or a repeat "
        f"(--skip-damaged uses {used}, which is better or later), two scans mixed, or did a motor "
        f"move that is not among {', '.join(source.goniometer.motors.values())}?",
    )


def _sharing(cells: Indices) -> list[Indices]:
    """The frames of each cell that has several."""
    order = np.argsort(cells, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(cells[order])) + 1)
    return [group for group in groups if group.size > 1]


def _equals(best: list[Indices]) -> int:
    """How many frames are left out because another one is later, and for nothing else."""
    return sum(own.size - 1 for own in best)


def _where(grid: Candidate, frame: int) -> str:
    k, setting = divmod(int(grid.cells[frame]), math.prod(grid.grid_shape[1:]))
    return in_words(grid.omega.centres[k], grid.axes, setting)


def _lit(source: FrameSource, equal: Indices) -> Indices:
    """Those of some frames that can be read and have signal, or all where none has.

    Rather than the whole of a frame, which is offset and noise, its brightest part is compared.
    """
    signals: dict[int, tuple[float, float]] = {}
    for index in equal if equal.size > 1 else ():
        try:
            signals[index] = _signal(source.read(int(index), Roi.whole(source.frame_shape)))
        except DataError:
            continue  # another one is used; where none can be read, that is reported later
    if not signals:
        return equal
    brightest = max((peak for peak, noise in signals.values() if peak > _LIT * noise), default=0.0)
    lit = [
        index
        for index, (peak, noise) in signals.items()
        if peak > _LIT * noise or _DARKER * peak >= brightest
    ]
    return np.array(lit)


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
