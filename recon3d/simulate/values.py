"""Phantoms and plans as plain values, for files, and back."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

from recon3d.config.crystal import Crystal
from recon3d.errors import DataError
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.fields import Bend, Cells, Constant, Gradient, Inclusion, Sum
from recon3d.simulate.phantom import Phantom
from recon3d.simulate.scan_plan import ScanPlan, Steps
from recon3d.simulate.shapes import Polyhedron

_CLASSES: dict[str, type] = {
    cls.__name__: cls
    for cls in (
        *(Bend, Cells, Constant, Gradient, Inclusion, Sum),
        *(Crystal, Phantom, Polyhedron, ScanPlan, SimulatedDetector, Steps),
    )
}


def to_plain(value: Any) -> Any:
    """Turn dataclasses into dictionaries with a "type", and tuples into lists.

    A field of a class of one's own can be simulated, but not kept in a file.
    """
    if is_dataclass(value):
        named = {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
        return {"type": type(value).__name__, **named}
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    return value


def from_plain(value: Any) -> Any:
    """Build again what `to_plain` took apart.

    Raises
    ------
    DataError
        A type is not known, or does not have these fields.
    """
    if isinstance(value, list):
        return tuple(from_plain(item) for item in value)
    if not isinstance(value, dict):
        return value
    named = {name: from_plain(item) for name, item in value.items() if name != "type"}
    try:
        return _CLASSES[value["type"]](**named)
    except (KeyError, TypeError) as error:
        raise DataError(
            f"'{value.get('type')}' is no part of a simulated scan ({error}): was the file "
            "written by another version?"
        ) from error
