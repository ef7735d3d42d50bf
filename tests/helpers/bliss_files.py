"""Small HDF5 files as BLISS writes them, made with h5py alone."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np

SHAPE = (4, 6)


def stack(first: int, count: int, shape: tuple[int, int] = SHAPE, dtype: str = "uint16"):
    """Frames of which no two pixels are equal, and none is zero."""
    size = shape[0] * shape[1]
    return (1 + (first * size) + np.arange(count * size)).reshape(count, *shape).astype(dtype)


def add_entry(
    file: h5py.File,
    number: int,
    frames: np.ndarray | None,
    *,
    lists: dict[str, np.ndarray] | None = None,
    scalars: dict[str, float | str] | None = None,
    title: str = "fscan2d chi 0 0.1 2 mu 0 0.1 3 1 1",
    end_reason: str | None = "SUCCESS",
    detector: str = "pco_ff",
    frames_at: str = "instrument/{}/image",
    list_at: str = "instrument/{}/data",
    **storage,
) -> h5py.Group:
    """Write one entry `N.1`."""
    entry = file.create_group(f"{number}.1")
    entry["title"] = title
    if end_reason is not None:
        entry["end_reason"] = end_reason
    for name, values in (lists or {}).items():
        entry[list_at.format(name)] = values
    for name, value in (scalars or {}).items():
        entry[f"instrument/positioners/{name}"] = value
    if frames is not None:
        entry.create_dataset(frames_at.format(detector), data=frames, **storage)
    return entry


def topotomo(path: Path, omega=(0.0, 10.0), mu=(0.0, 0.1, 0.2), order=None, **options) -> Path:
    """A rocking scan of one entry for each ω, with frames as `stack` numbers them by ω."""
    order = range(len(omega)) if order is None else order
    with h5py.File(path, "w") as file:
        for k in order:
            frames = stack(k * len(mu), len(mu))
            scalars = {"omega": omega[k], "chi": 0.5, "phi": -0.25, "obpitch": 18.0}
            add_entry(file, k + 1, frames, lists={"mu": np.array(mu)}, scalars=scalars, **options)
    return path


def mosaicity(mu, chi, *, zigzag: bool = False) -> dict[str, np.ndarray]:
    """Lists of base tilt and chi of a two-dimensional scan, the base tilt the faster."""
    settings = []
    for i, slow in enumerate(chi):
        fast = mu[::-1] if zigzag and i % 2 else mu
        settings += list(product([slow], fast))
    slow, fast = np.array(settings).T
    return {"chi": slow, "mu": fast}


def external(
    folder: Path, entry: h5py.Group, frames: np.ndarray, per_file: int, *, absolute: bool = False
) -> list[Path]:
    """Write frames to files of their own, and a virtual dataset of them in an entry."""
    layout = h5py.VirtualLayout(frames.shape, frames.dtype)
    paths = []
    for first in range(0, len(frames), per_file):
        part = frames[first : first + per_file]
        name = Path(f"scan{entry.name[1:-2]}") / f"pco_ff_{first // per_file:04d}.h5"
        (folder / name).parent.mkdir(exist_ok=True)
        with h5py.File(folder / name, "w") as file:
            file.create_dataset(
                "entry/data",
                data=part,
                maxshape=(None, *part.shape[1:]),
                chunks=(1, *part.shape[1:]),
                **hdf5plugin.Bitshuffle(cname="lz4"),
            )
        target = str(folder / name) if absolute else str(name)
        source = h5py.VirtualSource(target, "entry/data", part.shape)
        layout[first : first + len(part)] = source
        paths.append(folder / name)
    entry.create_virtual_dataset("instrument/pco_ff/image", layout)
    return paths
