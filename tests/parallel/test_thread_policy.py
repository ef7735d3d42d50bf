"""How threads wait is settled before NumPy is loaded, and the user has the last word."""

import subprocess
import sys

from recon3d.parallel.thread_policy import WAITING, let_waiting_threads_sleep


def test_waiting_threads_are_told_to_sleep_unless_the_user_says_how_they_wait():
    environment = {"OMP_WAIT_POLICY": "active"}
    let_waiting_threads_sleep(environment)
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
