"""Frames that were taken at the setting of another one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from recon3d.io.damage import Damage
from recon3d.io.refusals import setting_of
from recon3d.io.settings_grid import Candidate

MOST_DOUBLED = 0.25
"""Share of the frames beyond which they are no copies: two scans are mixed."""


def doubled_frames(grid: Candidate, name: Callable[[int], str]) -> list[tuple[int, Damage]]:
    """All frames in a cell of the grid that an earlier one has.

    Parameters
    ----------
    grid
        The grid that the frames would fill if there were one in each cell.
    name
        File of a frame.

    Returns
    -------
    doubled
        Index, name and reason of each.
    """
    cells = grid.cells
    _, first = np.unique(cells, return_index=True)
    owner = dict(zip(cells[first].tolist(), first.tolist(), strict=True))
    repeats: NDArray[np.int64] = np.setdiff1d(np.arange(cells.size), first)
    return [
        (
            int(index),
            (
                name(int(index)),
                f"was taken where {name(owner[int(cells[index])])} was, at "
                f"{setting_of(grid, int(cells[index]))}",
            ),
        )
        for index in repeats
    ]
