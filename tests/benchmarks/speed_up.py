"""How much quicker two processes of one thread make a pass than one does.

    python tests/benchmarks/speed_up.py EXPERIMENT.ini [ROUNDS] [PASSES] [PROCESSES]

Runs share_passes.py by one process and by several in turn, so that both meet the same machine, on
as many cores (a single process would else read on a second one). Prints the quickest pass of each
round, the speed-up, and what several lose to waiting and sums.
"""

from __future__ import annotations

import os
import re
import statistics
import subprocess
import sys
from pathlib import Path

PRINTED = re.compile(
    r"(?P<wall>[\d.]+) s a pass, (?P<sent>[\d.]+) MB sent by each, (?P<waited>\d+)% waited, "
    r"(?P<busy>[\d.]+) s of processor time"
)

ONE_THREAD = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")


def main(ini: str, rounds: str = "5", passes: str = "8", processes: str = "2") -> None:
    found: dict[str, list[dict[str, float]]] = {"1": [], processes: []}
    for number in range(int(rounds)):
        for count, results in found.items():
            results.append(run(count, ini, passes))
        one, many = (results[-1] for results in found.values())
        print(
            f"round {number + 1}: {one['wall']:.3f} s and {many['wall']:.3f} s, "
            f"speed-up {one['wall'] / many['wall']:.2f}, {many['waited']:.0f} % waited, "
            f"{many['sent']:.0f} MB sent by each",
            flush=True,
        )
    alone, shared = found.values()
    ratios = [a["wall"] / b["wall"] for a, b in zip(alone, shared, strict=True)]
    best = min(one["wall"] for one in alone) / min(one["wall"] for one in shared)
    print(
        f"{processes} processes: speed-up {best:.2f} of the quickest passes, "
        f"median of the rounds {statistics.median(ratios):.2f} "
        f"({min(ratios):.2f} to {max(ratios):.2f}); waiting "
        f"{statistics.median(one['waited'] for one in shared):.0f} %; processor time "
        f"{min(one['busy'] for one in alone):.3f} s and {min(one['busy'] for one in shared):.3f} s"
    )


def run(count: str, ini: str, passes: str, omega_step: str = "1") -> dict[str, float]:
    """Time passes of one or several processes, of one thread each, on as many cores."""
    script = str(Path(__file__).with_name("share_passes.py"))
    words = [sys.executable, script, ini, passes, omega_step]
    if count != "1":
        words = [str(Path(sys.executable).parent / "mpiexec"), "-n", count, *words]
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: int(count)]))
    printed = subprocess.run(
        ["taskset", "--cpu-list", cores, *words],
        env=os.environ | ONE_THREAD,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    match = PRINTED.search(printed)
    assert match is not None, printed
    return {name: float(text) for name, text in match.groupdict().items()}


if __name__ == "__main__":
    main(*sys.argv[1:])
