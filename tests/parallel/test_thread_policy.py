"""How threads wait is settled before NumPy is loaded, and the user has the last word."""

import os
import subprocess
import sys

import pytest

from recon3d.errors import ParameterError
from recon3d.parallel.thread_policy import WAITING, let_idle_threads_sleep, thread_count


def test_idle_threads_sleep_unless_the_user_says_how_they_wait():
    environment = {"OMP_WAIT_POLICY": "active"}
    let_idle_threads_sleep(environment)
    assert environment == WAITING | {"OMP_WAIT_POLICY": "active"}


def test_the_program_says_so_before_numpy_is_loaded():
    program = (
        "import os, sys; import recon3d.__main__ as program; "
        "assert 'numpy' not in sys.modules; "
        "sys.argv = ['recon3d', '--version']\n"
        "try: program.main()\n"
        "finally: print(os.environ['OPENBLAS_THREAD_TIMEOUT'])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split()[-1] == WAITING["OPENBLAS_THREAD_TIMEOUT"], done.stderr


def test_the_number_of_threads_is_checked_before_numba_fails_on_it():
    assert thread_count({"NUMBA_NUM_THREADS": "3"}) == 3
    assert thread_count({}) == len(os.sched_getaffinity(0))
    for wrong in ("0", "-1", "two", "1.5", ""):
        with pytest.raises(ParameterError, match=f"NUMBA_NUM_THREADS is '{wrong}'"):
            thread_count({"NUMBA_NUM_THREADS": wrong})
    words = [sys.executable, "-m", "recon3d", "--version"]
    environment = os.environ | {"NUMBA_NUM_THREADS": "two"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
