"""Kill an engine at a random moment of a reconstruction, many times over, and compare the answers.

    python tests/parallel/kill_often.py FILE.ini TIMES [SEED]

The .ini file's path names a folder with scan.h5. One line a run; the status is 1 where a run did
not finish, gave another answer, or left a file behind. Moments: anywhere in the time that a run
takes, as a stage begins, and while a file is being written.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import recon3d as r3

MOMENTS = ("any", "any", "alignment", "pass", "polish", "half", "state", "grain", "restart")
LONGEST_S = 300.0


class Killer(threading.Thread):
    """Kills a process when a condition is met, or when a while has passed since then."""

    def __init__(self, pid: int, when: Callable[[], bool], after_s: float = 0.0) -> None:
        super().__init__(daemon=True)
        self.pid, self.when, self.after_s = pid, when, after_s
        self.over, self.killed = threading.Event(), False
        self.start()

    def run(self) -> None:
        while not self.when():
            if self.over.wait(0.001):
                return
        if not self.over.wait(self.after_s):
            os.kill(self.pid, signal.SIGKILL)
            self.killed = True


def moment_of(
    name: str, folder: Path, told: list[str], length_s: float
) -> tuple[Callable[[], bool], float]:
    """When to kill: a condition, and how long after it."""
    began = time.monotonic()
    soon = random.uniform(0, 0.4)
    if name in ("any", "restart"):
        moment = began + random.uniform(0, length_s)
        return (lambda: time.monotonic() > moment), 0.0
    if name == "state":
        return (lambda: any(folder.glob(".checkpoint*.part.h5"))), random.uniform(0, 0.004)
    if name == "grain":
        return (lambda: any(folder.glob(".*grain*"))), 0.0
    stage = "iteration" if name == "pass" else name
    return (lambda: any(one.startswith(stage) for one in told)), soon


def one_run(
    client: Any, folder: Path, experiment: r3.Experiment, name: str, length_s: float
) -> tuple[r3.Grain, int, float]:
    """Reconstruct while engines are killed; also say how many were, and how long it took."""
    store, told = r3.open_store(folder / "scan.h5"), list[str]()
    pids = client[:].apply_sync(os.getpid)
    victims = [random.choice(pids)] if name not in ("state", "grain") else [first_of(client)]
    killers = [Killer(victims[0], *moment_of(name, folder, told, length_s))]
    began = time.monotonic()
    try:
        grain = r3.reconstruct(
            store,
            experiment,
            client=client,
            show_progress=False,
            report=lambda stage, *_: told.append(stage),
        )
    finally:
        for killer in killers:
            killer.over.set()
            killer.join()
    return grain, sum(killer.killed for killer in killers), time.monotonic() - began


def first_of(client: Any) -> int:
    """The process that is first in the MPI world: it writes the files."""
    from recon3d.parallel.work import look

    return min(client[:].apply_sync(look), key=lambda sight: sight.rank).pid


def main(ini: str, times: str, seed: str = "0") -> int:
    random.seed(int(seed))
    experiment = r3.Experiment.from_ini(ini)
    assert experiment.path is not None
    experiment = experiment.with_settings(checkpoint_seconds=0.1)
    warnings.simplefilter("ignore", r3.Recon3DWarning)
    bad = 0
    with tempfile.TemporaryDirectory() as scratch, r3.Cluster(2, threads=1) as cluster:
        folder = Path(scratch)
        shutil.copy(experiment.path / "scan.h5", folder)
        experiment = replace(experiment, path=folder)
        truth, _, length_s = one_run(cluster.client, folder, experiment, "none", 0)
        print(f"without a fault {length_s:.1f} s", flush=True)
        for number in range(int(times)):
            name = MOMENTS[number % len(MOMENTS)]
            signal.alarm(int(LONGEST_S))
            grain, killed, took_s = one_run(cluster.client, folder, experiment, name, length_s)
            signal.alarm(0)
            apart = float(np.abs(grain.occupancy - truth.occupancy).max())
            turned = float(np.nanmax(np.abs(grain.orientation - truth.orientation)))
            left = sorted(path.name for path in folder.iterdir() if path.name != "scan.h5")
            wrong = apart > 1e-4 or bool(left)
            bad += wrong
            print(
                f"{number} {name}: {killed} killed, {took_s:.1f} s, occupancy {apart:.1e}, "
                f"orientation {turned:.1e} deg {'; left ' + ' '.join(left) if left else ''}",
                flush=True,
            )
    print(f"{bad} bad runs of {times}")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
