"""The grain as an image of VTK (.vti, .vtkhdf) or XDMF, for ParaView."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import numpy as np
from numpy.typing import NDArray
from pyevtk.hl import imageToVTK

from recon3d.config.volume import Volume
from recon3d.files.exports.volumes import columns, x_fastest
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import create_own
from recon3d.runtime.atomic import complete_or_absent


def write_vti(grain: Grain, path: Path) -> None:
    """Write the grain as cell data of a VTK image, in µm, in the sample axes x, y, z.

    The orientation and its error become vectors (a, b, 0) in degrees; what is unknown stays NaN.
    """
    cells = {
        name: tuple(map(np.asfortranarray, np.moveaxis(values, -1, 0)))
        if values.ndim == 4
        else np.asfortranarray(values)
        for name, values in _cell_data(grain).items()
    }
    with complete_or_absent(path) as temporary:
        imageToVTK(
            str(temporary.with_suffix("")),
            origin=grain.volume.corner_um,
            spacing=grain.volume.voxel_um,
            cellData=cells,
        )


def write_vtkhdf(grain: Grain, path: Path) -> None:
    """Write the same as `write_vti` as an ImageData of VTKHDF (docs.vtk.org), compressed."""
    volume, cells = grain.volume, _cell_data(grain)
    with create_own(path, sum(values.nbytes for values in cells.values())) as file:
        image = file.create_group("VTKHDF")
        image.attrs["Version"] = np.array([1, 0])
        image.attrs["Type"] = np.bytes_("ImageData")
        image.attrs["WholeExtent"] = np.array([(0, n) for n in volume.shape]).ravel()
        image.attrs["Origin"], image.attrs["Spacing"] = volume.corner_um, volume.voxel_um
        image.attrs["Direction"] = np.eye(3).ravel()
        for name, values in cells.items():
            stored = x_fastest(values)
            image.create_dataset(
                f"CellData/{name}", data=stored, compression="gzip", compression_opts=1
            )


def _cell_data(grain: Grain) -> dict[str, NDArray[Any]]:
    """Arrays over the volume: scalars (x, y, z), vectors (x, y, z, 3)."""
    cells = {
        name: values.astype(np.uint8) if values.dtype == bool else values
        for name, values in columns(grain).items()
    }
    for name in ("orientation", "orientation_error"):
        if f"{name}_a" in cells:
            a, b = cells[f"{name}_a"], cells[f"{name}_b"]
            cells[name] = np.stack((a, b, np.where(np.isfinite(a), np.zeros_like(a), a)), axis=-1)
    return cells


def write_xdmf(grain: Grain, grain_path: Path) -> Path:
    """Write grain.xdmf and grain_xdmf.h5 beside a saved grain, for ParaView's "Xdmf Reader".

    XDMF lets x run fastest on a plain grid, so the arrays are written once more in that order.
    """
    path = grain_path.with_suffix(".xdmf")
    data = grain_path.with_name(f"{grain_path.stem}_xdmf.h5")
    cells = _cell_data(grain)
    attributes = []
    with create_own(data) as file:
        for name, values in cells.items():
            turned = x_fastest(values)
            file.create_dataset(name, data=turned, compression="gzip", compression_opts=1)
            attributes.append(_attribute(name, turned, data.name))
    with complete_or_absent(path) as temporary:
        temporary.write_text(_header(grain.volume, attributes), "utf-8")
    return path


def _attribute(name: str, values: NDArray[Any], file: str) -> str:
    kind = "Vector" if values.ndim == 4 else "Scalar"
    number = "UChar" if values.dtype == np.uint8 else "Float"
    return (
        f'<Attribute Name={quoteattr(name)} AttributeType="{kind}" Center="Cell">\n'
        f'<DataItem Dimensions="{_numbers(values.shape)}" NumberType="{number}" '
        f'Precision="{values.dtype.itemsize}" Format="HDF">{escape(file)}:/{escape(name)}'
        "</DataItem>\n</Attribute>"
    )


def _header(volume: Volume, attributes: list[str]) -> str:
    nodes = _numbers(n + 1 for n in reversed(volume.shape))
    origin, step = (
        f'<DataItem Dimensions="3" NumberType="Float" Precision="8" Format="XML">'
        f"{_numbers(reversed([*values]))}</DataItem>"
        for values in (volume.corner_um, volume.voxel_um)
    )
    return (
        '<?xml version="1.0"?>\n<Xdmf Version="2.0">\n<Domain>\n'
        '<Grid Name="grain" GridType="Uniform">\n<Time Value="0"/>\n'
        f'<Topology TopologyType="3DCoRectMesh" Dimensions="{nodes}"/>\n'
        f'<Geometry GeometryType="ORIGIN_DXDYDZ">\n{origin}\n{step}\n</Geometry>\n'
        + "\n".join(attributes)
        + "\n</Grid>\n</Domain>\n</Xdmf>\n"
    )


def _numbers(values: Iterable[float]) -> str:
    return " ".join(f"{value:.12g}" for value in values)
