"""Find the grid of settings that the frames of a scan fill.

Every kind of scan is a table row: which coordinates are the axes of its grid, and which
must stand still. Every row is tried with the groupings that the readings allow; the simplest
grid that the frames fill, with no two of them in one cell, tells what was scanned. Where none
is filled, the reason is given in words that help at the beamline.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, GridError, listed
from recon3d.geometry import TiltOrigin
from recon3d.scan.coordinates import Coordinates, Grouping, middle
from recon3d.scan.table import SettingAxis, short

FloatArray = NDArray[np.float64]

_NAMED = 3
MIN_FILL = 0.5
"""Share of the cells of a grid that frames must fill for the grid to be believed."""

_CANDIDATES = 4
_LARGEST_JITTER_DEG = 0.05


@dataclass(frozen=True)
class Kind:
    """A kind of scan."""

    name: str
    # name, coordinate and least number of positions of each axis
    axes: tuple[tuple[str, str, int], ...]
    still: tuple[str, ...]  # the coordinates that must not move


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
    """A grid that a scan may have."""

    kind: Kind
    names: tuple[str, ...]  # of the axes
    groups: dict[str, Grouping]  # how the coordinate of each axis falls into positions
    omega: Grouping  # how the rotation falls into projections

    @property
    def axes(self) -> tuple[SettingAxis, ...]:
        """The axes of the grid, in C order."""
        pairs = zip(self.names, self.groups.values(), strict=True)
        return tuple(SettingAxis(name, grouping.centres) for name, grouping in pairs)

    @property
    def still(self) -> list[str]:
        """The coordinates that must not move: those of the kind, and axes of one position."""
        return [*self.kind.still, *(name for name, g in self.groups.items() if g.count == 1)]

    @property
    def grid_shape(self) -> tuple[int, ...]:
        """Projections, and positions along each axis."""
        return (self.omega.count, *(grouping.count for grouping in self.groups.values()))

    @property
    def cells(self) -> NDArray[np.int64]:
        """Number of the cell (projection, setting) that each frame falls into, in C order."""
        index = (self.omega.index, *(grouping.index for grouping in self.groups.values()))
        return np.ravel_multi_index(index, self.grid_shape)

    @property
    def moving(self) -> list[str]:
        """The coordinates of tilts that have more than one position."""
        tilts = (name for name in self.groups if name not in ("two_theta", "energy"))
        return [name for name in tilts if self.groups[name].count > 1]

    @property
    def step_deg(self) -> float:
        """The smallest step of a tilt; infinite where none moves."""
        return min((self.groups[name].step for name in self.moving), default=math.inf)

    def origin(self, coordinates: Coordinates) -> TiltOrigin:
        """The origin of the tilts, with the middle of the base tilt's positions."""
        base = self.groups.get("base") or coordinates.likeliest("base")
        return replace(coordinates.origin, base_tilt_deg=middle(base.centres))

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

    It has fewest positions, over the rotation and all axes: jitter taken for steps adds some. Of
    equals, the one that is filled best is taken, then the first in `KINDS`.
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
        and all(_width(coordinates, name) <= _jitter_limit(candidate) for name in candidate.still)
    ]
    return min(believable, key=lambda pair: pair[1])[0] if believable else None


def flat_projections(
    coordinates: Coordinates, omega: Grouping, step_deg: float, least: int = 3
) -> FloatArray:
    """Rotation angles at which the settings (μ_f, γ_f) of the frames lie on a line.

    They extend by less than half of `step_deg` across it. Projections of fewer than `least` frames
    are not judged.
    """
    rocking = coordinates.values("base") + coordinates.values("v")
    points = np.stack([rocking, coordinates.values("u")])
    flat = []
    for k, angle in enumerate(omega.centres):
        own = points[:, omega.index == k]
        if own.shape[1] >= least:
            centred = own - own.mean(axis=1, keepdims=True)
            across = np.linalg.eigh(centred @ centred.T)[1][:, 0]  # of the line that fits best
            if np.ptp(across @ centred) < step_deg / 2:
                flat.append(angle)
    return np.array(flat)


def _candidates(coordinates: Coordinates, tried: int = _CANDIDATES) -> Iterator[Candidate]:
    """All grids whose still coordinates are still and that are not far too large."""
    frames, limit = coordinates.motors.shape[0], _LARGEST_JITTER_DEG
    # Of the rotation, others than the likeliest must neither join angles nor split one.
    likeliest, *others = coordinates.groupings("omega")[:_CANDIDATES]
    omegas = [likeliest, *(g for g in others if g.widths.max() <= limit <= g.step)]
    for omega, kind, extra in product(omegas[:tried], KINDS, _EXTRAS):
        names, coords, least = zip(*(*kind.axes, *extra), strict=True)
        options = [
            [g for g in coordinates.groupings(coord)[:tried] if g.count >= count]
            for coord, count in zip(coords, least, strict=True)
        ]
        for groups in product(*options):
            candidate = Candidate(kind, names, dict(zip(coords, groups, strict=True)), omega)
            if math.prod(candidate.grid_shape) * MIN_FILL <= frames and all(
                _is_still(coordinates, name, candidate) for name in candidate.still
            ):
                yield candidate


def _width(coordinates: Coordinates, name: str) -> float:
    """Width of a coordinate over all frames, a few stray readings left aside."""
    single = next(g for g in coordinates.groupings(name) if g.count == 1)
    return float(single.widths[0])


def _jitter_limit(candidate: Candidate) -> float:
    """How far a coordinate may move and still count as still."""
    return min(candidate.step_deg / 2, _LARGEST_JITTER_DEG)


def _is_still(coordinates: Coordinates, name: str, candidate: Candidate) -> bool:
    """Whether a coordinate moves by less than half of a step, or only jitters.

    Jitter can exceed a fine step; it does not follow the motors that move.
    """
    if math.isfinite(candidate.step_deg) and _width(coordinates, name) <= candidate.step_deg / 2:
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


def refuse_flat(coordinates: Coordinates, grid: Candidate, goniometer: Goniometer) -> None:
    """Refuse a grid that two motors spanned along one and the same direction.

    The GridError names the motors and the rotation angles.
    """
    if len(grid.moving) < 2:
        return
    half_done = math.prod(grid.grid_shape[1:]) // 2 + 1
    flat = flat_projections(coordinates, grid.omega, grid.step_deg, half_done)
    if not flat.size:
        return
    moving = [_MOTORS[coordinate](goniometer) for coordinate in grid.moving]
    raise GridError(
        f"{' and '.join(moving)} tilt the sample along one and the same direction at omega "
        f"({goniometer.omega}) = {_list(flat)}: there the frames cover only a line of "
        f"orientations, not a grid{_other_azimuth(coordinates)}"
    )


def explain_misfit(coordinates: Coordinates, goniometer: Goniometer, doubled: str) -> DataError:
    """The error to raise where the frames of a scan fill no grid.

    `doubled`: what to tell of frames that were taken twice, where no other origin makes a grid.
    """
    advice = _other_azimuth(coordinates) or _other_origin(coordinates)
    if doubled and not advice:
        return DataError(doubled)
    lines = _lines(coordinates, goniometer)
    misfit = f"{lines}the frames fill no grid of settings (mu, gamma) or (chi, phi)"
    if advice:
        return GridError(f"{misfit}{advice}")
    parts = ("omega", "base", "chi", "phi")
    motors = "; ".join(_describe(coordinates, part, goniometer) for part in parts)
    return GridError(
        f"{misfit}: {motors}. Check phi0, chi0, the step (ANGSTEPS) and the motor names; are two "
        "scans mixed?"
    )


_MOTORS: dict[str, Callable[[Goniometer], str]] = {
    "omega": lambda goniometer: goniometer.omega,
    "base": lambda goniometer: goniometer.base_tilt,
    "chi": lambda goniometer: goniometer.chi,
    "phi": lambda goniometer: goniometer.phi,
    "u": lambda goniometer: f"{goniometer.chi} with {goniometer.phi}",
    "v": lambda goniometer: f"{goniometer.chi} with {goniometer.phi}",
}


def _lines(coordinates: Coordinates, goniometer: Goniometer) -> str:
    """What to say where the base tilt and the tilts above the rotation move along one line."""
    base = coordinates.likeliest("base")
    tilts_move = max(_width(coordinates, "chi"), _width(coordinates, "phi")) > base.step / 2
    if base.count == 1 or not tilts_move:
        return ""
    flat = flat_projections(coordinates, coordinates.likeliest("omega"), base.step)
    if not flat.size:
        return ""
    return (
        f"{goniometer.base_tilt} and {goniometer.chi} / {goniometer.phi} tilt the sample along one "
        f"and the same direction at omega ({goniometer.omega}) = {_list(flat)}, and "
    )


def _describe(coordinates: Coordinates, part: str, goniometer: Goniometer) -> str:
    values, groups = coordinates.values(part), coordinates.likeliest(part)
    span = f"{short(float(values.min()))} to {short(float(values.max()))}"
    if part in ("chi", "phi"):
        span += f" about {part}0"
    count = str(groups.count) if groups.count > 1 else "no separate"
    return f"{_MOTORS[part](goniometer)} has {count} positions, {span}"


LEAST_ROTATION_DEG = 5.0
"""A topo-tomography scan turns the sample by more than this."""


def refuse_narrow_rotation(
    omega_deg: NDArray[np.float64], axes: Sequence[SettingAxis], goniometer: Goniometer
) -> None:
    """Refuse, by a GridError, a guessed rotation that hardly turns while nothing rocks: it rocks.

    The first projections of a scan that is still running turn little too, but something rocks.
    """
    span = float(np.ptp(omega_deg))
    moving = [axis.name for axis in axes if axis.values_deg.size > 1]
    rocks = "mu" in moving or {"chi", "phi"} <= set(moving)
    if omega_deg.size < 2 or span >= LEAST_ROTATION_DEG or rocks:
        return
    beamline = next((name for name, known in GONIOMETERS.items() if known == goniometer), "id06")
    raise GridError(
        f"the motor '{goniometer.omega}', taken for the rotation, has {omega_deg.size} positions "
        f"over {short(span)} degrees only: is it the one that rocks? Then say so, as in --motors "
        f"{beamline},omega={goniometer.base_tilt},base_tilt={goniometer.omega} --tilt-azimuth 90; "
        f"if it does turn the sample, --motors {beamline} takes it as it is"
    )


def _other_azimuth(coordinates: Coordinates) -> str:
    """Advice to turn the tilts by the other azimuth, where that makes a grid."""
    other = 90.0 if coordinates.origin.azimuth_deg == 0 else 0.0
    if _fits(coordinates, replace(coordinates.origin, azimuth_deg=other)):
        return f". With tilt_azimuth {other:g} they do form a grid: the scan swaps chi and phi"
    return ""


def _other_origin(coordinates: Coordinates) -> str:
    """Advice on phi0 and chi0, where other ones make a grid of mu and gamma."""
    origin = coordinates.origin
    omega = np.radians(coordinates.values("omega"))
    matrix = np.stack([np.cos(omega), -np.sin(omega)], axis=1)
    shift = np.linalg.lstsq(matrix, coordinates.values("v"), rcond=None)[0]
    azimuth = np.radians(origin.azimuth_deg)
    turn = np.array([[np.cos(azimuth), np.sin(azimuth)], [-np.sin(azimuth), np.cos(azimuth)]])
    chi, phi = turn @ shift
    found = replace(
        origin,
        chi_deg=origin.chi_deg + chi / np.cos(np.radians(origin.phi_deg)),
        phi_deg=origin.phi_deg + phi,
    )
    if not _fits(coordinates, found):
        return ""
    return (
        f". With phi0 = {found.phi_deg:.4f} and chi0 = {found.chi_deg:.4f} (given: "
        f"{origin.phi_deg:.4f} and {origin.chi_deg:.4f}) they do form a grid"
    )


def _fits(coordinates: Coordinates, origin: TiltOrigin) -> bool:
    """Whether the frames are a mosaicity scan about another origin."""
    grid = best_grid(Coordinates(coordinates.motors, origin, coordinates.steps_deg))
    return grid is not None and grid.kind.name == "mosaicity"


def _list(omega_deg: NDArray[np.float64]) -> str:
    return f"{listed([*map(short, omega_deg)], _NAMED)} degrees"
