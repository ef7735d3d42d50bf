"""Frames that cannot be used: how they are named in messages, and what makes them so."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Damage: TypeAlias = "tuple[str, str]"
"""The name of a frame, and the reason why it cannot be used."""

_FULLY_NAMED = 20

LARGEST_COUNT = 1e30
"""Counts beyond it are damage: their sums and squares would not fit into float32."""

LARGEST_READING = 1e5
"""Positions of motors beyond it, in degrees or keV, are damage."""


def list_damage(damaged: Sequence[Damage]) -> str:
    """Name every frame with its reason; successive ones of one reason by the first and the last.

    Parameters
    ----------
    damaged
        Names and reasons, in the order of the frames.
    """
    parts = []
    for reason, group in groupby(damaged, key=lambda item: item[1]):
        parts.append(f"{list_names([name for name, _ in group])} {reason}")
    return "; ".join(parts)


def list_names(names: Sequence[str]) -> str:
    """Name frames; a long row of successive ones by the first and the last."""
    runs: list[list[str]] = []
    for name in names:
        if runs and _number(name) == _next(_number(runs[-1][-1])):
            runs[-1].append(name)
        else:
            runs.append([name])
    return ", ".join(_name_run(run) for run in runs)


def _name_run(names: list[str]) -> str:
    if len(names) <= _FULLY_NAMED:
        return ", ".join(names)
    return f"{names[0]} to {names[-1]} ({len(names)} in all)"


def _number(name: str) -> tuple[str, int, str]:
    """The last number in a name, and what stands before and behind it."""
    match = re.fullmatch(r"(.*?)(\d{1,18})(\D*)", name, re.DOTALL)
    return (match[1], int(match[2]), match[3]) if match else (name, -1, "")


def _next(numbered: tuple[str, int, str]) -> tuple[str, int, str]:
    before, number, behind = numbered
    return before, number + 1, behind


def damage_lines(damaged: Sequence[Damage]) -> list[str]:
    """One line for every frame, for the file."""
    return [f"{name}: {reason}" for name, reason in damaged]


def trouble_in(pixels: NDArray[Any]) -> str:
    """What makes the counts of a frame unusable; empty for nothing."""
    if pixels.dtype.kind != "f":
        return ""
    unusable = int(np.count_nonzero(~(np.abs(pixels) <= LARGEST_COUNT)))
    if not unusable:
        return ""
    return f"holds {unusable} counts that are not finite, or beyond {LARGEST_COUNT:g}"
