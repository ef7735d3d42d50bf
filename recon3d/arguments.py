"""Arguments of public functions, checked against their annotations before anything is done.

    @checked(frames=">= 1", path="the path of a .gif or .mp4")
    def write_film(grain: Grain, path: str | Path, frames: int = 60, ...): ...

What is checked is the kind: whole numbers, finite numbers, texts, paths, truth values, arrays of
numbers, tuples of them, and objects by the name of their class. Lists, and what pandas and
xarray hold, are given on as arrays where one is asked for.
"""

from __future__ import annotations

import builtins
import functools
import inspect
import math
import numbers
import operator
import os
import re
import sys
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import (
    Any,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

import numpy as np

from recon3d.errors import ParameterError

P = ParamSpec("P")
R = TypeVar("R")
_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}
_LONGEST_SHOWN = 80
_LARGEST_WHOLE = 2**63
_LONGEST_NAME = 255
"""Bytes of a file's name."""
WORDS = {
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


def checked(**expected: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Decorate a function so that a wrong argument is a ParameterError that names it.

    `expected`, by the names of arguments: bounds of numbers, such as ``">= 1, < 100"``; the shape
    of an array, such as ``"(x, y, z, 2)"``, in which a letter stands for the same length in every
    argument, and ``"(*)"`` for one shape of all; or words for what is expected, where the
    annotation does not say enough.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        signature = inspect.signature(function)
        rest = {one.kind: name for name, one in signature.parameters.items()}
        several = rest.get(inspect.Parameter.VAR_POSITIONAL)
        others = rest.get(inspect.Parameter.VAR_KEYWORD)

        @functools.wraps(function)
        def call(*given: P.args, **named: P.kwargs) -> R:
            kinds, lengths = _kinds(function), dict[str, Any]()
            try:
                bound = signature.bind_partial(*given, **named)
                for name in (name for name in bound.arguments if name in kinds):
                    words, kind = expected.get(name, ""), kinds[name]
                    if name == several:
                        kind = types.GenericAlias(tuple, (kind, ...))
                    if name != others:
                        taken = _taken(name, bound.arguments[name], kind, words)
                        _require_shape(name, taken, words, lengths)
                        bound.arguments[name] = taken
                signature.bind(*given, **named)  # what is wrong is told before what is missing
            except TypeError as error:
                known = ", ".join(name for name in signature.parameters if name != "self")
                raise ParameterError(
                    f"{function.__qualname__}: {error}; its arguments are {known}"
                ) from None
            return function(*bound.args, **bound.kwargs)

        return call

    return decorate


def check_fields(record: Any, *names: str, **expected: str) -> None:
    """Check the fields of a frozen dataclass against their annotations, from its `__post_init__`.

    `names`: which fields; all where none is named. `expected`: as in `checked`. A field of another
    kind, or out of its bounds, is a ParameterError.
    """
    kinds = _field_kinds(record.__class__)
    for name in names or kinds:
        taken = _taken(name, getattr(record, name), kinds[name], expected.get(name, ""))
        object.__setattr__(record, name, taken)


class NamedFields:
    """A dataclass of which a field that does not exist, or is missing, is a ParameterError."""

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """Compare what is given with the fields, before `__init__` takes it."""
        if values or named:
            signature = inspect.signature(cls.__init__)
            try:
                signature.bind(None, *values, **named)
            except TypeError as error:
                known = ", ".join([*signature.parameters][1:])
                raise ParameterError(f"{cls.__name__}: {error}; its fields are {known}") from None
        return super().__new__(cls)


def check_options(function: Callable[..., Any], options: Mapping[str, Any]) -> None:
    """Refuse options that a function, or a class, that is called with them later does not take."""
    known = inspect.signature(function).parameters
    for name in options:
        if name not in known:
            raise ParameterError(
                f"{function.__name__} has no argument '{name}': they are {', '.join(known)}"
            )


class _Names(dict[str, Any]):
    """What annotations mean; what only type checkers import stands for any class of its name."""

    def __missing__(self, name: str) -> type:
        if name.startswith("__"):
            raise KeyError(name)
        return type(name, (), {})


@functools.cache
def _kinds(function: Callable[..., Any]) -> dict[str, Any]:
    """The types of a function's arguments by their names."""
    known = {**vars(builtins), **function.__globals__, "ArrayLike": np.ndarray}
    return get_type_hints(function, localns=_Names(known))


@functools.cache
def _field_kinds(record: type) -> dict[str, Any]:
    """The types of a dataclass's fields, each as the module of its own class means it."""
    found: dict[str, Any] = {}
    for each in reversed(record.__mro__):
        stated = types.SimpleNamespace(__annotations__=vars(each).get("__annotations__", {}))
        module = vars(sys.modules[each.__module__])
        known = {**vars(builtins), **module, "ArrayLike": np.ndarray}
        found |= get_type_hints(stated, localns=_Names(known))
    return {each.name: found[each.name] for each in fields(record) if each.init}


def _require_shape(name: str, array: Any, expected: str, lengths: dict[str, Any]) -> None:
    """Refuse an array whose shape is not the expected one, with the lengths met so far."""
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


def _taken(name: str, value: Any, kind: Any, expected: str = "") -> Any:
    """The value as the function takes it; a ParameterError if not allowed, or out of bounds."""
    bounds = expected if expected[:1] in ("<", ">") else ""
    try:
        return as_argument(value, kind, bounds)
    except (TypeError, ValueError):
        if bounds or not expected or expected.startswith("("):
            expected = _words(kind, bounds)
        raise wrong(name, value, expected) from None


def as_argument(value: Any, kind: Any, bounds: str = "") -> Any:
    """The value as a kind, which may be a union, within bounds; else a TypeError or ValueError."""
    for each in _alternatives(kind):
        try:
            taken = _as_kind(value, each)
            _require(each is not float or math.isfinite(taken) or "inf" in bounds)
        except (TypeError, ValueError, OverflowError):
            continue
        _require(taken is None or not bounds or _within(taken, bounds))
        return taken
    raise TypeError


def _alternatives(kind: Any) -> list[Any]:
    """The members of a union; a text that may be a path is a path."""
    kinds = get_args(kind) if get_origin(kind) in (Union, types.UnionType) else (kind,)
    return [each for each in kinds if each is not str or Path not in kinds]


def _as_kind(value: Any, kind: Any) -> Any:
    """The value as one kind, a type but no union; a TypeError or ValueError where it is none."""
    name, inner = get_origin(kind) or kind, get_args(kind)
    if name in _SIMPLE:
        return _SIMPLE[name](value)
    if name is np.ndarray:
        return _as_array(value, _items(kind))
    if name is Literal:
        taken = next((each for each in inner if each == _single(value)), None)
        _require(taken is not None and not isinstance(value, (bool, np.bool_)))
        return taken
    if name is Callable:
        _require(callable(value))
    elif name in (dict, Mapping):
        _require(isinstance(value, Mapping) and all(isinstance(key, str) for key in value))
        return {key: _taken(key, item, inner[1]) for key, item in value.items()}
    elif isinstance(name, type) and issubclass(name, Iterable) and inner:
        return _as_several(value, name, inner)
    else:
        _require(_is_one(value, name))
    return value


def is_several(value: Any) -> bool:
    """Whether a value is a list, a tuple, an array or the like."""
    plain = isinstance(value, (str, bytes, Mapping)) or getattr(value, "ndim", 1) == 0
    return isinstance(value, Iterable) and not plain


def _is_one(value: Any, cls: Any) -> bool:
    """Whether a value is of a class, of which the name may be all that is known."""
    if getattr(cls, "_is_protocol", False):
        wanted = {*vars(cls), *inspect.get_annotations(cls)}
        return all(hasattr(value, each) for each in wanted if not each.startswith("_"))
    return cls is Any or any(each.__name__ == cls.__name__ for each in type(value).__mro__)


def _as_several(value: Any, name: type, kinds: tuple[Any, ...]) -> Any:
    _require(is_several(value))
    items = list(value)
    if name is tuple and kinds[-1] is not ...:
        _require(len(items) == len(kinds))
    else:
        kinds = kinds[:1] * len(items)
    taken = [_taken("", item, kind) for item, kind in zip(items, kinds, strict=True)]
    return tuple(taken) if name is tuple else taken


def _items(kind: Any) -> str:
    """What an array holds, as its annotation says."""
    item = str(get_args(kind)[1:])
    return "truth values" if "bool" in item else "records" if "void" in item else "numbers"


def _as_array(value: Any, items: str) -> Any:
    _require(isinstance(value, (list, tuple, numbers.Real)) or hasattr(value, "__array__"))
    array = np.asarray(value)
    _require(array.dtype.kind in ("V" if items == "records" else "biuf"))
    if items == "truth values" and array.dtype.kind != "b":
        _require(bool(np.isin(array, (0, 1)).all()))
        return array.astype(bool)
    return array


def _as_text(value: Any) -> str:
    _require(isinstance(value, str))
    return str(value)


def _as_path(value: Any) -> Path:
    path = os.fspath(value)
    _require(isinstance(path, str) and path != "" and "\0" not in path)
    taken = Path(path)
    _require(all(len(os.fsencode(part)) <= _LONGEST_NAME for part in taken.parts))
    return taken


def _single(value: Any) -> Any:
    """The number of an array without axes, as NumPy and xarray have them; else the value."""
    return value.item() if getattr(value, "ndim", 1) == 0 else value


def _as_truth(value: Any) -> bool:
    value = _single(value)
    _require(isinstance(value, (bool, np.bool_)))
    return bool(value)


def _as_number(value: Any) -> float:
    value = _single(value)
    _require(isinstance(value, numbers.Real) and not isinstance(value, (bool, np.bool_)))
    _require(not math.isnan(value))
    return float(value)


def _as_whole(value: Any) -> int:
    number = _as_number(value)
    _require(number.is_integer() and abs(number) < _LARGEST_WHOLE)
    return int(_single(value))


_SIMPLE: dict[Any, Callable[[Any], Any]] = {
    str: _as_text,
    Path: _as_path,
    bool: _as_truth,
    int: _as_whole,
    float: _as_number,
}


def _require(condition: bool) -> None:
    if not condition:
        raise TypeError


def _within(value: Any, bounds: str) -> bool:
    """Whether a number, or each of several, is within bounds such as ">= 1, < 100"."""
    values = np.ravel(value)
    for bound in filter(None, bounds.split(",")):
        sign, number = bound.split()
        if not _COMPARE[sign](values, float(number)).all():
            return False
    return True


def choices_text(choices: Sequence[Any]) -> str:
    """What some choices are, for a person; where one has a sign, all show theirs."""
    signed = any(isinstance(choice, int) and choice < 0 for choice in choices)
    texts = [
        f"{choice:+d}" if signed and isinstance(choice, int) else str(choice) for choice in choices
    ]
    return " or ".join(texts) if signed or len(texts) < 3 else f"one of {', '.join(texts)}"


def _words(kind: Any, bounds: str = "") -> str:
    """What a kind is, for a person."""
    alternatives = _alternatives(kind)
    if len(alternatives) > 1:
        return " or ".join(dict.fromkeys(_words(each, bounds) for each in alternatives))
    kind = alternatives[0]
    name, inner = get_origin(kind) or kind, get_args(kind)
    if name in (int, float):
        return f"{WORDS[name.__name__]} {bounds}".rstrip()
    if name is np.ndarray:
        return f"an array of {_items(kind)}"
    if name is Literal:
        return choices_text(inner)
    if name in (dict, Mapping):
        return "a dictionary with texts as keys"
    if inner and issubclass(name, Iterable):
        many = len(inner) if name is tuple and inner[-1] is not ... else "several"
        return f"{many} of: {_words(inner[0]).removeprefix('a ')}"
    own = name.__module__.startswith("recon3d")
    return WORDS.get(
        name.__name__, f"a recon3d.{name.__name__}" if own else f"an object of type {name.__name__}"
    )
