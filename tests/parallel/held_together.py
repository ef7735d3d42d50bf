"""Run under mpiexec: hold an array together, change it, and say what came of it.

python held_together.py share|copy
"""

import sys

import numpy as np
from mpi4py import MPI

from recon3d.parallel import mpi
from recon3d.parallel.mpi import MpiTeam, Shared

SHAPE = (11, 5)


def main() -> None:
    mpi.PIECE_ELEMENTS = 10  # several pieces, and rows left over
    team = MpiTeam(MPI.COMM_WORLD, share_memory=sys.argv[1] == "share")
    held = team.hold(SHAPE)
    assert not held.whole.any()
    assert not held.parts.any()
    start = np.arange(55, dtype=np.float32).reshape(SHAPE)

    def fill(rows: slice) -> None:
        held.whole[rows] = start[rows]

    def add(rows: np.ndarray, summed: np.ndarray) -> None:
        rows += summed

    held.each_row(fill)
    for round_ in range(3):
        held.parts[...] = (team.rank + 1) * 10.0**round_ * (1 + start)
        held.update(add)
        assert not held.parts.any()
    expected = start + 111 * sum(range(1, team.size + 1)) * (1 + start)
    assert np.allclose(held.whole, expected), held.whole - expected
    # What one has done the others see, and nobody else: a second array is another one.
    second = team.hold(SHAPE)
    assert not second.whole.any()
    assert (team.sent_bytes > 0) == (team.size > 1)
    kinds = team.collect([type(held).__name__])
    if team.rank == 0:
        print(*sorted(kinds), isinstance(held, Shared))


if __name__ == "__main__":
    main()
