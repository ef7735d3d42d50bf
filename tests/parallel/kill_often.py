"""Kill a process at a random moment of a reconstruction, many times over, and compare the answers.

    python tests/parallel/kill_often.py FILE.ini TIMES [HOW] [SEED]

HOW is cluster (engines of recon3d.Cluster), ipyparallel (of ipyparallel.Cluster), or mpiexec (one
of two processes is killed, which must end the run with an error, and --resume finishes it). The
folder of the .ini file holds scan.h5. One line a run; the status is 1 where a run did not finish,
gave another answer, or left a file behind. Moments: anywhere in the time that a run takes, as a
stage begins, and while a file is being written.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import recon3d as r3

MOMENTS = ("any", "any", "alignment", "iteration", "refinement", "half", "state", "grain")
LONGEST_S = 300
MPIEXEC = Path(sys.executable).parent / "mpiexec"


class Killer(threading.Thread):
    """Kills a process a while after a condition is met."""

    def __init__(self, when: Callable[[], bool], after_s: float, victim: Callable[[], int]) -> None:
        super().__init__(daemon=True)
        self.when, self.after_s, self.victim = when, after_s, victim
        self.over, self.killed = threading.Event(), False
        self.start()

    def run(self) -> None:
        while not self.when():
            if self.over.wait(0.001):
                return
        if not self.over.wait(self.after_s):
            os.kill(self.victim(), signal.SIGKILL)
            self.killed = True

    def stop(self) -> bool:
        self.over.set()
        self.join()
        return self.killed


def moment_of(
    name: str, folder: Path, told: Callable[[], str], length_s: float
) -> tuple[Callable[[], bool], float]:
    """When to kill: a condition, and how long after it."""
    if name == "any":
        moment = time.monotonic() + random.uniform(0, length_s)
        return (lambda: time.monotonic() > moment), 0.0
    if name == "state":
        return (lambda: any(folder.glob(".checkpoint*.part.h5"))), random.uniform(0, 0.004)
    if name == "grain":
        return (lambda: any(folder.glob(".*grain*"))), 0.0
    return (lambda: name in told()), random.uniform(0, 0.4)


class OnEngines:
    """Runs on engines, which are started again by the driver."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def __call__(self, ini: Path, name: str, length_s: float) -> tuple[r3.Grain, bool]:
        from recon3d.parallel.work import describe_engine

        stages = list[str]()
        infos = sorted(self.client[:].apply_sync(describe_engine), key=lambda info: info.rank)
        victim = infos[0 if name in ("state", "grain") else random.randrange(2)].pid
        when, after_s = moment_of(name, ini.parent, lambda: " ".join(stages), length_s)
        killer = Killer(when, after_s, lambda: victim)
        try:
            grain = r3.reconstruct(
                r3.open_store(ini.parent / "scan.h5"),
                r3.Experiment.from_ini(ini).with_settings(checkpoint_seconds=0.1),
                client=self.client,
                show_progress=False,
                report=lambda stage, *_: stages.append(stage),
            )
        finally:
            killed = killer.stop()
        return grain, killed


class UnderMpiexec:
    """Runs that end when one of their processes does, and are resumed."""

    def __call__(self, ini: Path, name: str, length_s: float) -> tuple[r3.Grain, bool]:
        words = [MPIEXEC, "-n", "2", sys.executable, "-m", "recon3d", "reconstruct", ini]
        process = subprocess.Popen(
            [*words, "--checkpoint", "0.1"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        printed = list[str]()
        reader = threading.Thread(target=lambda: printed.extend(iter(process.stdout.readline, "")))
        reader.start()
        when, after_s = moment_of(name, ini.parent, lambda: " ".join(printed), length_s)
        killer = Killer(when, after_s, lambda: random.choice(ranks_below(process.pid)))
        status = process.wait(LONGEST_S)
        reader.join()
        killed = killer.stop()
        if killed and status:
            if (ini.parent / "grain.h5").exists():
                r3.Grain.load(ini.parent / "grain.h5")  # which a damaged file would not bear
            done = subprocess.run([*words, "--resume"], capture_output=True, timeout=LONGEST_S)
            assert done.returncode == 0, done.stderr.decode()
        else:
            assert status == 0, "".join(printed)
        return r3.Grain.load(ini.parent / "grain.h5"), killed and status != 0


def ranks_below(pid: int) -> list[int]:
    """The processes of recon3d that an mpiexec started."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        name = Path(f"/proc/{child}/cmdline").read_bytes()
        found += [int(child)] if b"recon3d" in name and b"proxy" not in name else []
        found += ranks_below(int(child))
    return found


@contextmanager
def runner(how: str) -> Iterator[Callable[[Path, str, float], tuple[r3.Grain, bool]]]:
    if how == "mpiexec":
        yield UnderMpiexec()
    elif how == "cluster":
        with r3.Cluster(2, threads=1) as cluster:
            yield OnEngines(cluster.client)
    else:
        import ipyparallel as ipp

        with ipp.Cluster(engines="mpi", n=2, log_level=50) as client:
            yield OnEngines(client)


def main(ini: str, times: str, how: str = "cluster", seed: str = "0") -> int:
    random.seed(int(seed))
    warnings.simplefilter("ignore", r3.Recon3DWarning)
    given = Path(ini)
    bad = 0
    with tempfile.TemporaryDirectory() as scratch, runner(how) as run:
        own = Path(scratch) / given.name
        for name in ("scan.h5", given.name):
            shutil.copy(given.parent / name, scratch)
        length_s = 0.0
        for number in range(-1, int(times)):
            name = "none" if number < 0 else MOMENTS[number % len(MOMENTS)]
            began = time.monotonic()
            signal.alarm(LONGEST_S)
            grain, killed = run(own, name, length_s)
            signal.alarm(0)
            took_s = time.monotonic() - began
            if number < 0:
                truth, length_s = grain, took_s
            apart = float(np.abs(grain.occupancy - truth.occupancy).max())
            turned = float(np.nanmax(np.abs(grain.orientation - truth.orientation)))
            left = [
                path.name for path in own.parent.iterdir() if path.name.startswith((".", "che"))
            ]
            bad += apart > 1e-4 or bool(left)
            print(
                f"{number} {name}: {'killed' if killed else 'not killed'}, {took_s:.1f} s, "
                f"occupancy {apart:.1e}, orientation {turned:.1e} deg",
                *left,
                flush=True,
            )
            for path in own.parent.glob("grain*"):
                path.unlink()
    print(f"{bad} bad runs of {times}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
