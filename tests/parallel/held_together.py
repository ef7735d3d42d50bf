"""Run under mpiexec: hold an array together, change it, and say what came of it.

python held_together.py share|machines|copy
"""

import sys
from pathlib import Path

import numpy as np
from mpi4py import MPI

from recon3d.parallel import mpi
from recon3d.parallel.mpi import MpiCommunicator

SHAPE = (11, 5)


def main() -> None:
    mpi.PIECE_ELEMENTS = 10  # several pieces, and rows left over
    way, world = sys.argv[1], MPI.COMM_WORLD
    here = world.Split_type(MPI.COMM_TYPE_SHARED).Get_size()
    assert (here < world.size) == (way == "machines" and world.size > 1)
    communicator = MpiCommunicator(world.Dup(), share_memory=way != "copy")
    kinds = communicator.collect([hold_and_change(communicator)])
    assert memory_descriptors() == 0, "memory is kept that nobody uses"
    if communicator.rank == 0:
        print(*sorted(kinds))
    communicator.free()


def hold_and_change(communicator: MpiCommunicator) -> str:
    held = communicator.hold(SHAPE)
    assert not held.whole.any()
    assert not held.parts.any()
    start = np.arange(55, dtype=np.float32).reshape(SHAPE)

    def fill(rows: slice) -> None:
        held.whole[rows] = start[rows]

    def add(rows: np.ndarray, summed: np.ndarray) -> None:
        rows += summed

    held.each_row(fill)
    for round_ in range(3):
        held.parts[...] = (communicator.rank + 1) * 10.0**round_ * (1 + start)
        held.update(add)
        assert not held.parts.any()
    expected = start + 111 * sum(range(1, communicator.size + 1)) * (1 + start)
    assert np.allclose(held.whole, expected), held.whole - expected
    # What one has done the others see, and nobody else: a second array is another one.
    second = communicator.hold(SHAPE)
    assert not second.whole.any()
    assert (communicator.sent_bytes > 0) == (communicator.size > 1)
    kind = type(held).__name__
    assert (memory_descriptors() > 0) == (kind == "Shared")
    return kind


def memory_descriptors() -> int:
    """How many files of this process are memory that it shares."""
    links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum("memfd:recon3d" in str(link) for link in links)


if __name__ == "__main__":
    main()
