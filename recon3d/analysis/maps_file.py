"""Maps of every projection of a scan in one HDF5 file, one projection in memory at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.analysis.moments import illuminated
from recon3d.analysis.projection_maps import Mosaicity, mosaicity
from recon3d.cleaning.calibration import calibrated
from recon3d.cleaning.frames_of_projection import work_on_projection
from recon3d.cleaning.normalize import Normalizer, way_for_scan
from recon3d.colors import orientation_range, orientation_rgba
from recon3d.config.cleaning import Cleaning
from recon3d.files.hdf5 import create_own
from recon3d.files.nexus import add_key, as_bytes, call_image, new_group, write_entry, write_process
from recon3d.runtime.progress import track
from recon3d.scan.scan import Scan
from recon3d.scan.table import Projection, ScanTable

_SAMPLED = 2000
"""Pixels of each projection that the range of the colours is chosen from."""
_UNITS = {"total": "counts", "amplitude": "counts", "mean": "degree", "fwhm": "degree"}


def cleaned_projections(
    scan: Scan, cleaning: Cleaning, images: Mapping[str, Any] | None = None
) -> Iterator[Projection]:
    """Clean the projections of a raw scan one by one; `images` as in `recon3d.clean`."""
    scan, calibration, _ = calibrated(scan, **(images or {}))
    own = cleaning.for_bins(*scan.binning)
    normalizer = Normalizer(way_for_scan(scan, cleaning.normalize))
    for k, raw in enumerate(scan):
        currents = scan.motors.ring_current_ma[k]
        done = work_on_projection(raw.frames, scan.valid[k], currents, own, calibration, normalizer)
        yield replace(raw, frames=done.frames)


def write_maps(
    table: ScanTable,
    projections: Iterable[Projection],
    path: str | Path,
    *,
    background: float = 0.0,
    parameters: Mapping[str, Any] | None = None,
) -> Path:
    """Work out the maps of every projection and write them as NeXus.

    `projections`: all of them in order: the scan itself, or `cleaned_projections` of it.
    `parameters`: how the frames were made, for the file. Its NXdata are (ω, row, column): each map
    of `Mosaicity.maps`, the peaks, and, where two axes moved, the mean in colours with their key.
    """
    path, count = Path(path), len(table)
    bar = track(projections, "maps", unit="projection", total=count)
    with create_own(path) as file:
        entry: h5py.Group | None = None
        seen = []
        for k, projection in enumerate(bar):
            found = mosaicity(projection, background=background)
            if entry is None:
                colored = len(found.names) > 1
                title = f"maps of {count} projections"
                entry = write_entry(file, title, "mosaicity" if colored else "total")
                _lay_out(entry, table, found)
            _write(entry, k, found)
            if colored:
                lit = found.mean[found.illuminated][:, :2]
                seen.append(lit[:: max(len(lit) // _SAMPLED, 1)])
        if entry is not None:
            if colored:
                _write_colors(entry, found.names[:2], np.concatenate(seen))
            said = {**(parameters or {}), "background": background}
            write_process(entry, said)
    return path


def _lay_out(entry: h5py.Group, table: ScanTable, found: Mosaicity) -> None:
    """Make every dataset, and the axes that they share."""
    rows, cols = found.total.shape
    axes = entry.create_group("axes")
    axes.attrs["NX_class"] = "NXcollection"
    for name, values, unit in (
        ("omega", table.omega_deg, "degree"),
        ("row", np.arange(rows), "pixel"),
        ("column", np.arange(cols), "pixel"),
    ):
        axes[name] = values
        axes[name].attrs["units"], axes[name].attrs["long_name"] = unit, f"{name} ({unit})"
    for name in found.maps():
        data = _new_map(entry, name, (len(table), rows, cols))
        kind, _, axis = name.partition("_")
        unit = "keV" if axis == "energy" and kind in ("mean", "fwhm") else _UNITS.get(kind, "")
        data[name].attrs["units"] = unit
        data[name].attrs["long_name"] = f"{name.replace('_', ' of ')} ({unit})" if unit else name
    places, share = found.peaks.setting.shape[2:], found.peaks.share.shape[2:]
    _new_map(entry, "peak_settings", (len(table), rows, cols, *places))
    _new_map(entry, "peak_shares", (len(table), rows, cols, *share))
    entry["peak_settings"].attrs["last_axis"] = list(found.names)


def _new_map(entry: h5py.Group, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """Make an NXdata of one map, to be written one projection at a time."""
    data = new_group(entry, name, "NXdata", signal=name)
    more = len(shape) - 3
    data.attrs["axes"] = ["omega", "row", "column"] + ["."] * more
    slices = [str(shape[0] // 2), ".", "."] + ["."] * more
    data.attrs["default_slice"] = slices if dtype == np.uint8 else slices[:3] + ["0"] * more
    packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    stored = data.create_dataset(name, shape, dtype, chunks=(1, *shape[1:]), **packed)
    stored.attrs["interpretation"] = "image"
    for axis in ("omega", "row", "column"):
        data[axis] = entry["axes"][axis]
    return data


def _write(entry: h5py.Group, k: int, found: Mosaicity) -> None:
    for name, values in found.maps().items():
        entry[name][name][k] = values
    entry["peak_settings/peak_settings"][k] = found.peaks.setting
    entry["peak_shares/peak_shares"][k] = found.peaks.share


def _write_colors(entry: h5py.Group, names: tuple[str, ...], seen: NDArray[np.float64]) -> None:
    """Write the means in colours of one key for all projections."""
    range_deg, center_deg = orientation_range(*seen.T)
    first, second = (entry[f"mean_{name}/mean_{name}"] for name in names)
    data = _new_map(entry, "mosaicity", (*first.shape, 4), np.uint8)
    for k, total in enumerate(entry["total/total"]):
        lit = illuminated(total)
        rgba = orientation_rgba(first[k], second[k], lit, range_deg, center_deg)
        data["mosaicity"][k] = as_bytes(rgba)
    data["title"] = f"mean ({', '.join(names)}) in colours; their key is mosaicity_key"
    call_image(data["mosaicity"], data["title"].asstr()[()])
    add_key(entry, range_deg, center_deg, names)
