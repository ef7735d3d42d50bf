"""Compile what a first preview needs, in a process of low priority, while the user still chooses.

A preview runs some fifty kernels, which take a minute to compile after an installation and are kept
on disk from then on. Compiling in a notebook's own process would hold up its sliders.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
from numba.core.registry import cpu_target

from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.reconstruction.preview import preview_grain
from recon3d.scan.scan import open_scan
from recon3d.simulate.forward_model import _spread
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.writers.edf_scan import simulate_scan

if sys.platform != "win32":
    import fcntl

logger = logging.getLogger(__name__)


def begin_compiling() -> bool:
    """Start to compile, unless that was done or goes on; whether it was started.

    It is not started where no folder for compiled code can be written.
    """
    marker = _marker()
    if marker is None:
        return False
    try:
        with marker.open("a+", encoding="utf-8") as file:
            file.seek(0)
            if file.read() == _stamp():
                return False
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # held on by the process below
            number = file.fileno()
            command = [sys.executable, "-P", "-m", "recon3d.simulate.first_preview", str(number)]
            quiet: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
            process = subprocess.Popen(command, pass_fds=(number,), start_new_session=True, **quiet)
    except OSError as error:  # another one compiles, or the disk is full: it costs only time
        logger.debug("nothing is compiled in advance: %s", error)
        return False
    threading.Thread(target=process.wait, daemon=True).start()
    return True


def is_compiling() -> bool:
    """Whether a process that `begin_compiling` started is still at work."""
    marker = _marker()
    if marker is None:
        return False
    try:
        with marker.open(encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False


def _marker() -> Path | None:
    """A file beside the compiled code of this processor; None where none can be kept."""
    folder = _spread._cache.cache_path
    if folder is None or sys.platform == "win32":  # which has no such locks
        return None
    _, processor, _ = cpu_target.target_context.codegen().magic_tuple()
    return Path(folder) / f"first_preview.{processor}"


def _stamp() -> str:
    """What compiled code depends on: this installation, and numba."""
    return f"{Path(__file__).stat().st_mtime_ns} {numba.__version__}"


def _compile() -> None:
    """Preview a tiny grain."""
    plan = replace(
        demo_plan(), omega_deg=(0.0, 45.0, 90.0, 135.0), rows=40, cols=44, axis_offset_pix=0.0
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "frames"
        phantom = make_phantom(size_um=4.0)
        simulate_scan(folder, phantom, plan, voxels=8, show_progress=False)
        origin: dict[str, Any] = {"phi0_deg": plan.phi0_deg, "chi0_deg": plan.chi0_deg}
        scan = open_scan(folder, "topotomo_", **origin, show_progress=False)
        experiment = Experiment.from_ini(folder / "experiment.ini")
        preview_grain(scan, Cleaning(4, 12.0, 10), experiment, projections=3, voxels=8)


def _let_others_go_first() -> None:
    os.nice(10)
    with suppress(OSError):  # where Linux shares processors out by sessions, of which this is one
        Path("/proc/self/autogroup").write_text("10", encoding="ascii")


def main(descriptor: int) -> None:
    """Compile, and note in the marker, an open file, that it was done."""
    _let_others_go_first()
    with os.fdopen(descriptor, "a", encoding="utf-8") as marker:
        try:
            _compile()
        finally:  # what failed once would fail again
            marker.truncate(0)
            marker.write(_stamp())


if __name__ == "__main__":
    main(int(sys.argv[1]))
