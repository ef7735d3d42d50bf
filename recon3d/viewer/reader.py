"""How napari opens grain.h5 that is dragged into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py

from recon3d.files.grain import FORMAT
from recon3d.viewer.layers import LayerData

Reader = Callable[[str | list[str]], list[LayerData]]


def get_reader(path: str | list[str]) -> Reader | None:
    """The reader of a grain, or None for any other file."""
    first = path[0] if isinstance(path, list) else path
    try:
        with h5py.File(first, "r", locking=False) as file:
            return read_grain if file.attrs.get("_format") == FORMAT else None
    except OSError:
        return None


def read_grain(path: str | list[str]) -> list[LayerData]:
    """Read every grain of a list of paths as layers."""
    from recon3d.viewer.scene import GrainScene

    paths = path if isinstance(path, list) else [path]
    layers = []
    for one in paths:
        for data, options, kind in GrainScene.open(Path(one)).layers():
            layers.append((data, options | {"metadata": {"recon3d": str(one)}}, kind))
    return layers
