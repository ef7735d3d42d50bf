"""Arrays that processes hold together, in shared memory and by messages."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from recon3d.parallel import mpi

PROGRAM = Path(__file__).with_name("held_together.py")


@pytest.mark.usefixtures("mpi")
@pytest.mark.parametrize("processes", [1, 2, 3])
@pytest.mark.parametrize("way", ["share", "machines", "copy"])
def test_all_members_add_to_one_array(recon3d, way, processes):
    words = [str(recon3d.mpiexec), "-n", str(processes), sys.executable, str(PROGRAM), way]
    # MPICH then takes every second process for one on another machine.
    environment = os.environ | ({"MPIR_CVAR_ODD_EVEN_CLIQUES": "1"} if way == "machines" else {})
    done = subprocess.run(
        words, capture_output=True, text=True, timeout=120, check=False, env=environment
    )
    assert done.returncode == 0, done.stdout + done.stderr
    kind = "Copied" if way == "copy" else "Shared"
    assert done.stdout.split() == [kind] * processes


@pytest.mark.usefixtures("mpi")
def test_memory_that_is_not_the_same_is_not_taken():
    created = mpi._create(64, b"a" * 16)
    assert mpi._map(created, 64, b"a" * 16) is not None
    assert mpi._map(created, 64, b"b" * 16) is None
    assert mpi._map(-1, 64, b"a" * 16) is None
    assert mpi._open(0, 0) == -1
