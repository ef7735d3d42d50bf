"""Frames that were taken twice: which of them is used, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError
from recon3d.readers.damage import Damage
from recon3d.readers.source import FrameSource, KnowsMerits, Roi
from recon3d.scan.coordinates import Choices, Coordinates
from recon3d.scan.grid import (
    Candidate,
    advice_on_azimuth,
    best_grid,
    doubled_grid,
    explain_misfit,
)
from recon3d.scan.table import short

MOST_DOUBLED = 0.25
"""Share of the frames beyond which copies of equal merit are none: two scans are mixed."""
LATER, BEAM, READABLE = "was taken later", "has beam", "can be read"
_BLOCK = 4
_LIT = 8.0
"""How many standard deviations of the background the brightest part of a lit frame has."""
_DARKER = 3.0


@dataclass(frozen=True)
class Doubled:
    """A frame that is not used, as another was taken at the same setting.

    Parameters
    ----------
    index, winner
        Which frame of the source it is, and which one is used.
    where
        The setting of both, in words.
    why
        What speaks for the other one.
    """

    index: int
    winner: int
    where: str
    why: str

    def told(self, source: FrameSource) -> Damage:
        """The name of the frame, and why it is left out."""
        used = _beside(source.name(self.winner), source.name(self.index))
        reason = f"was taken where {used} was, at {self.where}, which {self.why} and is used"
        return source.name(self.index), reason


def grid_without_doubled(
    source: FrameSource,
    coordinates: Coordinates,
    choices: Choices,
    goniometer: Goniometer,
    *,
    skip: bool,
) -> tuple[Candidate, Coordinates, list[Doubled]]:
    """The grid that frames fill once those that were taken twice are left out.

    `source` and `coordinates`: all frames, which fill no grid. `skip`: whether frames may be left
    out; otherwise doubled ones are only told.

    Returns
    -------
    grid, coordinates
        Of the frames that are left.
    doubled
        The frames that are not used.

    Raises
    ------
    DataError, GridError
        No frames, or too many, were taken twice, or the others fill no grid either.
    """
    count = coordinates.motors.shape[0]
    shared = doubled_grid(coordinates)
    doubled = settle_doubled(shared, source) if shared else []
    grid = told = None
    if doubled:
        copies, kept = skip and are_copies(doubled, count), others_than(doubled, count)
        rest = choices.coordinates(source, kept)
        if copies:
            coordinates, grid = rest, best_grid(rest)
        else:
            told = explain_doubled(doubled, goniometer, source, advice_on_azimuth(rest))
    if grid is None:
        raise explain_misfit(coordinates, goniometer, told)
    return grid, coordinates, doubled


def others_than(doubled: Sequence[Doubled], count: int) -> NDArray[np.int64]:
    """The frames, out of so many, that are used."""
    return np.setdiff1d(np.arange(count), [each.index for each in doubled])


def settle_doubled(grid: Candidate, source: FrameSource) -> list[Doubled]:
    """Decide which of the frames at one setting is used.

    What the source knows decides first, such as whether their scan came to its end. Of equals,
    one with signal wins over one without, then the later one.

    `grid`: the grid that the frames of the source would fill if there were one in each cell.
    `source`: the frames; those that are equal otherwise are read.
    """
    cells = grid.cells
    order = np.argsort(cells, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(cells[order])) + 1)
    merits = source.merits if isinstance(source, KnowsMerits) else {}
    found = []
    for group in groups:
        if group.size < 2:
            continue
        reasons = [_reasons(merits, index) for index in group.tolist()]
        best = max(reasons)
        equal = [i for i, own in zip(group.tolist(), reasons, strict=True) if own == best]
        where = setting_of(grid, int(cells[group[0]]))
        lit, why = _lit(source, equal) if len(equal) > 1 else (equal, LATER)
        for index, own in zip(group.tolist(), reasons, strict=True):
            if index == lit[-1]:
                continue
            told = next((w for w, a, b in zip(merits, own, best, strict=True) if a != b), "")
            told = told or (LATER if index in lit else why)
            found.append(Doubled(index, lit[-1], where, told))
    return sorted(found, key=lambda each: each.index)


def _reasons(merits: dict[str, NDArray[np.bool_]], index: int) -> tuple[bool, ...]:
    return tuple(bool(column[index]) for column in merits.values())


def _lit(source: FrameSource, equal: list[int]) -> tuple[list[int], str]:
    """Those of some frames that have signal, or all where none has, and what that is called.

    Rather than the whole of a frame, which is offset and noise, its brightest part is compared.
    """
    signals: dict[int, tuple[float, float]] = {}
    for index in equal:
        try:
            signals[index] = _signal(source.read(index, Roi.whole(source.frame_shape)))
        except DataError:
            continue  # another one is used; where none can be read, that is told later
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


def are_copies(doubled: Sequence[Doubled], count: int) -> bool:
    """Whether frames can be copies of others, so that leaving them out leaves one scan."""
    equal = sum(each.why == LATER for each in doubled)
    return len(doubled) > 0 and equal <= MOST_DOUBLED * count


def explain_doubled(
    doubled: Sequence[Doubled], goniometer: Goniometer, source: FrameSource, advice: str = ""
) -> DataError:
    """The error to raise where frames that were taken twice are not to be left out.

    `advice`: what else the scan needs, a sentence to add.
    """
    first = doubled[0]
    pair = sorted((first.index, first.winner))
    names = [source.name(index) for index in pair]
    more = f" ({len(doubled)} such in all)" if len(doubled) > 1 else ""
    use = _beside(source.name(first.winner), source.name(first.index))
    parts = ("omega", "base_tilt", "chi", "phi", "two_theta", "energy")
    known = ", ".join(getattr(goniometer, part) for part in parts)
    return DataError(
        f"{names[0]} and {_beside(names[1], names[0])} were both taken at {first.where}{more}: "
        f"copies or a repeat (--skip-damaged uses {use}, which {first.why}), two scans mixed, or "
        f"did a motor move that is not among {known}?{advice}"
    )


def warn_text(doubled: Sequence[Doubled], source: FrameSource) -> str:
    """What to tell of frames that are left out: how many for which reason, with an example."""
    counts = Counter(each.why for each in doubled)
    first = doubled[0]
    used = _beside(source.name(first.winner), source.name(first.index))
    whys = ", ".join(f"{count} as the other {why}" for why, count in counts.most_common())
    return (
        f"{len(doubled)} frames were taken where others were, and are left out: {whys}; the first "
        f"is {source.name(first.index)}, in place of which {used} is used"
    )


def setting_of(grid: Candidate, cell: int) -> str:
    """The rotation and the settings of a cell of a grid, in words."""
    place = np.unravel_index(cell, grid.grid_shape)
    setting = ", ".join(
        f"{axis.name} = {short(float(axis.values_deg[i]))}"
        for axis, i in zip(grid.axes, place[1:], strict=True)
    )
    return f"omega = {short(float(grid.omega.centres[place[0]]))}, {setting}"


def _beside(name: str, first: str) -> str:
    """A name without the folder or file that it shares with another one."""
    shared = name.rfind(", entry ")
    if shared > 0 and first.startswith(name[: shared + 2]):
        return name[shared + 2 :]
    folder = name.rfind("/")
    return name[folder + 1 :] if folder > 0 and first.startswith(name[: folder + 1]) else name
