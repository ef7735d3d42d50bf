"""The entries of a simulated BLISS file: what ID03 records of a scan."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS
from recon3d.files.hdf5 import create_own
from recon3d.files.nexus import new_group
from recon3d.readers.source import MotorTable
from recon3d.simulate.motion import MOVED

Frames = NDArray[np.uint16]

DETECTOR = "pco_ff"
FRAME_S = 1.25
"""Time from one frame to the next."""

_START = datetime(2024, 7, 5, 8, tzinfo=UTC)
_PART_DATASET = "/entry_0000/measurement/data"
_STANDING: dict[str, float | str] = {"mainx": -4850.0, "obx": 331.9, "ffpitch": "ERR"}


def add_entry(file: h5py.File, number: int, title: str, first: int, frames: int) -> h5py.Group:
    """Write what BLISS writes of any scan that came to its end; `first`: frames before it."""
    entry = new_group(file, f"{number}.1", "NXentry")
    entry["title"] = title
    entry["start_time"], entry["end_time"] = _time(first), _time(first + frames)
    entry["end_reason"] = "SUCCESS"
    for name, kind in (
        ("instrument", "NXinstrument"),
        ("instrument/positioners", "NXcollection"),
        ("measurement", "NXcollection"),
    ):
        new_group(entry, name, kind)
    entry["instrument/name"] = "ESRF-ID03"
    _add_list(entry, "sec", "NXdetector", "data", np.full(frames, 1.0), "s")
    return entry


def _add_list(
    entry: h5py.Group, name: str, kind: str, leaf: str, values: NDArray[Any], unit: str
) -> None:
    """Add readings, one a frame, in `instrument`, and a link to them in `measurement`."""
    group = new_group(entry, f"instrument/{name}", kind)
    group.create_dataset(leaf, data=values).attrs["units"] = unit
    entry[f"measurement/{name}"] = h5py.SoftLink(f"{entry.name}/instrument/{name}/{leaf}")


def add_motors(entry: h5py.Group, motors: MotorTable, *, record_current: bool) -> None:
    """Add the motors: the fast one as its encoder read it, other moving ones as steps."""
    positioners = entry["instrument/positioners"]
    for name, standing in _STANDING.items():
        positioners[name] = standing
    for part in MOVED:
        name, values = getattr(GONIOMETERS["id03"], part), getattr(motors, f"{part}_deg")
        positioners.create_dataset(name, data=values[0]).attrs["units"] = "deg"
        if np.ptp(values) > 0:
            kind, leaf = ("NXpositioner", "value")
            if part in ("omega", "base_tilt"):
                kind, leaf = ("NXdetector", "data")
            _add_list(entry, name, kind, leaf, values, "deg")
    if record_current:
        _add_list(entry, "current", "NXdetector", "data", motors.ring_current_ma, "mA")
        entry["instrument/machine/current"] = motors.ring_current_ma[0]


def add_parameters(entry: h5py.Group, *, zigzag: bool) -> None:
    """Add what the title says of the scan, as BLISS repeats it."""
    words = str(entry["title"].asstr()[()]).split()
    parameters = new_group(entry, "instrument/fscan_parameters", "NXcollection")
    parameters["scan_type"] = words[0]
    parameters["fast_motor_mode"] = "ZIGZAG" if zigzag else "REWIND"
    for prefix, at in (("slow", 1), ("fast", 5)) if words[0] == "fscan2d" else (("fast", 1),):
        parameters[f"{prefix}_motor"] = words[at]
        parameters[f"{prefix}_start_pos"] = float(words[at + 1])
        parameters[f"{prefix}_step_size"] = float(words[at + 2])
        parameters[f"{prefix}_npoints"] = int(words[at + 3])


def add_frames(
    entry: h5py.Group, frames: Frames, folder: Path | None = None, series: int = 1
) -> None:
    """Add the frames, (frames, rows, cols), one a chunk.

    `folder`: beside the file, for files of one series of frames each, to which the entry points.
    """
    group = new_group(entry, f"instrument/{DETECTOR}", "NXdetector")
    group["type"] = "lima"
    if folder is None:
        _compressed(group, "data", frames)
    else:
        group.create_virtual_dataset("data", _external(folder, frames, series))
    group["image"] = h5py.SoftLink("data")
    entry[f"measurement/{DETECTOR}"] = h5py.SoftLink(f"{group.name}/data")


def _external(folder: Path, frames: Frames, series: int) -> h5py.VirtualLayout:
    folder.mkdir(exist_ok=True)
    layout = h5py.VirtualLayout(frames.shape, frames.dtype)
    for number, first in enumerate(range(0, len(frames), series)):
        part, name = frames[first : first + series], f"{DETECTOR}_{number:04d}.h5"
        with create_own(folder / name, oldest=True) as file:
            _compressed(file, _PART_DATASET, part)
        source = h5py.VirtualSource(f"{folder.name}/{name}", _PART_DATASET, part.shape)
        layout[first : first + len(part)] = source
    return layout


def _compressed(group: h5py.Group, name: str, frames: Frames) -> None:
    packed = hdf5plugin.Bitshuffle(cname="lz4")
    group.create_dataset(name, data=frames, chunks=(1, *frames.shape[1:]), **packed)


def _time(frame: int) -> str:
    return (_START + timedelta(seconds=FRAME_S * frame)).isoformat()
