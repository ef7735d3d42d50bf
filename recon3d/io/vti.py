"""The grain as a VTK image, for ParaView."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyevtk.hl import imageToVTK

from recon3d.errors import ParameterError
from recon3d.io.atomic import complete_or_absent
from recon3d.io.grain import Grain


def export_vti(grain: Grain, path: str | Path) -> Path:
    """Write the grain as cell data of a VTK image, in µm, in the sample axes x, y, z.

    The orientation becomes the two arrays `orientation_a` and `orientation_b`, in degrees.
    Where a quantity is unknown (outside the mask) it stays NaN, which ParaView shows in a
    colour of its own.

    Parameters
    ----------
    grain
        What to write.
    path
        The file, with a name that ends in .vti.

    Returns
    -------
    path
        The file.

    Raises
    ------
    ParameterError
        The name does not end in .vti.
    """
    path = Path(path)
    if path.suffix != ".vti":
        raise ParameterError(f"{path}: expected a name that ends in .vti, as ParaView does")
    volume = grain.volume
    corner = tuple(p - s / 2 for p, s in zip(volume.position_um, volume.size_um, strict=True))
    with complete_or_absent(path) as temporary:
        imageToVTK(
            str(temporary.with_suffix("")),
            origin=corner,
            spacing=volume.voxel_um,
            cellData=_cell_data(grain),
        )
    return path


def _cell_data(grain: Grain) -> dict[str, NDArray[Any]]:
    cells = grain.arrays()
    a, b = np.moveaxis(cells.pop("orientation"), -1, 0)
    cells |= {"orientation_a": a, "orientation_b": b}
    cells["mask"] = cells["mask"].astype(np.uint8)
    return {name: np.asfortranarray(array) for name, array in cells.items()}
