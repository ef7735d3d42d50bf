"""A grain whose arrays stay on disk until a part of them is asked for."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import h5py

from recon3d.analysis.coarse import LARGEST
from recon3d.files.grain import Grain


def open_grain(path: str | Path, *, largest: int = LARGEST) -> Grain:
    """Open a grain: in memory up to `largest` voxels, else with arrays that are read in parts."""

    def read(stored: h5py.Dataset) -> Any:
        return stored[()] if math.prod(stored.shape[:3]) <= largest else lazy(stored)

    return Grain.load(path, read=read)


def lazy(stored: h5py.Dataset) -> Any:
    """A dask array of a dataset; it keeps the file open."""
    import dask.array

    chunks = [2 * chunk for chunk in stored.chunks[:3]] if stored.chunks else "auto"
    if stored.ndim == 4 and stored.chunks:
        chunks = [*chunks, stored.shape[3]]
    file = h5py.File(stored.file.filename, "r", locking=False)
    return dask.array.from_array(file[stored.name], chunks=chunks, lock=True)
