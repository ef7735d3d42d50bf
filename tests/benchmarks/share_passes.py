"""Time a pass of the iterative method, shared by the processes of mpiexec.

    mpiexec -n 2 python tests/benchmarks/share_passes.py EXPERIMENT.ini [PASSES] [OMEGA_STEP]

OMEGA_STEP 2 uses every other projection: half the work, for weak scaling. Printed are the
quickest pass, what each process sent in it, the share of the time it waited for others, and the
processor's time of the busiest one, which other programs on the machine disturb less.
"""

from __future__ import annotations

import sys
import time
from dataclasses import replace

import numpy as np
from measure import start_with_sleeping_threads

from recon3d.config.experiment import Experiment
from recon3d.files.store import CleanedScan, open_store
from recon3d.parallel.mpiexec import world
from recon3d.reconstruction.build import prepare
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.model.scanned import threshold_of
from recon3d.reconstruction.task import task_of
from recon3d.runtime.communicator import Communicator


def main(ini: str, passes: str = "4", step: str = "1") -> None:
    start_with_sleeping_threads()
    communicator = world()
    experiment = Experiment.from_ini(ini).with_settings(align="none")
    assert experiment.path is not None
    with open_store(experiment.path / "scan.h5").kept_open() as store:
        _measure(store, experiment, communicator, int(passes), int(step))


def _measure(
    store: CleanedScan, experiment: Experiment, communicator: Communicator, passes: int, step: int
) -> None:
    model, _ = prepare(store, experiment, communicator)
    task = task_of(experiment, model)
    model = replace(model, projections=model.projections[::step])
    fit = IterativeFit(
        model,
        task.bins,
        task.points_um,
        experiment.volume.voxel_um,
        threshold=threshold_of(store),
    )
    found = []
    for _ in range(passes):
        communicator.agree(0)
        busy = time.process_time()
        sent, waited, began = (
            counted(communicator, "sent_bytes"),
            counted(communicator, "waited_s"),
            time.time(),
        )
        fit.run_pass("pass")
        taken = max(communicator.collect([time.time() - began]))
        busy = max(communicator.collect([time.process_time() - busy]))
        sent, waited = (
            counted(communicator, "sent_bytes") - sent,
            counted(communicator, "waited_s") - waited,
        )
        found.append((taken, sent, waited, busy))
    taken, sent, waited, busy = min(found)
    if communicator.rank == 0:
        voxels, count = fit.volume.shape
        print(
            f"{communicator.size} processes, {len(model.projections)} projections in "
            f"{len(fit.groups)} "
            f"subsets, {voxels} voxels x {count} bins: {taken:.3f} s a pass, "
            f"{sent / 1e6:.1f} MB sent by each, {waited / taken:.0%} waited, "
            f"{busy:.3f} s of processor time; "
            f"all passes {np.round([one[0] for one in found], 3)}"
        )


def counted(communicator: object, name: str) -> float:
    return getattr(communicator, name, 0)


if __name__ == "__main__":
    main(*sys.argv[1:])
