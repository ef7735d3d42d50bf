"""Where the processor's time of a reconstruction goes, on one thread.

    NUMBA_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/benchmarks/stages.py EXPERIMENT.ini

A stage ends where the progress bar of another begins; what is done between two bars counts with
the one before. Printed are processor seconds, a line a stage, in the order of their beginnings.
"""

from __future__ import annotations

import sys
import time
import warnings

from measure import start_with_sleeping_threads

from recon3d.config.experiment import Experiment
from recon3d.files.store import open_store
from recon3d.reconstruction.run import reconstruct
from recon3d.runtime.progress import Stage, told_to


def main(ini: str) -> None:
    start_with_sleeping_threads()
    warnings.simplefilter("ignore")
    experiment = Experiment.from_ini(ini)
    assert experiment.path is not None
    spent: dict[str, float] = {}
    stage, begun = "libraries", 0.0

    def note(now: Stage) -> None:
        nonlocal stage, begun
        if now.description != stage:
            time_now = time.process_time()
            spent[stage] = spent.get(stage, 0.0) + time_now - begun
            stage, begun = now.description, time_now

    with told_to(note):
        reconstruct(open_store(experiment.path / "scan.h5"), experiment)
        note(Stage("end", "", 0, 0))
    for name, seconds in spent.items():
        print(f"{seconds:.2f} {name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
