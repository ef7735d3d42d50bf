"""Motor readings of a scan as coordinates, grouped into the positions they were sent to.

Readings of a motor that was sent to a few positions jitter about them, with gaps in between. The
gaps are sorted by size; a grouping is worth considering where the smallest gap between its groups
is clearly larger than the largest gap within one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import check_fields
from recon3d.errors import DataError, GridError
from recon3d.geometry import TiltOrigin, frame_settings, sample_tilts
from recon3d.readers.source import FrameSource, MotorTable

FloatArray = NDArray[np.float64]

_RESOLUTION = 5e-6
_CLEAR_RATIO = 3.0
_VERY_CLEAR_RATIO = 10.0
_DOUBTFUL_RATIO = 1.5
_TRIED = 8
_MOST_UNEVEN = 200.0
_OUTLIER_WIDTHS = 10.0


@dataclass(frozen=True)
class Choices:
    """What a user may say of how a scan was made, as in `recon3d.open_scan`."""

    phi0_deg: float | None = None
    chi0_deg: float | None = None
    tilt_azimuth_deg: Literal[0, 90] = 0
    recorded_at: Literal["middle", "start"] = "middle"
    step_deg: float | tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_fields(self, step_deg="> 0")

    @property
    def steps_deg(self) -> tuple[float | None, float | None]:
        """Steps of mu and of gamma."""
        step = self.step_deg
        return tuple(step) if isinstance(step, (tuple, list)) else (step, step)  # type: ignore[return-value]

    def coordinates(
        self, source: FrameSource, kept: NDArray[np.int64] | None = None
    ) -> Coordinates:
        """The coordinates of frames at the middle of their exposures, from the chosen origin.

        A tilt without any reading is taken as still. `kept`: which of the source's frames; None for
        all. A DataError where a reading is not known.
        """
        motors = source.motors
        for column, zero in (("chi_deg", self.chi0_deg), ("phi_deg", self.phi0_deg)):
            if np.isnan(getattr(motors, column)).all():
                motors = replace(motors, **{column: np.full(motors.shape, zero or 0.0)})
        for column in ("omega_deg", "base_tilt_deg", "chi_deg", "phi_deg"):
            unknown = np.flatnonzero(~np.isfinite(getattr(motors, column)))
            if unknown.size:
                raise DataError(f"{source.name(int(unknown[0]))} has no reading of {column}")
        motors = motors if kept is None else motors[kept]
        if self.recorded_at == "start":
            motors = centre_exposures(self._counted(motors))
        return self._counted(motors)

    def _counted(self, motors: MotorTable) -> Coordinates:
        chi0 = middle(motors.chi_deg) if self.chi0_deg is None else self.chi0_deg
        phi0 = middle(motors.phi_deg) if self.phi0_deg is None else self.phi0_deg
        origin = TiltOrigin(chi_deg=chi0, phi_deg=phi0, azimuth_deg=self.tilt_azimuth_deg)
        return Coordinates(motors, origin, self.steps_deg)


@dataclass(frozen=True, eq=False)
class Coordinates:
    """Coordinates of all frames by name, and their groupings, worked out when asked for.

    "omega", "base", "two_theta" and "energy" are motor readings; "chi" and "phi" the tilts (χ, φ)
    of `recon3d.geometry.sample_tilts`; "u" = χ sin ω + φ cos ω and "v" = χ cos ω - φ sin ω the same
    tilts in the laboratory.
    """

    motors: MotorTable  # readings, shape (frames,)
    origin: TiltOrigin  # where the tilts are counted from
    # about how far the positions of (mu, gamma) are apart, None where that is not known
    steps_deg: tuple[float | None, float | None] = (None, None)
    _groupings: dict[str, list[Grouping]] = field(default_factory=dict)

    def values(self, name: str) -> FloatArray:
        """The coordinate of every frame, shape (frames,)."""
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

    @cached_property
    def _values(self) -> dict[str, FloatArray]:
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


_COLUMNS = {
    "omega": ("omega_deg",),
    "base": ("base_tilt_deg",),
    "chi": ("chi_deg",),
    "phi": ("phi_deg",),
    "u": ("chi_deg", "phi_deg"),
    "v": ("chi_deg", "phi_deg"),
    "two_theta": ("two_theta_deg",),
}


def centre_exposures(coordinates: Coordinates) -> MotorTable:
    """Motor readings of a continuous scan at the middle of the exposures, from their start.

    The motor that changes between most successive frames was moving; its readings are shifted by
    half a step in the direction of each sweep. A GridError where none does.
    """
    labels = {
        name: coordinates.likeliest(name).index
        for name in _COLUMNS
        if coordinates.groupings(name) and coordinates.likeliest(name).count > 1
    }
    share = {name: float(np.mean(np.diff(index) != 0)) for name, index in labels.items()}
    fast = max(share, key=lambda name: share[name], default="")
    if not fast or share[fast] < 0.5:
        raise GridError(
            "recorded_at is 'start', for continuous scans, but no motor changes between most "
            "successive frames: check that the files are numbered in the order they were taken"
        )
    slow = [index for name, index in labels.items() if share[name] < 0.5]
    sweeps = _sweeps(coordinates.values(fast), slow)
    shifted = {
        column: _shift(getattr(coordinates.motors, column), sweeps) for column in _COLUMNS[fast]
    }
    return replace(coordinates.motors, **shifted)


def _sweeps(values: FloatArray, slow: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Number of the sweep that each frame belongs to.

    A sweep ends where a slow motor changes, the moving one turns, or a step is of unusual length.
    """
    moves = np.diff(values)
    usual = np.median(np.abs(moves))
    ends = np.abs(np.abs(moves) - usual) > usual / 2
    for index in slow:
        ends |= np.diff(index) != 0
    turns = np.zeros_like(ends)
    turns[:-1] = (np.sign(moves[1:]) != np.sign(moves[:-1])) & ~ends[1:] & ~ends[:-1]
    return np.concatenate(([0], np.cumsum(ends | turns)))


def _shift(readings: FloatArray, sweeps: NDArray[np.int64]) -> FloatArray:
    """Readings moved on by half the usual step of their sweep; single frames stay."""
    shifted = readings.copy()
    starts = np.flatnonzero(np.diff(sweeps, prepend=-1))
    for own in np.split(np.arange(readings.size), starts[1:]):
        if own.size > 1:
            shifted[own] += np.median(np.diff(readings[own])) / 2
    return shifted


def middle(readings: FloatArray) -> float:
    """The middle of the range of some readings."""
    return float(readings.min() + readings.max()) / 2


@dataclass(frozen=True)
class Grouping:
    """Readings sorted into groups."""

    centres: FloatArray  # mean of each group, increasing
    index: NDArray[np.int64]  # group of each reading
    # six standard deviations of each group, or its whole extent where that is less
    widths: FloatArray

    @property
    def count(self) -> int:
        """The number of groups."""
        return self.centres.size

    @property
    def step(self) -> float:
        """The smallest distance of neighbouring groups; infinite for a single one."""
        return float(np.diff(self.centres).min()) if self.count > 1 else math.inf

    @property
    def is_clear(self) -> bool:
        """Whether no group is wider than half the way to a neighbour."""
        between = np.diff(self.centres)
        wider = np.maximum(self.widths[1:], self.widths[:-1])
        return bool(np.all(wider <= between / 2))


def groupings(values: FloatArray, step: float | None = None) -> list[Grouping]:
    """All groupings that the gaps between finite readings allow, the likeliest first.

    Exact positions come first, then what jitter leaves, by how clear the gaps are. `step`: about
    how far positions are apart: those that agree within a factor 1.5 move up.
    """
    likely, doubtful = _jittered(values)
    single, finest = split_at(values, math.inf), split_at(values, _RESOLUTION)
    found = [*likely, single, *doubtful]
    if finest.is_clear and finest.count not in {grouping.count for grouping in found}:
        found.insert(0 if _is_exact(finest) else len(found), finest)
    if step is not None:
        found.sort(key=lambda grouping: not _agrees(grouping, step))
    return found


def split_at(values: FloatArray, tolerance: float) -> Grouping:
    """Group readings, splitting wherever neighbours are further apart than `tolerance`."""
    order = np.argsort(values, kind="stable")
    ordered = values[order]
    labels = np.concatenate(([0], np.cumsum(np.diff(ordered) > tolerance)))
    counts = np.bincount(labels)
    starts = np.concatenate(([0], np.cumsum(counts)[:-1]))
    offsets = ordered - ordered[starts][labels]
    means = np.bincount(labels, offsets) / counts
    spread = np.sqrt(np.bincount(labels, (offsets - means[labels]) ** 2) / counts)
    extents = np.maximum.reduceat(offsets, starts)
    index = np.empty(values.size, np.int64)
    index[order] = labels
    centres = ordered[starts] + means + 0.0
    return Grouping(centres, index, np.minimum(6 * spread, extents))


def _jittered(values: FloatArray) -> tuple[list[Grouping], list[Grouping]]:
    """Groupings at the clear jumps of the sorted gaps, and those at doubtful ones.

    Of the jumps beyond a factor 10 the one that leaves most groups comes first (steps can be
    uneven), then the largest. The fewer the readings, the larger a jump jitter alone makes.
    """
    gaps = np.sort(np.diff(np.sort(values)))[::-1]
    ratios = gaps[:-1] / np.maximum(gaps[1:], _RESOLUTION) / (1 + 10 / values.size)
    candidates = np.flatnonzero((ratios >= _DOUBTFUL_RATIO) & (gaps[1:] > _RESOLUTION))
    likely: list[Grouping] = []
    doubtful: list[Grouping] = []
    best = np.lexsort((-candidates, -np.minimum(ratios[candidates], _VERY_CLEAR_RATIO)))
    for i in candidates[best][:_TRIED]:
        grouping = split_at(values, math.sqrt(gaps[i] * gaps[i + 1]))
        is_likely = ratios[i] >= _CLEAR_RATIO and 2 * grouping.count <= values.size
        if grouping.is_clear and not _is_outliers(grouping):
            (likely if is_likely else doubtful).append(grouping)
    return likely, doubtful


def _is_exact(grouping: Grouping) -> bool:
    """Whether positions that are all kept apart are meant ones rather than jitter.

    Meant positions are visited about equally often, but one of a scan that stopped, or are about
    equally spaced; rounded jitter leaves many rare ones in its tails.
    """
    if grouping.count == 1:
        return True
    counts, between = np.bincount(grouping.index), np.diff(grouping.centres)
    rare = np.count_nonzero(counts <= np.median(counts) / 2)
    unevenness = between.max() / between.min()
    if np.median(counts) >= 2 and rare <= 1 and unevenness <= _MOST_UNEVEN:
        return True
    return bool(unevenness <= 2 + 20 / grouping.count and rare <= grouping.count / 4)


def _is_outliers(grouping: Grouping) -> bool:
    """Whether all groups but one are a stray reading or two, not far from that one."""
    counts = np.bincount(grouping.index)
    main = int(np.argmax(counts))
    total = counts.sum()
    away = np.abs(grouping.centres - grouping.centres[main]).max()
    few = total - counts[main] <= max(1, 0.01 * total)
    return bool(total >= 10 and few and away <= _OUTLIER_WIDTHS * grouping.widths[main])


def _agrees(grouping: Grouping, step: float) -> bool:
    if grouping.count == 1:
        return False
    return abs(math.log(float(np.median(np.diff(grouping.centres))) / step)) < math.log(1.5)
