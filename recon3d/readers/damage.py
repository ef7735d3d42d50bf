"""Frames that cannot be used: why, and how messages list them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from textwrap import shorten
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Damage: TypeAlias = "tuple[str, str]"
"""The name of a frame, and the reason why it cannot be used."""

_FULLY_NAMED = 20
_ROOM, _REST = 280, 60
"""Characters that a list of frames, and names without a reason, may take in a message."""

LARGEST_COUNT = 1e30
"""Counts beyond it are damage: their sums and squares would not fit into float32."""

LARGEST_READING = 1e5
"""Positions of motors beyond it, in degrees or keV, are damage."""


def list_damage(damaged: Iterable[Damage], between: str = " ") -> str:
    """Name frames with the reason, as many as a message has room for, and count the rest.

    `damaged`: names and reasons; `between`: what stands between the two.
    """
    reasons: dict[str, list[str]] = {}
    for name, reason in damaged:
        reasons.setdefault(reason, []).append(name)
    text, rest = "", list[str]()
    for reason, names in reasons.items():
        part = f"{_list_names(names)}{between}{shorten(reason, _ROOM)}"
        if rest or (text and len(text) + len(part) > _ROOM):
            rest += names
        else:
            text = f"{text}; {part}" if text else part
    if not rest:
        return text
    named = ", ".join(rest)
    return f"{text}; and {named if len(named) <= _REST else f'{len(rest)} more'}"


def list_entries(entries: Mapping[str, str]) -> str:
    """Name the entries of a file, each with the reason, likewise."""
    return list_damage(entries.items(), ": ")


def _list_names(names: Sequence[str]) -> str:
    """Name frames, as many as a message has room for; a long row of them by its ends."""
    runs: list[list[str]] = []
    for name in names:
        before, number, behind = _number(name)
        if runs and _number(runs[-1][-1]) == (before, number - 1, behind):
            runs[-1].append(name)
        else:
            runs.append([name])
    parts: list[tuple[str, int]] = []
    for run in runs:
        if len(run) <= _FULLY_NAMED and len(", ".join(run)) <= _ROOM:
            parts += [(name, 1) for name in run]
        else:
            parts.append((f"{run[0]} to {run[-1]} ({len(run)} in all)", len(run)))
    return _join(parts, ", ")


def _join(parts: list[tuple[str, int]], between: str) -> str:
    """Texts, each with the number of frames that it tells of, until the room is full."""
    text, left = "", sum(count for _, count in parts)
    for part, count in parts:
        if text and len(text) + len(part) > _ROOM:
            return f"{text}{between}and {left} more"
        text, left = f"{text}{between if text else ''}{part}", left - count
    return text


def _number(name: str) -> tuple[str, int, str]:
    """The last number in a name, and what stands before and behind it."""
    match = re.fullmatch(r"(.*?)(\d{1,18})(\D*)", name, re.DOTALL)
    return (match[1], int(match[2]), match[3]) if match else (name, -1, "")


def trouble_in(pixels: NDArray[Any]) -> str:
    """What makes the counts of a frame unusable; empty for nothing."""
    if pixels.dtype.kind != "f":
        return ""
    unusable = int(np.count_nonzero(~(np.abs(pixels) <= LARGEST_COUNT)))
    if not unusable:
        return ""
    return f"holds {unusable} counts that are not finite, or beyond {LARGEST_COUNT:g}"
