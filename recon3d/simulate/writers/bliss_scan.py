"""A simulated scan in an HDF5 file as BLISS writes them at ID03, one entry for each angle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS
from recon3d.errors import ParameterError
from recon3d.files.hdf5 import create_own
from recon3d.files.nexus import new_group
from recon3d.readers.source import MotorTable
from recon3d.runtime.atomic import make_folder
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.faults import Fault, with_faults
from recon3d.simulate.phantom import Phantom
from recon3d.simulate.scan_plan import MOVED, ScanPlan
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulated_projections
from recon3d.simulate.writers.experiment_ini import write_experiment_ini


def simulate_bliss(
    out: str | Path,
    phantom: Phantom,
    plan: ScanPlan,
    detector: SimulatedDetector | None = None,
    *,
    name: str = "topotomo",
    voxels: int = 48,
    dark_frames: int = 0,
    external: bool = False,
    overwrite: bool = False,
    faults: Sequence[Fault] = (),
    show_progress: bool = True,
) -> Path:
    """Simulate a scan and write it as a BLISS file with the motor names of ID03.

    The frames are those that `recon3d.simulate.simulate_scan` writes as EDF, and so are most
    arguments and errors. Beside the file `<name>.h5` are `truth.h5`, `experiment.ini` and, if
    wanted, `background.h5`.

    `external`: write the frames to files of their own, `<name>_scanNNNN/pco_ff_NNNN.h5`, one a
    rocking series, to which the file points.
    """
    out = Path(out)
    path = _prepare(out, name, overwrite=overwrite)
    truth = with_faults(Truth(phantom, plan, detector or SimulatedDetector()), faults)
    truth.save(out / "truth.h5")
    phantom, plan, detector = truth.phantom, truth.plan, truth.detector
    write_experiment_ini(out / "experiment.ini", phantom, plan, results="results", voxels=voxels)
    if dark_frames:
        _write_darks(out / "background.h5", plan, detector, dark_frames)
    projections = simulated_projections(truth, show_progress=show_progress)
    with create_own(path, oldest=True) as file:
        file.attrs.update({"NX_class": "NXroot", "creator": "recon3d", "file_name": str(path)})
        for k, (frames, motors) in enumerate(projections):
            entry = add_entry(file, k + 1, scan_title(plan), k * plan.frames, len(frames))
            add_motors(entry, motors, record_current=detector.record_current)
            add_parameters(entry, zigzag=plan.zigzag)
            folder = out / f"{name}_scan{k + 1:04d}" if external else None
            add_frames(entry, frames, folder, plan.mu.number)
    return path


def scan_title(plan: ScanPlan) -> str:
    """The command that takes one projection, as BLISS names it."""
    fast, slow, base = "mu", "gamma", plan.origin.base_tilt_deg
    if plan.kind == "tilts":
        fast, slow, base = "chi", "phi", plan.chi0_deg
    steps = plan.gamma
    middle = plan.phi0_deg if plan.kind == "tilts" else 0.0
    if plan.two_theta.number > 1:
        slow, steps, middle = "obpitch", plan.two_theta, 2 * plan.crystal.bragg_angle_deg
    command = f"{_range(fast, base, plan.mu.values_deg)} 1 {FRAME_S:g}"
    if steps.number == 1:
        return f"fscan {command}"
    return f"fscan2d {_range(slow, middle, steps.values_deg)} {command}"


def _range(motor: str, middle: float, steps_deg: NDArray[np.float64]) -> str:
    """Motor, first position, step, and number of positions."""
    step = steps_deg[1] - steps_deg[0] if steps_deg.size > 1 else 0.0
    return f"{motor} {middle + steps_deg[0]:.6g} {step:.6g} {steps_deg.size}"


def _prepare(out: Path, name: str, *, overwrite: bool) -> Path:
    """Make the folder, and see that nothing of that name is in it."""
    if not name or Path(name).name != name:
        raise ParameterError(f"name '{name}': expected the name of a file, without a path")
    make_folder(out)
    path = out / f"{name}.h5"
    if path.exists() and not overwrite:
        raise ParameterError(f"{path} is there already: choose another folder, or overwrite it")
    folders = sorted(out.glob(f"{name}_scan[0-9][0-9][0-9][0-9]"))
    if folders and not overwrite:
        raise ParameterError(f"{folders[0]} is there already: choose another folder or name")
    for folder in folders:
        shutil.rmtree(folder)
    return path


def _write_darks(path: Path, plan: ScanPlan, detector: SimulatedDetector, count: int) -> None:
    darks = np.stack([*detector.darks(plan.recorded_shape, count)])
    with create_own(path, oldest=True) as file:
        entry = add_entry(file, 1, f"loopscan {count} 1", 0, count)
        add_frames(entry, darks)


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
