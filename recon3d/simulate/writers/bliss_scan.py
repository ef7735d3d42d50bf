"""A simulated scan in an HDF5 file as BLISS writes them, one entry for each rotation angle."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError
from recon3d.files.hdf5 import create_own
from recon3d.runtime.atomic import make_folder
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.faults import Fault, with_faults
from recon3d.simulate.phantom import Phantom
from recon3d.simulate.scan_plan import ScanPlan
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.bliss_entry import (
    FRAME_S,
    add_entry,
    add_frames,
    add_motors,
    add_parameters,
)
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
