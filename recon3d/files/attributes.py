"""The parameters of a run as HDF5 attributes, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

import h5py
import numpy as np

from recon3d.errors import ParameterError

_NESTED = "_nested"
_NEXUS = ("NX_class", "default")
"""Attributes that are the file format's own."""


def write_attributes(target: h5py.Group, values: Mapping[str, Any]) -> None:
    """Write named values as attributes: text, numbers and truth values as they are.

    Lists of numbers become arrays. Other lists, and dictionaries, are written as JSON text,
    and their names are kept in one more attribute, so that text that looks like JSON stays
    text.

    Raises
    ------
    ParameterError
        A name begins with an underscore (these are the format's own), or a value is
        nothing that JSON can hold.
    """
    nested = []
    for name, value in values.items():
        if name.startswith("_"):
            raise ParameterError(f"the attribute '{name}' begins with an underscore")
        target.attrs[name], is_nested = storable(name, value)
        if is_nested:
            nested.append(name)
    target.attrs[_NESTED] = json.dumps(nested)


def storable(name: str, value: Any) -> tuple[Any, bool]:
    """A value as HDF5 keeps it, and whether it had to become JSON text for that.

    Raises
    ------
    ParameterError
        The value is nothing that JSON can hold.
    """
    plain = _plain(value)
    if isinstance(plain, (str, bool, int, float)) or _is_numbers(plain):
        return plain, False
    try:
        return json.dumps(plain, default=_plain), True
    except (TypeError, ValueError) as error:
        raise ParameterError(f"the attribute '{name}' cannot be kept ({error})") from error


def read_attributes(target: h5py.Group) -> dict[str, Any]:
    """Read what `write_attributes` wrote, as plain Python values."""
    nested = json.loads(target.attrs.get(_NESTED, "[]"))
    values = {
        name: _plain(value)
        for name, value in target.attrs.items()
        if name[0] != "_" and name not in _NEXUS
    }
    return {name: json.loads(v) if name in nested else v for name, v in values.items()}


def _is_numbers(value: Any) -> bool:
    """Whether a value is a list of plain numbers, which HDF5 keeps as an array."""
    if not isinstance(value, (list, tuple)) or not value:
        return False
    return all(type(item) in (int, float) for item in value)


def _plain(value: Any) -> Any:
    """Turn NumPy scalars and arrays, and paths, into what Python and JSON know."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    return str(value) if isinstance(value, PurePath) else value
