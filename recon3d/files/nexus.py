"""The NeXus part of our HDF5 files, which silx, h5web and nexusformat show by default.

/entry holds an NXdata for each map. Its arrays are hard links to those of /grain (or of
/entry/data in scan.h5), so nothing is stored twice but the colours of the mosaicity map.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d import __version__
from recon3d.colors import Center, orientation_colors, orientation_range, orientation_rgba
from recon3d.files.hdf5 import storable

_KEY_PIXELS = 129
_TILTS = {"a": "tilt a: μ at ω = 0", "b": "tilt b: γ at ω = 0"}


def new_group(parent: h5py.Group, name: str, nx_class: str, **attributes: Any) -> h5py.Group:
    """Make a group of a NeXus class, with attributes."""
    group = parent.create_group(name)
    group.attrs["NX_class"] = nx_class
    group.attrs.update(attributes)
    return group


def write_entry(file: h5py.File, title: str, default: str) -> h5py.Group:
    """Make /entry, which a viewer opens by itself.

    `default`: the NXdata of the entry that is shown first.
    """
    file.attrs["NX_class"], file.attrs["default"] = "NXroot", "entry"
    entry = file.require_group("entry")
    entry.attrs["NX_class"], entry.attrs["default"] = "NXentry", default
    entry["title"] = title
    return entry


def write_process(entry: h5py.Group, parameters: Mapping[str, Any]) -> None:
    """Write how a file was made: the program, its version, the date and every parameter."""
    process = new_group(entry, "process", "NXprocess")
    process["program"], process["version"] = "recon3d", __version__
    process["date"] = datetime.now(UTC).isoformat(timespec="seconds")
    group = new_group(process, "parameters", "NXparameters")
    for name, value in parameters.items():
        group[name], _ = storable(name, value)


def show_grain(file: h5py.File, parameters: Mapping[str, Any]) -> None:
    """Add /entry to a grain's file: an NXdata for each of its maps, and mosaicity in colours.

    Its middle slice is what a viewer opens on: silx knows no `default_slice` and would show the
    first slice of the whole, which is empty.
    """
    grain = file["grain"]
    known = np.isfinite(grain["orientation"][..., 0]) & grain["mask"][()]
    # Images of y over z are shown, at the x where the grain has most voxels.
    middle = int(np.argmax(known.sum(axis=(1, 2))))
    title = f"grain, {int(np.count_nonzero(grain['mask']))} voxels"
    title = f"{title}, {parameters.get('method', 'unknown')} method"
    entry = write_entry(file, title, "mosaicity_middle")
    _write_mosaicity(entry, grain, known, middle)
    for part, name in enumerate(_TILTS):
        _write_tilt(entry, grain, name, part, middle)
    for name, stored in grain.items():
        if stored.ndim >= 3 and not name.endswith("_error"):
            _link_map(entry, grain, name, middle)
    write_process(entry, parameters)


def _link_map(entry: h5py.Group, grain: h5py.Group, name: str, middle: int) -> None:
    """Show one array of /grain, with its errors where they are there."""
    stored = grain[name]
    data = volume_data(entry, grain, name, name, middle, more=stored.ndim - 3)
    stored.attrs["long_name"] = _long_name(stored.attrs["description"], stored.attrs["units"])
    stored.attrs["interpretation"] = "image"
    data[name] = stored
    if f"{name}_error" in grain:
        data[f"{name}_errors"] = grain[f"{name}_error"]


def _write_tilt(entry: h5py.Group, grain: h5py.Group, name: str, part: int, middle: int) -> None:
    """Show one of the two tilts, as a view of its part of /grain/orientation."""
    data = volume_data(entry, grain, name, name, middle)
    _write_view(data, name, grain["orientation"], part)
    data[name].attrs["units"] = "degree"
    data[name].attrs["long_name"] = _long_name(_TILTS[name], "degree")
    data[name].attrs["interpretation"] = "image"
    if "orientation_error" in grain:
        _write_view(data, f"{name}_errors", grain["orientation_error"], part)
        data[f"{name}_errors"].attrs["units"] = "degree"


def _write_view(data: h5py.Group, name: str, stored: h5py.Dataset, part: int) -> None:
    """Write a virtual dataset of one component of an array of the same file."""
    layout = h5py.VirtualLayout(stored.shape[:3], stored.dtype)
    source = h5py.VirtualSource(".", stored.name, stored.shape)
    for i in range(stored.shape[0]):  # nexusformat counts the pieces for the first axis
        layout[i] = source[i, :, :, part]
    data.create_virtual_dataset(name, layout, fillvalue=np.nan)


def _write_mosaicity(
    entry: h5py.Group, grain: h5py.Group, known: NDArray[np.bool_], middle: int
) -> None:
    """Write the orientation in colours, and the key of the colours as an NXdata of its own."""
    orientation = grain["orientation"]
    range_deg, center_deg = orientation_range(*orientation[()][known].T)
    data = volume_data(entry, grain, "mosaicity", "colors", middle, more=1)
    data["title"] = "orientation (a, b) in colours; their key is mosaicity_key"
    shape = (*known.shape, 4)
    packed = {"compression": "gzip", "shuffle": True, "chunks": (1, *shape[1:])}
    colors = data.create_dataset("colors", shape, np.uint8, **packed)
    for i in range(shape[0]):
        a, b = np.moveaxis(orientation[i], -1, 0)
        colors[i] = as_bytes(orientation_rgba(a, b, known[i], range_deg, center_deg))
    call_image(colors, "orientation in colours")
    at = f"x = {grain['x'][middle]:.4g} µm"
    shown = new_group(entry, "mosaicity_middle", "NXdata", signal="colors", axes=["y", "z", "."])
    shown["title"] = f"orientation (a, b) in colours at {at}; every slice is in mosaicity"
    shown["colors"], shown["y"], shown["z"] = colors[middle], grain["y"], grain["z"]
    call_image(shown["colors"], f"orientation in colours at {at}")
    add_key(entry, range_deg, center_deg, ("a", "b"))


def add_key(entry: h5py.Group, range_deg: float, center_deg: Center, names: Sequence[str]) -> None:
    """Write the key of orientation colours as an NXdata of its own, `mosaicity_key`.

    `range_deg` and `center_deg`: as in `recon3d.colors.orientation_colors`. `names`: of the two
    tilts: the first one goes to the right, the second one up.
    """
    line = np.linspace(-range_deg, range_deg, _KEY_PIXELS)
    axes = [names[1], names[0], "."]
    key = new_group(entry, "mosaicity_key", "NXdata", signal="colors", axes=axes)
    key["title"] = "key of the mosaicity's colours"
    for name, center in zip(names, center_deg, strict=True):
        key[name] = line + center
        key[name].attrs["units"], key[name].attrs["long_name"] = "degree", f"{name} (degree)"
    rgb = orientation_colors(line, line[:, None], range_deg)
    disk = (np.hypot(line, line[:, None]) <= range_deg)[..., None]
    key["colors"] = as_bytes(np.concatenate([np.where(disk, rgb, 1), disk], axis=-1))
    call_image(key["colors"], f"colours of ({', '.join(names)})")


def call_image(stored: h5py.Dataset, long_name: str) -> None:
    """Say of a dataset that it holds colours."""
    stored.attrs["CLASS"], stored.attrs["interpretation"] = "IMAGE", "rgba-image"
    stored.attrs["long_name"], stored.attrs["units"] = long_name, ""


def as_bytes(rgba: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Colours of 0 to 1 as bytes."""
    return np.round(255 * rgba).astype(np.uint8)


def volume_data(
    entry: h5py.Group, grain: h5py.Group, name: str, signal: str, middle: int, more: int = 0
) -> h5py.Group:
    """Make an NXdata over the volume, shown at slice `middle` of x; `more` axes follow x, y, z."""
    axes, slices = ["x", "y", "z"] + ["."] * more, [str(middle), ".", "."] + ["0"] * more
    if signal == "colors":
        slices[3] = "."
    data = new_group(entry, name, "NXdata", signal=signal, axes=axes, default_slice=slices)
    for axis in "xyz":
        grain[axis].attrs["long_name"] = f"{axis} (µm)"
        data[axis] = grain[axis]
    return data


def _long_name(description: str, units: str) -> str:
    return description if units in ("", "1") else f"{description} ({units})"


def show_scan(
    file: h5py.File, parameters: Mapping[str, Any], axes: Sequence[tuple[str, NDArray[np.float64]]]
) -> None:
    """Add to /entry of a cleaned scan what a viewer shows of it.

    `parameters`: how the scan was cleaned. `axes`: the settings of a projection, one axis after
    another in C order.
    """
    data = file["entry/data"]
    projections, rows, cols = data["summed"].shape
    entry = write_entry(file, f"cleaned scan, {projections} projections", "summed")
    for name, long_name in _SCAN_NAMES.items():
        data[name].attrs["long_name"] = long_name
    for name in ("summed", "frames"):
        data[name].attrs["interpretation"] = "image"
    slices = [str(projections // 2), ".", "."]
    summed = new_group(entry, "summed", "NXdata", signal="summed", default_slice=slices)
    summed.attrs["axes"] = ["omega", "row", "column"]
    summed["title"] = "sum of the frames of each projection"
    summed["summed"], summed["omega"] = data["summed"], data["omega"]
    summed["row"], summed["column"] = np.arange(rows), np.arange(cols)
    for name in ("row", "column"):
        summed[name].attrs["units"], summed[name].attrs["long_name"] = "pixel", f"{name} (pixel)"
    integrated = data["integrated"][()].reshape(projections, *(v.size for _, v in axes))
    for number, (name, _) in enumerate(axes):
        others = tuple(i + 1 for i in range(len(axes)) if i != number)
        profile = new_group(entry, f"profile_{name}", "NXdata", signal="intensity")
        profile.attrs["axes"] = ["omega", name]
        profile.attrs["default_slice"] = [str(projections // 2), "."]
        profile["title"] = f"intensity of each projection over {name}"
        profile["intensity"] = integrated.sum(axis=others)
        profile["omega"], profile[name] = data["omega"], entry[f"axes/{name}"]
        told = {"units": "counts", "long_name": "intensity (counts)", "interpretation": "spectrum"}
        profile["intensity"].attrs.update(told)
    write_process(entry, parameters)


_SCAN_NAMES = {
    "frames": "cleaned frames (counts)",
    "summed": "sum over the frames (counts)",
    "integrated": "intensity of each frame (counts)",
    "omega": "ω (degree)",
}
