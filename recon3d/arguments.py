"""Arguments of public functions, checked against their annotations before anything is done.

    @checked(frames=">= 1", path="the path of a .gif or .mp4")
    def write_film(grain: Grain, path: str | Path, frames: int = 60, ...): ...

What is checked is the kind: whole numbers, finite numbers, texts, paths, truth values, arrays of
numbers, tuples of them, and objects by the name of their class. Lists, and what pandas and
xarray hold, are given on as arrays where one is asked for.
"""

from __future__ import annotations

import functools
import inspect
import math
import numbers
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from recon3d.errors import ParameterError

F = TypeVar("F", bound=Callable[..., Any])
Namespace = Mapping[str, Any]
_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_LONGEST_SHOWN = 80
_WORDS = {
    "None": "None",
    "NoneType": "None",
    "str": "a text",
    "bool": "True or False",
    "int": "a whole number",
    "float": "a number",
    "Path": "a path",
    "Grain": "a grain, from recon3d.Grain.load or recon3d.reconstruct",
    "Scan": "a scan, from recon3d.open_scan",
    "CleanedScan": "a cleaned scan, from recon3d.open_store or recon3d.clean",
    "Projection": "a projection, such as scan[0]",
    "Cells": "cells, from recon3d.analysis.find_cells",
    "Client": "an ipyparallel Client, such as recon3d.Cluster starts",
    "Callable": "a function",
    "Axes": "axes of matplotlib",
    "Figure": "a figure of matplotlib",
}
_ARRAYS = ("NDArray", "ArrayLike", "ndarray")


def checked(**expected: str) -> Callable[[F], F]:
    """Decorate a function so that a wrong argument is a ParameterError that names it.

    Parameters
    ----------
    expected
        By the names of arguments: bounds of numbers, such as ``">= 1, < 100"``; the shape of an
        array, such as ``"(x, y, z, 2)"``, in which a letter stands for the same length in every
        argument, and ``"(*)"`` for one shape of all; or words for what is expected, where the
        annotation does not say enough.
    """

    def decorate(function: F) -> F:
        signature = inspect.signature(function)
        annotations = {
            name: one.annotation
            for name, one in signature.parameters.items()
            if isinstance(one.annotation, str) and one.kind is not one.VAR_KEYWORD
        }

        @functools.wraps(function)
        def call(*given: Any, **named: Any) -> Any:
            bound = signature.bind(*given, **named)
            lengths: dict[str, Any] = {}
            for name, value in bound.arguments.items():
                if name in annotations:
                    bound.arguments[name] = _taken(
                        name, value, annotations[name], function.__globals__, expected.get(name, "")
                    )
                    _require_shape(name, bound.arguments[name], expected.get(name, ""), lengths)
            return function(*bound.args, **bound.kwargs)

        return call  # type: ignore[return-value]

    return decorate


def check_fields(record: Any, *names: str, **expected: str) -> None:
    """Check the fields of a frozen dataclass against their annotations, from its `__post_init__`.

    Parameters
    ----------
    record
        The dataclass.
    names
        Which fields; all where none is named.
    expected
        As in `checked`.

    Raises
    ------
    ParameterError
        One is of another kind, or out of its bounds.
    """
    known = vars(sys.modules[type(record).__module__])
    for one in (each for each in fields(record) if not names or each.name in names):
        value = getattr(record, one.name)
        taken = _taken(one.name, value, str(one.type), known, expected.get(one.name, ""))
        object.__setattr__(record, one.name, taken)


def _require_shape(name: str, array: Any, expected: str, lengths: dict[str, Any]) -> None:
    """Refuse an array whose shape is not the expected one, with the lengths met so far.

    Raises
    ------
    ParameterError
        Its shape is another; the message gives both.
    """
    if not expected.startswith("(") or array is None:
        return
    axes = re.findall(r"[\w*]+", expected)
    shape = (array.shape,) if axes == ["*"] else array.shape
    fits = len(shape) == len(axes) and all(
        length == (int(axis) if axis.isdigit() else lengths.setdefault(axis, length))
        for axis, length in zip(axes, shape, strict=True)
    )
    if not fits:
        wanted = ", ".join(str(lengths.get(axis, axis)) for axis in axes)
        raise ParameterError(f"{name} has the shape {array.shape}: expected ({wanted.strip('()')})")


def wrong(argument: str, value: object, expected: str) -> ParameterError:
    """The error that tells what an argument is, and what was expected."""
    shown = " ".join(repr(value).split())
    shown = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}..."
    return ParameterError(f"{argument} is {shown}: expected {expected}")


def _taken(name: str, value: Any, annotation: str, known: Namespace, expected: str) -> Any:
    """The value as the function takes it.

    Raises
    ------
    ParameterError
        It is nothing that the annotation allows, or out of bounds.
    """
    bounds = expected if expected[:1] in ("<", ">") else ""
    kinds = _alternatives(annotation, known)
    for kind in kinds:
        try:
            taken = _as_kind(value, kind, known)
            _require(kind != "float" or math.isfinite(taken) or "inf" in bounds)
        except (TypeError, ValueError, OverflowError):
            continue
        if bounds and taken is not None and not _within(taken, bounds):
            break
        return taken
    if bounds or not expected or expected.startswith("("):
        expected = " or ".join(dict.fromkeys(_words(kind, known, bounds) for kind in kinds))
    raise wrong(name, value, expected)


def _alternatives(annotation: str, known: Namespace) -> list[str]:
    """The members of a union, with the names of other annotations replaced by what they mean."""
    found: list[str] = []
    for part in _split(annotation, "|"):
        meaning = None if part in _ARRAYS else known.get(part)
        if meaning is None or isinstance(meaning, type):
            found.append(part)
        else:
            found += _split(re.sub(r"\b(?:\w+\.)+(?=\w)", "", str(meaning)), "|")
    return [kind for kind in found if kind != "str" or "Path" not in found]


def _split(text: str, mark: str) -> list[str]:
    """The parts of an annotation between marks outside its brackets."""
    parts, depth = [""], 0
    for letter in text:
        depth += (letter == "[") - (letter == "]")
        if letter == mark and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return [part.strip() for part in parts if part.strip()]


def _as_kind(value: Any, kind: str, known: Namespace) -> Any:
    """The value as one kind; a TypeError or ValueError where it is none."""
    name, _, inner = kind.removesuffix("]").partition("[")
    if name in _SIMPLE:
        return _SIMPLE[name](value)
    if name in _ARRAYS:
        return _as_array(value, truth="bool" in inner)
    if name in ("tuple", "Sequence", "list"):
        return _as_several(value, name, _split(inner, ","), known)
    if name == "Literal":
        _require(isinstance(value, str) and repr(value) in inner.replace('"', "'"))
    elif name == "Callable":
        _require(callable(value))
    elif name in ("dict", "Mapping"):
        _require(isinstance(value, Mapping) and all(isinstance(key, str) for key in value))
        kind = _split(inner, ",")[-1]
        return {key: _taken(key, item, kind, known, "") for key, item in value.items()}
    else:
        _require(_is_one(value, name, known.get(name)))
    return value


def _is_one(value: Any, name: str, cls: Any) -> bool:
    """Whether a value is of a class, of which the name may be all that is known."""
    if getattr(cls, "_is_protocol", False):
        wanted = {*vars(cls), *inspect.get_annotations(cls)}
        return all(hasattr(value, each) for each in wanted if not each.startswith("_"))
    if cls in (None, Any) and name not in _WORDS:
        return True
    return any(each.__name__ == name for each in type(value).__mro__)


def _as_several(value: Any, name: str, kinds: list[str], known: Namespace) -> Any:
    _require(isinstance(value, Iterable) and not isinstance(value, (str, bytes, Mapping)))
    _require(getattr(value, "ndim", 1) > 0)
    items = list(value)
    if name == "tuple" and kinds[-1] != "...":
        _require(len(items) == len(kinds))
    else:
        kinds = kinds[:1] * len(items)
    taken = [_taken("", item, kind, known, "") for item, kind in zip(items, kinds, strict=True)]
    return tuple(taken) if name == "tuple" else taken


def _as_array(value: Any, *, truth: bool) -> Any:
    _require(isinstance(value, (list, tuple, numbers.Real)) or hasattr(value, "__array__"))
    array = np.asarray(value)
    _require(array.dtype.kind in "biuf")
    if truth and array.dtype.kind != "b":
        _require(bool(np.isin(array, (0, 1)).all()))
        return array.astype(bool)
    return array


def _as_text(value: Any) -> str:
    _require(isinstance(value, str))
    return str(value)


def _as_path(value: Any) -> Path:
    path = os.fspath(value)
    _require(isinstance(path, str) and path != "" and "\0" not in path)
    return value if isinstance(value, Path) else Path(path)


def _single(value: Any) -> Any:
    """The number of an array without axes, as NumPy and xarray have them; else the value."""
    return value.item() if getattr(value, "ndim", 1) == 0 else value


def _as_truth(value: Any) -> bool:
    value = _single(value)
    _require(isinstance(value, (bool, np.bool_)))
    return bool(value)


def _as_whole(value: Any) -> int:
    value = _single(value)
    _require(not isinstance(value, (bool, np.bool_)))
    return operator.index(value)


def _as_number(value: Any) -> Any:
    value = _single(value)
    _require(isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)))
    _require(not math.isnan(value))
    return value


def _as_none(value: Any) -> None:
    _require(value is None)


_SIMPLE: dict[str, Callable[[Any], Any]] = {
    "str": _as_text,
    "Path": _as_path,
    "bool": _as_truth,
    "int": _as_whole,
    "float": _as_number,
    "None": _as_none,
    "NoneType": _as_none,
}


def _require(condition: bool) -> None:
    if not condition:
        raise TypeError


def _within(value: Any, bounds: str) -> bool:
    """Whether a number, or each of several, is within bounds."""
    values = np.ravel(value)
    for bound in bounds.split(","):
        sign, number = bound.split()
        if not _COMPARE[sign](values, float(number)).all():
            return False
    return True


def _words(kind: str, known: Namespace, bounds: str = "") -> str:
    name, _, inner = kind.removesuffix("]").partition("[")
    if name in ("int", "float"):
        return f"{_WORDS[name]} {bounds}".rstrip()
    if name in _ARRAYS:
        return "an array of truth values" if "bool" in inner else "an array of numbers"
    if name == "Literal":
        *first, last = (each.strip("'\"") for each in _split(inner, ","))
        return f"{', '.join(first)} or {last}" if first else last
    if name in ("tuple", "Sequence", "list"):
        kinds = _split(inner, ",")
        what = " or ".join(_words(each, known) for each in _alternatives(kinds[0], known))
        many = "several" if name != "tuple" or kinds[-1] == "..." else str(len(kinds))
        return f"{many} of: {what.removeprefix('a ')}"
    if name in ("dict", "Mapping"):
        return "a dictionary with texts as keys"
    own = str(getattr(known.get(name), "__module__", "")).startswith("recon3d")
    return _WORDS.get(name, f"a recon3d.{name}" if own else f"an object of type {name}")
