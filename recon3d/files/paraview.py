"""The grain as a VTK image, for ParaView."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import h5py
import numpy as np
from numpy.typing import NDArray
from pyevtk.hl import imageToVTK

from recon3d.atomic import complete_or_absent
from recon3d.config.volume import Volume
from recon3d.errors import DataError, ParameterError
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import create_own


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


NODES = "mesh"
"""Group with the corners of the voxels."""


def write_xdmf(grain: Grain, grain_path: str | Path) -> Path:
    """Write grain.xdmf beside a saved grain, for ParaView's "Xdmf Reader".

    The corners of the voxels go to grain_mesh.h5: XDMF lets x run fastest on plain grids,
    while z does in grain.h5, and without them ParaView would show the mirror image.

    Parameters
    ----------
    grain
        The grain.
    grain_path
        The file that `Grain.save` wrote.

    Returns
    -------
    path
        The header.

    Raises
    ------
    DataError
        There is no such file.
    """
    grain_path = Path(grain_path)
    if not grain_path.is_file():
        raise DataError(f"{grain_path}: there is no such file to write a header for")
    path = grain_path.with_suffix(".xdmf")
    nodes = grain_path.with_name(f"{grain_path.stem}_mesh.h5")
    with create_own(nodes) as file:
        _write_nodes(file.create_group(NODES), grain.volume)
    with complete_or_absent(path) as temporary:
        temporary.write_text(_header(grain, grain_path.name, nodes.name), "utf-8")
    return path


def _write_nodes(group: h5py.Group, volume: Volume) -> None:
    """Write the corners of all voxels, one plane of x at a time: they compress to little."""
    shape = tuple(n + 1 for n in volume.shape)
    edges = [
        np.linspace(p - s / 2, p + s / 2, n, dtype=np.float32)
        for p, s, n in zip(volume.position_um, volume.size_um, shape, strict=True)
    ]
    planes = {
        "y": np.broadcast_to(edges[1][:, None], shape[1:]),
        "z": np.broadcast_to(edges[2], shape[1:]),
    }
    for name in "xyz":
        stored = group.create_dataset(
            name, shape, np.float32, chunks=(1, *shape[1:]), compression="gzip", shuffle=True
        )
        for i, x in enumerate(edges[0]):
            stored[i] = planes.get(name, x)


def _header(grain: Grain, grain_name: str, nodes_name: str) -> str:
    cells = _numbers(grain.volume.shape)
    nodes = _numbers(n + 1 for n in grain.volume.shape)
    corners = "\n".join(_item(nodes, f"{nodes_name}:/{NODES}/{name}") for name in "xyz")
    attributes = []
    for name in grain.arrays():
        place = f"{grain_name}:/grain/{name}"
        if name == "orientation":
            attributes += [
                _attribute(f"orientation_{part}", _component(cells, place, number))
                for number, part in enumerate("ab")
            ]
        elif name == "mask":
            attributes.append(_attribute(name, _item(cells, place, "Char", 1)))
        else:
            attributes.append(_attribute(name, _item(cells, place)))
    return (
        '<?xml version="1.0"?>\n<Xdmf Version="2.0">\n<Domain>\n'
        '<Grid Name="grain" GridType="Uniform">\n'
        f'<Topology TopologyType="3DSMesh" Dimensions="{nodes}"/>\n'
        f'<Geometry GeometryType="X_Y_Z">\n{corners}\n</Geometry>\n'
        + "\n".join(attributes)
        + "\n</Grid>\n</Domain>\n</Xdmf>\n"
    )


def _attribute(name: str, item: str) -> str:
    return (
        f'<Attribute Name={quoteattr(name)} AttributeType="Scalar" Center="Cell">\n'
        f"{item}\n</Attribute>"
    )


def _item(dimensions: str, place: str, kind: str = "Float", size: int = 4) -> str:
    return (
        f'<DataItem Dimensions="{dimensions}" NumberType="{kind}" Precision="{size}" '
        f'Format="HDF">{escape(place)}</DataItem>'
    )


def _component(cells: str, place: str, number: int) -> str:
    return (
        f'<DataItem ItemType="HyperSlab" Dimensions="{cells}">\n'
        f'<DataItem Dimensions="3 4" Format="XML">0 0 0 {number} 1 1 1 1 {cells} 1</DataItem>\n'
        f"{_item(f'{cells} 2', place)}\n</DataItem>"
    )


def _numbers(values: Iterable[int]) -> str:
    return " ".join(str(value) for value in values)
