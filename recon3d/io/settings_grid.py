"""Find the grid of settings that the frames of a scan fill.

Every kind of scan is a table row: which coordinates are the axes of its grid, and which
must stand still. Every row is tried with the groupings that the readings allow; the row
that the frames fill best, with no two of them in one cell, tells what was scanned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from recon3d.io.coordinates import Coordinates
from recon3d.io.grouping import Grouping

FloatArray = NDArray[np.float64]

MIN_FILL = 0.5
"""Share of the cells of a grid that frames must fill for the grid to be believed."""

_CANDIDATES = 4


@dataclass(frozen=True)
class SettingAxis:
    """One axis of the grid of settings.

    Parameters
    ----------
    name
        "mu", "gamma", "chi", "phi", "two_theta" or "energy".
    values_deg
        Positions along it, increasing, in degrees (in keV for "energy").
    """

    name: str
    values_deg: FloatArray


@dataclass(frozen=True)
class Kind:
    """A kind of scan.

    Parameters
    ----------
    name
        What it is called.
    axes
        Name, coordinate and least number of positions of each axis.
    still
        The coordinates that must not move.
    """

    name: str
    axes: tuple[tuple[str, str, int], ...]
    still: tuple[str, ...]


KINDS = (
    Kind("rocking", (("mu", "base", 1),), ("chi", "phi")),
    Kind("mosaicity", (("mu", "base", 1), ("gamma", "u", 2)), ("v",)),
    Kind("tilts", (("chi", "chi", 1), ("phi", "phi", 1)), ("base",)),
    Kind("mosaicity", (("mu", "v", 2), ("gamma", "u", 1)), ("base",)),
    Kind("skew", (("mu", "base", 2), ("chi", "chi", 2)), ("phi",)),
    Kind("skew", (("mu", "base", 2), ("phi", "phi", 2)), ("chi",)),
)
"""The kinds of scan, the first one that fits best wins."""

_EXTRAS: tuple[tuple[tuple[str, str, int], ...], ...] = (
    (),
    (("two_theta", "two_theta", 2),),
    (("energy", "energy", 2),),
    (("two_theta", "two_theta", 2), ("energy", "energy", 2)),
)


@dataclass(frozen=True, eq=False)
class Candidate:
    """A grid that a scan may have.

    Parameters
    ----------
    kind
        The kind of scan.
    axis_names
        Names of the axes of the grid.
    axis_coordinates
        The coordinate along each axis.
    groups
        How that coordinate falls into positions, for each axis.
    omega
        How the rotation falls into projections.
    """

    kind: Kind
    axis_names: tuple[str, ...]
    axis_coordinates: tuple[str, ...]
    groups: tuple[Grouping, ...]
    omega: Grouping

    @property
    def axes(self) -> tuple[SettingAxis, ...]:
        """The axes of the grid, in C order."""
        return tuple(
            SettingAxis(name, grouping.centres)
            for name, grouping in zip(self.axis_names, self.groups, strict=True)
        )

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Projections, and positions along each axis."""
        return (self.omega.count, *(grouping.count for grouping in self.groups))

    @property
    def cells(self) -> NDArray[np.int64]:
        """Number of the cell (projection, setting) that each frame falls into, in C order."""
        index = (self.omega.index, *(grouping.index for grouping in self.groups))
        return np.ravel_multi_index(index, self.grid_shape)

    @property
    def step_deg(self) -> float:
        """The smallest step along the axes of the tilts."""
        tilts = zip(self.axis_names, self.groups, strict=True)
        return min(g.step for name, g in tilts if name not in ("two_theta", "energy"))

    def slots(self) -> NDArray[np.int64]:
        """Frame in each cell, shape (projections, settings); -1 where there is none."""
        slots = np.full(math.prod(self.grid_shape), -1, np.int64)
        cells = self.cells
        slots[cells] = np.arange(cells.size)
        return slots.reshape(self.omega.count, -1)

    def fill(self) -> tuple[float, int]:
        """Share of the cells that hold a frame, and how many frames share one with another."""
        cells = self.cells
        filled = int(np.count_nonzero(np.bincount(cells)))
        return filled / math.prod(self.grid_shape), cells.size - filled


def best_grid(coordinates: Coordinates) -> Candidate | None:
    """The grid that the frames fill best with no two in one cell; None where none fits."""
    best, best_fill = None, 0.0
    for candidate in _candidates(coordinates):
        fill, doubled = candidate.fill()
        if doubled == 0 and fill > best_fill + 1e-9:
            best, best_fill = candidate, fill
    return best if best_fill > MIN_FILL else None


def doubled_grid(coordinates: Coordinates) -> Candidate | None:
    """The grid of the likeliest positions that would fit if some frames were not doubled."""
    fits = [(c, c.fill()) for c in _candidates(coordinates, 1)]
    return min(
        (candidate for candidate, (fill, _) in fits if fill > MIN_FILL),
        key=lambda candidate: candidate.fill()[1],
        default=None,
    )


def flat_projections(coordinates: Coordinates, candidate: Candidate) -> FloatArray:
    """Rotation angles at which the settings (μ_f, γ_f) lie on a line though two motors moved.

    Projections that a scan left less than half done are not judged.
    """
    if sum(grouping.count > 1 for grouping in candidate.groups) < 2:
        return np.empty(0)
    points = np.stack(
        [coordinates.values("base") + coordinates.values("v"), coordinates.values("u")]
    )
    size = math.prod(candidate.grid_shape[1:])
    flat = []
    for k, omega in enumerate(candidate.omega.centres):
        own = points[:, candidate.omega.index == k]
        if 2 * own.shape[1] > size and _extent_across(own) < candidate.step_deg / 2:
            flat.append(omega)
    return np.array(flat)


def _extent_across(points: FloatArray) -> float:
    """Extent of points, shape (2, n), across the line that fits them best."""
    centred = points - points.mean(axis=1, keepdims=True)
    across = np.linalg.eigh(centred @ centred.T)[1][:, 0]
    return float(np.ptp(across @ centred))


def _candidates(coordinates: Coordinates, tried: int = _CANDIDATES) -> Iterator[Candidate]:
    """All grids whose still coordinates are still and that are not far too large."""
    frames = coordinates.motors.shape[0]
    for omega, kind, extra in product(coordinates.groupings("omega")[:tried], KINDS, _EXTRAS):
        names, coords, least = zip(*(*kind.axes, *extra), strict=True)
        options = [
            [g for g in coordinates.groupings(coord)[:tried] if g.count >= count]
            for coord, count in zip(coords, least, strict=True)
        ]
        for groups in product(*options):
            candidate = Candidate(kind, names, coords, groups, omega)
            still = [*kind.still, *(c for c, g in zip(coords, groups, strict=True) if g.count == 1)]
            if math.prod(candidate.grid_shape) * MIN_FILL <= frames and all(
                coordinates.is_still(coord, candidate.step_deg) for coord in still
            ):
                yield candidate
