"""Find the grid of settings that the frames of a scan fill.

Every kind of scan is a table row: which coordinates are the axes of its grid, and which
must stand still. Every row is tried with the groupings that the readings allow; the simplest
grid that the frames fill, with no two of them in one cell, tells what was scanned.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from recon3d.geometry import TiltOrigin, frame_settings, sample_tilts
from recon3d.readers.motors import MotorTable
from recon3d.scan.grouping import Grouping, groupings
from recon3d.scan.table import SettingAxis

FloatArray = NDArray[np.float64]

MIN_FILL = 0.5
"""Share of the cells of a grid that frames must fill for the grid to be believed."""

_CANDIDATES = 4
_LARGEST_JITTER_DEG = 0.05


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
    def still(self) -> list[str]:
        """The coordinates that must not move: those of the kind, and axes of one position."""
        pairs = zip(self.axis_coordinates, self.groups, strict=True)
        return [*self.kind.still, *(name for name, grouping in pairs if grouping.count == 1)]

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
    def moving(self) -> list[str]:
        """The coordinates of tilts that have more than one position."""
        pairs = zip(self.axis_coordinates, self.groups, strict=True)
        return [name for name, g in pairs if g.count > 1 and name not in ("two_theta", "energy")]

    @property
    def step_deg(self) -> float:
        """The smallest step of a tilt; infinite where none moves."""
        pairs = zip(self.axis_coordinates, self.groups, strict=True)
        return min((g.step for name, g in pairs if name in self.moving), default=math.inf)

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
    """The simplest grid that the frames fill with no two in one cell; None where none fits.

    The simplest is the one of fewest positions, counted over the rotation and all axes: jitter
    taken for steps adds positions, and a grid seen along a slant has a position for every
    frame. Of equals, the one that is filled best is taken, then the first in `KINDS`.
    """
    best, best_rank = None, (math.inf, 0.0)
    for candidate in _candidates(coordinates):
        fill, doubled = candidate.fill()
        rank = (sum(candidate.grid_shape), -round(fill, 9))
        if doubled == 0 and fill > MIN_FILL and rank < best_rank:
            best, best_rank = candidate, rank
    return best


def doubled_grid(coordinates: Coordinates) -> Candidate | None:
    """The grid of the likeliest positions that would fit if some frames were not doubled."""
    fits = ((candidate, *candidate.fill()) for candidate in _candidates(coordinates, 1))
    believable = [
        (candidate, doubled)
        for candidate, fill, doubled in fits
        if fill > MIN_FILL
        and all(coordinates.width(name) <= _jitter_limit(candidate) for name in candidate.still)
    ]
    return min(believable, key=lambda pair: pair[1])[0] if believable else None


def flat_projections(
    coordinates: Coordinates, omega: Grouping, step_deg: float, least: int = 3
) -> FloatArray:
    """Rotation angles at which the settings (μ_f, γ_f) of the frames lie on a line.

    Parameters
    ----------
    coordinates
        Of the frames.
    omega
        How the rotation falls into projections.
    step_deg
        Points that extend by less than half of this across a line count as being on it.
    least
        Projections of fewer frames, as where a scan was stopped, are not judged.
    """
    rocking = coordinates.values("base") + coordinates.values("v")
    points = np.stack([rocking, coordinates.values("u")])
    flat = []
    for k, angle in enumerate(omega.centres):
        own = points[:, omega.index == k]
        if own.shape[1] >= least and _extent_across(own) < step_deg / 2:
            flat.append(angle)
    return np.array(flat)


def _extent_across(points: FloatArray) -> float:
    """Extent of points, shape (2, n), across the line that fits them best."""
    centred = points - points.mean(axis=1, keepdims=True)
    across = np.linalg.eigh(centred @ centred.T)[1][:, 0]
    return float(np.ptp(across @ centred))


def _candidates(coordinates: Coordinates, tried: int = _CANDIDATES) -> Iterator[Candidate]:
    """All grids whose still coordinates are still and that are not far too large."""
    frames = coordinates.motors.shape[0]
    for omega, kind, extra in product(_omega_groupings(coordinates)[:tried], KINDS, _EXTRAS):
        names, coords, least = zip(*(*kind.axes, *extra), strict=True)
        options = [
            [g for g in coordinates.groupings(coord)[:tried] if g.count >= count]
            for coord, count in zip(coords, least, strict=True)
        ]
        for groups in product(*options):
            candidate = Candidate(kind, names, coords, groups, omega)
            if math.prod(candidate.grid_shape) * MIN_FILL <= frames and all(
                _is_still(coordinates, name, candidate) for name in candidate.still
            ):
                yield candidate


def _omega_groupings(coordinates: Coordinates) -> list[Grouping]:
    """The likeliest grouping of the rotation, and others that neither join angles nor split one."""
    likeliest, *others = coordinates.groupings("omega")[:_CANDIDATES]
    limit = _LARGEST_JITTER_DEG
    return [likeliest, *(g for g in others if g.widths.max() <= limit <= g.step)]


def _jitter_limit(candidate: Candidate) -> float:
    """How far a coordinate may move and still count as still."""
    return min(candidate.step_deg / 2, _LARGEST_JITTER_DEG)


def _is_still(coordinates: Coordinates, name: str, candidate: Candidate) -> bool:
    """Whether a coordinate moves by less than half of a step, or only jitters.

    Jitter can exceed a fine step; it does not follow the motors that move.
    """
    if math.isfinite(candidate.step_deg) and coordinates.width(name) <= candidate.step_deg / 2:
        return True
    if coordinates.likeliest(name).count > 1:
        return False
    return not candidate.moving or _explained(coordinates, name, candidate) < 0.5


def _explained(coordinates: Coordinates, name: str, candidate: Candidate) -> float:
    """Share of a coordinate's variance that the moving ones explain within projections."""
    values = coordinates.values(name)
    moving = np.stack([coordinates.values(other) for other in candidate.moving], axis=1)
    total = residual = 0.0
    for k in range(candidate.omega.count):
        own = candidate.omega.index == k
        target = values[own] - values[own].mean()
        drivers = moving[own] - moving[own].mean(axis=0)
        slopes = np.linalg.lstsq(drivers, target, rcond=None)[0]
        total += float(target @ target)
        residual += float(np.sum((target - drivers @ slopes) ** 2))
    return 1 - residual / total if total else 0.0


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Coordinates of all frames by name, and their groupings, worked out when asked for.

    "omega", "base", "two_theta" and "energy" are motor readings; "chi" and "phi" the tilts
    (χ, φ) of `recon3d.geometry.sample_tilts`; "u" = χ sin ω + φ cos ω and
    "v" = χ cos ω - φ sin ω the same tilts in the laboratory.

    Parameters
    ----------
    motors
        Readings, shape (frames,).
    origin
        Where the tilts are counted from.
    steps_deg
        About how far the positions of (mu, gamma) are apart, None where that is not known.
    """

    motors: MotorTable
    origin: TiltOrigin
    steps_deg: tuple[float | None, float | None] = (None, None)
    _values: dict[str, FloatArray] = field(default_factory=dict)
    _groupings: dict[str, list[Grouping]] = field(default_factory=dict)

    def values(self, name: str) -> FloatArray:
        """The coordinate of every frame, shape (frames,)."""
        if not self._values:
            self._values.update(self._compute())
        return self._values[name]

    def groupings(self, name: str) -> list[Grouping]:
        """Possible groupings of a coordinate, the likeliest first; none where it is NaN."""
        if name not in self._groupings:
            values = self.values(name)
            known = bool(np.isfinite(values).all())
            self._groupings[name] = groupings(values, self._step(name)) if known else []
        return self._groupings[name]

    def likeliest(self, name: str) -> Grouping:
        """The likeliest grouping of a coordinate that is known for every frame."""
        return self.groupings(name)[0]

    def width(self, name: str) -> float:
        """Width of a coordinate over all frames, a few stray readings left aside."""
        single = next(g for g in self.groupings(name) if g.count == 1)
        return float(single.widths[0])

    def _compute(self) -> dict[str, FloatArray]:
        motors = self.motors
        above = replace(self.origin, base_tilt_deg=0.0)
        chi, phi = sample_tilts(motors.chi_deg, motors.phi_deg, above)
        v, u = frame_settings(motors.omega_deg, 0.0, motors.chi_deg, motors.phi_deg, above, 1)
        return {
            "omega": motors.omega_deg,
            "base": motors.base_tilt_deg,
            "chi": chi,
            "phi": phi,
            "u": u,
            "v": v,
            "two_theta": motors.two_theta_deg,
            "energy": motors.energy_kev,
        }

    def _step(self, name: str) -> float | None:
        if name in ("base", "v"):
            return self.steps_deg[0]
        return self.steps_deg[1] if name in ("u", "chi", "phi") else None
