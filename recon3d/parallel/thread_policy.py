"""How threads wait for each other: told by the environment, before NumPy is loaded."""

from __future__ import annotations

import os
from collections.abc import MutableMapping

WAITING = {
    "OMP_WAIT_POLICY": "passive",
    "GOMP_SPINCOUNT": "10000",
    "OPENBLAS_THREAD_TIMEOUT": "16",
}
"""Threads of compiled loops and of matrix products stay awake for some microseconds, then sleep.

Awake for longer they keep the thread that reads the next projection, and other programs, off
the cores: a pass of a fit then took up to 1.7 times as long, a backprojection 1.3 times."""


def let_waiting_threads_sleep(environment: MutableMapping[str, str] = os.environ) -> None:
    """Set `WAITING` where the user has not; for NumPy's products it counts before its import."""
    for name, value in WAITING.items():
        environment.setdefault(name, value)
