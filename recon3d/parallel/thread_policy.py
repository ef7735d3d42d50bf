"""How many threads a process takes, and how idle ones wait: settled before NumPy is loaded."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping

from recon3d.errors import ParameterError

WAITING = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "10000", "OPENBLAS_THREAD_TIMEOUT": "16"}
"""Idle threads spin for some microseconds, then sleep.

Spinning for longer keeps the thread that reads the next projection, and other programs, off the
cores: a pass of a fit then took up to 1.7 times as long, a backprojection 1.3 times."""


def let_idle_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set `WAITING` where the user has not; for NumPy's products it counts before its import."""
    for name, value in WAITING.items():
        environment.setdefault(name, value)


def thread_count(environment: Mapping[str, str] = os.environ) -> int:
    """How many threads numba takes in this process.

    NUMBA_NUM_THREADS must be a positive whole number: numba could not even be imported.
    """
    given = environment.get("NUMBA_NUM_THREADS")
    if given is None:
        return len(os.sched_getaffinity(0))
    if not given.strip().isdecimal() or int(given) < 1:
        raise ParameterError(f"NUMBA_NUM_THREADS is '{given}': expected a whole number from 1 on")
    return int(given)
