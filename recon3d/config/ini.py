"""Files of `key value` lines: read as literals, never evaluated."""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from recon3d.errors import ParameterError

T = TypeVar("T")
_LARGEST_INTEGER = 10**15
_COMMENT = re.compile(r"(^|\s)#.*$")
_SEPARATOR = re.compile(r"\s*[=:\s]\s*")


def read_ini(path: str | Path) -> dict[str, str]:
    """Read a file of `key value` lines.

    A `#` at the start of a line or after white space begins a comment; an `=` or `:`
    between key and value is allowed; of repeated keys the last wins.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    values
        The text of every value by its key.

    Raises
    ------
    ParameterError
        The file cannot be read, is no text, or has a key without a value.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise ParameterError(f"{path}: is not a text file ({error.reason})") from error
    values = {}
    for number, line in enumerate(lines, start=1):
        content = _COMMENT.sub("", line).strip()
        if not content:
            continue
        key, _, value = _SEPARATOR.sub(" ", content, count=1).partition(" ")
        if not value:
            raise ParameterError(f"{path}, line {number}: the key '{key}' has no value")
        values[key] = value
    return values


def parse_literal(text: str) -> Any:
    """Turn the text of a value into a number, a tuple, a truth value, None or a string.

    Numbers separated by commas or white space make a tuple, with or without brackets.
    What is no literal stays text.
    """
    for candidate in (text, ",".join(text.strip("[]()").replace(",", " ").split())):
        try:
            value = ast.literal_eval(candidate)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return tuple(value) if isinstance(value, list) else value
    return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def number(text: str) -> float:
    """Parse one number; `None` counts as 0."""
    value = parse_literal(text)
    if value is None:
        return 0.0
    if type(value) not in (int, float) or not abs(value) < math.inf:
        raise ValueError("one finite number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError("one finite number, which this is too large for") from None


def integer(text: str) -> int:
    """Parse one whole number, also where it is written as 101.0 or +1."""
    value = number(text)
    if not value.is_integer():
        raise ValueError("a whole number")
    if abs(value) > _LARGEST_INTEGER:
        raise ValueError(f"a whole number of at most {_LARGEST_INTEGER:g}")
    return int(value)


def word(text: str) -> str:
    """Parse a string, with or without quotation marks."""
    value = parse_literal(text)
    return value if isinstance(value, str) else text


def truth(text: str) -> bool:
    """Parse true or false (also yes, no, 1, 0)."""
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def several(parse: Callable[[str], T], count: int | None = None) -> Callable[[str], tuple[T, ...]]:
    """Make a parser of `count` values (any number where None) out of a parser of one."""

    def parse_all(text: str) -> tuple[T, ...]:
        value = parse_literal(text)
        items = value if isinstance(value, tuple) else _words(text)
        if count is not None and len(items) != count:
            raise ValueError(f"{count} values, not {len(items)}")
        return tuple(parse(str(item)) for item in items)

    return parse_all


def _words(text: str) -> list[str]:
    """The parts of a list in which something is no literal, or of a single value."""
    return text.strip("[]() ").replace(",", " ").split() or [text]


def one_of(*choices: str) -> Callable[[str], str]:
    """Make a parser of one word out of a few."""

    def parse(text: str) -> str:
        value = word(text)
        if value not in choices:
            raise ValueError(f"one of {', '.join(choices)}")
        return value

    return parse
