"""A small planted scan on disk, as a user has it, and what MPI needs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import pytest

from recon3d.cleaning.pipeline import clean
from recon3d.cli.main import main
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.parallel.cluster import Cluster
from recon3d.scan.scan import open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import PLANS
from recon3d.simulate.writers.edf_scan import simulate_scan


@dataclass(frozen=True)
class OnDisk:
    """Raw frames, and a folder with an .ini file and a cleaned scan."""

    frames: Path
    folder: Path
    phi0_deg: float
    chi0_deg: float

    @property
    def ini(self) -> Path:
        return self.folder / "experiment.ini"

    def copied_to(self, folder: Path) -> OnDisk:
        """The same cleaned scan in a folder of its own."""
        folder.mkdir()
        for name in ("scan.h5", "experiment.ini"):
            shutil.copy(self.folder / name, folder)
        return replace(self, folder=folder)


@pytest.fixture(scope="session")
def on_disk(tmp_path_factory) -> OnDisk:
    """36 projections of 49 small frames, and few voxels."""
    root = tmp_path_factory.mktemp("on_disk")
    frames, folder = root / "frames", root / "results"
    folder.mkdir()
    plan = replace(PLANS["demo"](), rows=48, cols=48, magnification_pix_per_um=3.0)
    phantom = make_phantom("subgrains", size_um=9.0, spread_deg=0.05, seed=4)
    simulate_scan(frames, phantom, plan, voxels=20, show_progress=False)
    origin = {"phi0_deg": plan.phi0_deg, "chi0_deg": plan.chi0_deg}
    scan = open_scan(frames, "topotomo_", show_progress=False, **origin)
    cleaning = Cleaning(framebg=6, binth=12, min_region_pix=30)
    clean(scan, cleaning, folder / "scan.h5", show_progress=False)
    lines = (frames / "experiment.ini").read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("path")]
    more = ["path .", "split_half false", "handedness +1", "iterations 4", "stop_change 0"]
    # Half of the projections do: every pass of every run of every process takes half the time.
    more.append(f"omega_exclude {list(plan.omega_deg[1::2])}")
    (folder / "experiment.ini").write_text("\n".join([*kept, *more, ""]), "utf-8")
    Experiment.from_ini(folder / "experiment.ini")
    return OnDisk(frames, folder, plan.phi0_deg, plan.chi0_deg)


class CommandLine:
    """Runs `recon3d`, by one process or by many, one thread each."""

    environment = os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    mpiexec = Path(sys.executable).parent / "mpiexec"

    def words(self, *words: object, processes: int = 1) -> list[str]:
        launcher = [str(self.mpiexec), "-n", str(processes)] if processes > 1 else []
        return [*launcher, sys.executable, "-m", "recon3d", *map(str, words)]

    def start(self, *words: object, processes: int = 1) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.words(*words, processes=processes),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *words: object, processes: int = 1) -> tuple[int, str]:
        """Wait for the end: status, and all that was printed. One process is this one."""
        if processes == 1:
            with redirect_stdout(StringIO()) as printed, redirect_stderr(printed):
                status = main([*map(str, words)])
            return status, printed.getvalue()
        process = self.start(*words, processes=processes)
        printed, _ = process.communicate(timeout=240)
        return process.returncode, printed


@pytest.fixture
def recon3d() -> CommandLine:
    return CommandLine()


@pytest.fixture(scope="session")
def cluster():
    """Two engines in one MPI world."""
    pytest.importorskip("ipyparallel")
    prepared = Cluster(2, threads=1)
    launcher = prepared.cluster.config.MPIEngineSetLauncher
    paths = [str(Path(__file__).parent), os.environ["PYTHONPATH"]]
    launcher.environment["PYTHONPATH"] = os.pathsep.join(paths)
    launcher.stop_seconds_until_kill = 1  # those that wait for each other do not hear SIGTERM
    with prepared as running:
        yield running
