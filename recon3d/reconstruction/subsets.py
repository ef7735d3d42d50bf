"""How the projections of a scan are dealt into subsets."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def usual_subset(projections: int) -> int:
    """How many projections make a subset, whatever the number of processes that share it.

    About ten updates a pass converge as quickly as many more do, and leave every process of
    a team something to do in each: an even number of projections, so that two share it equally.
    """
    return 2 * max(projections // 18, 1)


def deal(projections: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Deal projections into subsets, each spread over ω, successive ones far apart.

    Parameters
    ----------
    projections
        Numbers of the projections in the order of ω.
    size
        About how many projections make a subset.
    """
    count = max(len(projections) // size, 1)
    # Steps of the golden ratio go round without clustering.
    order = sorted(range(count), key=lambda number: number * 0.618034 % 1)
    return [projections[start::count] for start in order]
