"""The whole grain for programs of volumes: DREAM3D-NX, OME-Zarr, ParaView, tables of voxels."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import h5py
import numpy as np
from numpy.typing import NDArray
from pyevtk.hl import imageToVTK

from recon3d import __version__
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import create_own, storable
from recon3d.files.rotations import euler_bunge_deg, lattice, notes, rotation_matrices
from recon3d.runtime.atomic import complete_or_absent, explaining_writes

_LAUE_NUMBERS = (4, 5, 6, 7, 8, 9, 10, 2, 0, 3, 1)
"""DREAM.3D's numbers of the Laue groups."""
_UNKNOWN_STRUCTURE = 999


def columns(grain: Grain) -> dict[str, NDArray[Any]]:
    """Scalars over the volume by their names; what belongs to tilts as `..._a` and `..._b`."""
    found = {}
    for name, values in grain.arrays().items():
        if values.ndim == 3:
            found[name] = values
        else:
            found |= {f"{name}_{tilt}": values[..., i] for i, tilt in enumerate("ab")}
    return found


def _x_fastest(values: NDArray[Any]) -> NDArray[Any]:
    """Values over the volume as VTK and DREAM.3D store them, (z, y, x, ...)."""
    return np.ascontiguousarray(np.moveaxis(values, (0, 1, 2), (2, 1, 0)))


def write_dream3d(grain: Grain, path: Path) -> None:
    """Write the grain for DREAM3D-NX: an image geometry with its arrays, in order z, y, x.

    Euler angles are in radians, as DREAM.3D has them, with a note of what is not known in them.
    """
    known = grain.oriented
    euler = np.zeros((*known.shape, 3), np.float32)
    matrices = rotation_matrices(
        grain.orientation[known].astype(float), grain.mean_tilt_deg, grain.provenance
    )
    euler[known] = np.radians(euler_bunge_deg(matrices))
    arrays: dict[str, NDArray[Any]] = {"EulerAngles": euler, "Phases": known.astype(np.int32)}
    for name, values in grain.arrays().items():
        arrays[name] = values.astype(np.uint8) if values.dtype == bool else values
    volume, cell = grain.volume, lattice(grain.provenance)
    number = iter(range(1, 1000))

    def describe(item: Any, kind: str) -> Any:
        _set_text(item, "ObjectType", kind)
        item.attrs["Importable"] = np.int32(1)
        item.attrs["ObjectId"] = np.uint64(next(number))
        return item

    def add(group: Any, name: str, values: NDArray[Any], tuples: tuple[int, ...]) -> None:
        parts = values.shape[len(tuples) :] or (1,)
        stored = group.create_dataset(name, data=values.reshape(*tuples, *parts))
        kind = {"f": "float", "i": "int", "u": "uint"}[values.dtype.kind]
        describe(stored, f"DataArray<{kind}{8 * values.dtype.itemsize}>")
        stored.attrs["TupleDimensions"] = np.array(tuples, np.uint64)
        stored.attrs["ComponentDimensions"] = np.array(parts, np.uint64)

    with create_own(path, sum(a.nbytes for a in arrays.values()), oldest=True) as file:
        _set_text(file, "FileVersion", "8.0")
        file.attrs["recon3d_notes"] = notes(grain.provenance)
        file.create_group("Pipeline")
        structure = file.create_group("DataStructure")
        image = describe(structure.create_group("Grain"), "ImageGeom")
        image.attrs["_DIMENSIONS"] = np.array(volume.shape, np.uint64)
        image.attrs["_ORIGIN"] = np.array(volume.corner_um, np.float32)
        image.attrs["_SPACING"] = np.array(volume.voxel_um, np.float32)
        cells = describe(image.create_group("Cell Data"), "AttributeMatrix")
        image.attrs["Cell Data ID"] = cells.attrs["ObjectId"]
        tuples = volume.shape[::-1]
        cells.attrs["TupleDims"] = np.array(tuples, np.uint64)
        for name, values in arrays.items():
            add(cells, name, _x_fastest(values), tuples)
        phases = describe(image.create_group("Cell Ensemble Data"), "AttributeMatrix")
        phases.attrs["TupleDims"] = np.array([2], np.uint64)
        laue = _UNKNOWN_STRUCTURE if cell is None else _LAUE_NUMBERS[cell.laue_group - 1]
        add(phases, "CrystalStructures", np.array([_UNKNOWN_STRUCTURE, laue], np.uint32), (2,))
        constants = np.zeros((2, 6), np.float32)
        constants[1] = (1, 1, 1, 90, 90, 90) if cell is None else cell.unit_cell
        add(phases, "LatticeConstants", constants, (2,))
        structure.attrs["NextObjectId"] = np.uint64(next(number))


def _set_text(item: h5py.Group | h5py.Dataset, name: str, text: str) -> None:
    """Set an attribute of fixed length with a zero at its end.

    DREAM3D-NX takes text of variable length, which h5py writes by itself, for empty.
    """
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(len(text) + 1)
    kind.set_strpad(h5py.h5t.STR_NULLTERM)
    stored = h5py.h5a.create(item.id, name.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
    stored.write(np.array(text, f"S{len(text) + 1}"))


def write_csv(grain: Grain, path: Path) -> None:
    """Write a line for each voxel of the grain: its place in µm, and all that is known of it."""
    place = np.argwhere(grain.mask)
    table = {
        f"{name}_um": grain.volume.axis_um(axis)[place[:, axis]] for axis, name in enumerate("xyz")
    }
    table |= {name: values[grain.mask] for name, values in columns(grain).items() if name != "mask"}
    with complete_or_absent(path) as temporary:
        np.savetxt(
            temporary, np.stack([*table.values()], axis=1), "%.7g", ",", comments="",
            header=",".join(table), encoding="utf-8",
        )  # fmt: skip


def write_ome_zarr(grain: Grain, path: Path) -> None:
    """Write the grain as OME-Zarr 0.5: one image with a channel for each scalar, (c, z, y, x).

    Raises a ParameterError where zarr is not installed, or something else has that name.
    """
    try:
        import zarr
    except ImportError as error:
        raise ParameterError(
            "OME-Zarr needs the package zarr: pip install 'recon3d[export]'"
        ) from error
    if path.exists() and not (path / "zarr.json").is_file():
        raise ParameterError(f"{path}: is there already, and is no Zarr group: choose another name")
    channels, volume = columns(grain), grain.volume
    move = [
        {"type": "scale", "scale": [1.0, *(float(edge) for edge in volume.voxel_um[::-1])]},
        {"type": "translation", "translation": [0.0, *volume.centre_um((0, 0, 0))[::-1]]},
    ]
    space = [{"name": axis, "type": "space", "unit": "micrometer"} for axis in "zyx"]
    image: dict[str, Any] = {
        "name": "grain",
        "axes": [{"name": "c", "type": "channel"}, *space],
        "datasets": [{"path": "0", "coordinateTransformations": move}],
    }
    shown = [_channel(name, values) for name, values in channels.items()]
    ome: dict[str, Any] = {"version": "0.5", "multiscales": [image], "omero": {"channels": shown}}
    made = {name: storable(name, value)[0] for name, value in grain.provenance.items()}
    about: dict[str, Any] = {
        "program": f"recon3d {__version__}",
        "notes": notes(grain.provenance),
        "parameters": made,
    }
    temporary, former = (path.with_name(f".{path.name}.{end}") for end in ("part", "former"))
    shutil.rmtree(temporary, ignore_errors=True)
    shutil.rmtree(former, ignore_errors=True)
    with explaining_writes(path):
        try:
            group = zarr.open_group(
                temporary, mode="w", zarr_format=3, attributes={"ome": ome, "recon3d": about}
            )
            shape = (len(channels), *volume.shape[::-1])
            stored = group.create_array(
                "0", shape=shape, chunks=(1, *(min(n, 64) for n in shape[1:])), dtype="float32",
                dimension_names=("c", "z", "y", "x"),
            )  # fmt: skip
            for number, values in enumerate(channels.values()):
                stored[number] = values.astype(np.float32).T
            if path.exists():
                path.rename(former)
            temporary.rename(path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
            shutil.rmtree(former, ignore_errors=True)


def _channel(name: str, values: NDArray[Any]) -> dict[str, Any]:
    """How a viewer shows a channel: in white, over its own range."""
    known = values[np.isfinite(values)].astype(float)
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    high = high if high > low else low + 1.0
    window = {"min": low, "max": high, "start": low, "end": high}
    return {"label": name, "color": "FFFFFF", "active": name == "occupancy", "window": window}


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
            stored = _x_fastest(values)
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
            turned = _x_fastest(values)
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
