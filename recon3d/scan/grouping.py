"""Motor positions that jitter, sorted into the positions that were meant.

Readings of a motor that was sent to a few positions form groups with gaps between them.
The gaps are sorted by size; a grouping is worth considering where the smallest gap
between its groups is clearly larger than the largest gap within one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_RESOLUTION = 5e-6
_CLEAR_RATIO = 3.0
_VERY_CLEAR_RATIO = 10.0
_DOUBTFUL_RATIO = 1.5
_TRIED = 8
_MOST_UNEVEN = 200.0
_OUTLIER_WIDTHS = 10.0


@dataclass(frozen=True)
class Grouping:
    """Readings sorted into groups.

    Parameters
    ----------
    centres
        Mean of each group, increasing.
    index
        Group of each reading.
    widths
        Six standard deviations of each group, or its whole extent where that is less.
    """

    centres: FloatArray
    index: NDArray[np.int64]
    widths: FloatArray

    @property
    def count(self) -> int:
        """The number of groups."""
        return self.centres.size

    @property
    def step(self) -> float:
        """The smallest distance of neighbouring groups; infinite for a single one."""
        return float(np.diff(self.centres).min()) if self.count > 1 else math.inf

    @property
    def is_clear(self) -> bool:
        """Whether no group is wider than half the way to a neighbour."""
        between = np.diff(self.centres)
        wider = np.maximum(self.widths[1:], self.widths[:-1])
        return bool(np.all(wider <= between / 2))


def groupings(values: FloatArray, step: float | None = None) -> list[Grouping]:
    """All groupings that the gaps between readings allow, the likeliest first.

    Exact positions come first, then what jitter leaves, by how clearly the gaps between
    groups exceed those within; a single group is always among them.

    Parameters
    ----------
    values
        Finite readings, shape (n,).
    step
        About how far the positions are apart: those that agree within a factor 1.5 move up.
    """
    likely, doubtful = _jittered(values)
    single, finest = split_at(values, math.inf), split_at(values, _RESOLUTION)
    found = [*likely, single, *doubtful]
    if finest.is_clear and finest.count not in {grouping.count for grouping in found}:
        found.insert(0 if _is_exact(finest) else len(found), finest)
    if step is not None:
        found.sort(key=lambda grouping: not _agrees(grouping, step))
    return found


def split_at(values: FloatArray, tolerance: float) -> Grouping:
    """Group readings, splitting wherever neighbours are further apart than `tolerance`."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    labels = np.concatenate(([0], np.cumsum(np.diff(ordered) > tolerance)))
    counts = np.bincount(labels)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    offsets = ordered - ordered[starts][labels]
    means = np.bincount(labels, offsets) / counts
    spread = np.sqrt(np.bincount(labels, (offsets - means[labels]) ** 2) / counts)
    extents = np.maximum.reduceat(offsets, starts)
    index = np.empty(values.size, np.int64)
    index[order] = labels
    centres = ordered[starts] + means + 0.0
    return Grouping(centres, index, np.minimum(6 * spread, extents))


def _jittered(values: FloatArray) -> tuple[list[Grouping], list[Grouping]]:
    """Groupings at the clear jumps of the sorted gaps, and those at doubtful ones.

    Of the jumps beyond a factor 10 the one that leaves most groups comes first (steps can be
    uneven), then the largest. The fewer the readings, the larger a jump jitter alone makes.
    """
    gaps = np.sort(np.diff(np.sort(values)))[::-1]
    ratios = gaps[:-1] / np.maximum(gaps[1:], _RESOLUTION) / (1 + 10 / values.size)
    candidates = np.flatnonzero((ratios >= _DOUBTFUL_RATIO) & (gaps[1:] > _RESOLUTION))
    likely: list[Grouping] = []
    doubtful: list[Grouping] = []
    best = np.lexsort((-candidates, -np.minimum(ratios[candidates], _VERY_CLEAR_RATIO)))
    for i in candidates[best][:_TRIED]:
        grouping = split_at(values, math.sqrt(gaps[i] * gaps[i + 1]))
        is_likely = ratios[i] >= _CLEAR_RATIO and 2 * grouping.count <= values.size
        if grouping.is_clear and not _is_outliers(grouping):
            (likely if is_likely else doubtful).append(grouping)
    return likely, doubtful


def _is_exact(grouping: Grouping) -> bool:
    """Whether positions that are all kept apart are meant ones rather than jitter.

    Meant positions are visited about equally often (a scan that stopped may leave one that
    is not), or are about equally spaced. Jitter that a display rounded leaves many rare
    positions in its tails.
    """
    if grouping.count == 1:
        return True
    counts, between = np.bincount(grouping.index), np.diff(grouping.centres)
    rare = np.count_nonzero(counts <= np.median(counts) / 2)
    unevenness = between.max() / between.min()
    if np.median(counts) >= 2 and rare <= 1 and unevenness <= _MOST_UNEVEN:
        return True
    return bool(unevenness <= 2 + 20 / grouping.count and rare <= grouping.count / 4)


def _is_outliers(grouping: Grouping) -> bool:
    """Whether all groups but one are a stray reading or two, not far from that one."""
    counts = np.bincount(grouping.index)
    main = int(np.argmax(counts))
    total = counts.sum()
    away = np.abs(grouping.centres - grouping.centres[main]).max()
    few = total - counts[main] <= max(1, 0.01 * total)
    return bool(total >= 10 and few and away <= _OUTLIER_WIDTHS * grouping.widths[main])


def _agrees(grouping: Grouping, step: float) -> bool:
    if grouping.count == 1:
        return False
    return abs(math.log(float(np.median(np.diff(grouping.centres))) / step)) < math.log(1.5)
