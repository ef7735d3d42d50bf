"""Export of a grain in the format that the file name's ending asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.exports.crystal_maps import Slice, write_ctf, write_orix
from recon3d.files.exports.volumes import (
    write_csv,
    write_dream3d,
    write_ome_zarr,
    write_vti,
    write_vtkhdf,
)
from recon3d.files.grain import Grain

Axis = Literal["x", "y", "z"]

WHOLE: dict[str, Callable[[Grain, Path], object]] = {
    ".vti": write_vti,
    ".vtkhdf": write_vtkhdf,
    ".dream3d": write_dream3d,
    ".ome.zarr": write_ome_zarr,
    ".csv": write_csv,
}
"""Formats of the whole grain, by their endings."""
BY_SLICE: dict[str, Callable[[Grain, Slice, Path], object]] = {
    ".ctf": write_ctf,
    ".orix.h5": write_orix,
}
"""Formats of one slice."""


@checked()
def export_grain(
    grain: Grain,
    path: str | Path,
    *,
    across: Axis = "z",
    at_um: float | None = None,
    every_slice: bool = False,
) -> list[Path]:
    """Write a grain in the format that the file name's ending asks for, and list the files.

    Slices are normal to `across`, at `at_um` or in the middle; `every_slice`: one file for each
    slice with a voxel of the grain, numbered. A ParameterError where that cannot be.
    """
    path = Path(path)
    for ending, write in WHOLE.items():
        if path.name.endswith(ending):
            if every_slice or at_um is not None or across != "z":
                raise ParameterError(
                    f"{path}: holds the whole grain: --across, --at and --all are for "
                    f"{' and '.join(BY_SLICE)}"
                )
            write(grain, path)
            return [path]
    for ending, write_slice in BY_SLICE.items():
        if path.name.endswith(ending):
            if not every_slice:
                write_slice(grain, Slice(across, slice_at(grain, across, at_um)), path)
                return [path]
            return _write_all(grain, path, ending, across)
    known = ", ".join((*WHOLE, *BY_SLICE))
    raise ParameterError(f"{path}: the ending names no format: expected one of {known}")


def _write_all(grain: Grain, path: Path, ending: str, across: Axis) -> list[Path]:
    moved = np.moveaxis(grain.mask, "xyz".index(across), 0)
    numbers = np.flatnonzero(moved.any(axis=(1, 2)))
    if not numbers.size:
        raise ParameterError("the grain has no voxel: there is no slice to write")
    digits = len(str(len(moved) - 1))
    stem, paths = path.name.removesuffix(ending), []
    for number in numbers:
        paths.append(path.with_name(f"{stem}_{number:0{digits}}{ending}"))
        BY_SLICE[ending](grain, Slice(across, int(number)), paths[-1])
    return paths


def slice_at(grain: Grain, across: Axis, at_um: float | None) -> int:
    """Number of the slice at a place; a ParameterError where it is outside the volume."""
    axis = "xyz".index(across)
    volume = grain.volume
    place = volume.position_um[axis] if at_um is None else at_um
    low = volume.corner_um[axis]
    share = (place - low) / volume.size_um[axis]
    if not 0 <= share <= 1:
        raise ParameterError(
            f"--at {place:g}: the grain's volume goes from {low:g} to "
            f"{low + volume.size_um[axis]:g} µm along {across}"
        )
    return min(int(share * volume.shape[axis]), volume.shape[axis] - 1)
