"""Faults of grain, instrument, beam and detector, planted in a simulated scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import affine_transform

from recon3d.errors import ParameterError
from recon3d.simulate.phantom import Gradient
from recon3d.simulate.truth import Truth

Light = NDArray[np.float32]

EDGE_AT = 0.3
EDGE_SOFTNESS_PIX = 0.7
"""Where the illumination ends, in radii of the grain from its middle, and how softly."""

SLOPE_PIX = 20.0
"""Distance over which the shift of the acceptance is counted."""


@dataclass(frozen=True)
class Kind:
    """A kind of fault; the docstring of its function says what is wrong."""

    # What becomes of grain, scan and detector: called with the truth and the strength; or
    # (`of_light`) of the light of a projection, (frames, rows, cols): called with it, the truth,
    # the number of the projection, the light of the brightest pixel, and the strength.
    plant: Callable[..., Any]
    unit: str  # of its strength
    usual: float  # strength where none is given
    bounds: tuple[float, float]  # least and largest strength
    of_light: bool


FAULTS: dict[str, Kind] = {}
"""The kinds of faults by their names."""

_POSITIVE, _SHARE, _EITHER_SIGN = (0.0, np.inf), (0.0, 1.0), (-np.inf, np.inf)
Plant = Callable[..., Any]


def _fault(
    unit: str, usual: float, bounds: tuple[float, float] = _POSITIVE, *, of_light: bool = False
) -> Callable[[Plant], Plant]:
    """Enter a function among the `FAULTS`, by its name without the underscore."""

    def enter(plant: Plant) -> Plant:
        FAULTS[plant.__name__[1:]] = Kind(plant, unit, usual, bounds, of_light)
        return plant

    return enter


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong, by its name in `FAULTS`, and how much, in the unit named there."""

    name: str
    strength: float

    @classmethod
    def parse(cls, text: str) -> Fault:
        """Read NAME or NAME:STRENGTH."""
        name, _, strength = text.partition(":")
        if name not in FAULTS:
            raise ParameterError(f"fault '{name}' is not known: expected one of {list(FAULTS)}")
        kind = FAULTS[name]
        try:
            value = float(strength) if strength else kind.usual
        except ValueError:
            raise ParameterError(
                f"fault '{text}': expected a number after the colon ({kind.unit})"
            ) from None
        low, high = kind.bounds
        if not low <= value <= high:
            raise ParameterError(
                f"fault '{text}': expected {low:g} to {high:g} after the colon ({kind.unit})"
            )
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.name}:{self.strength:g}"


def with_faults(truth: Truth, faults: Sequence[Fault]) -> Truth:
    """Plant the faults of grain, scan and detector, and name all of them in the truth."""
    for fault in faults:
        kind = FAULTS[fault.name]
        if not kind.of_light:
            truth = kind.plant(truth, fault.strength)
    return replace(truth, faults=truth.faults + tuple(map(str, faults)))


def spoil(light: Light, truth: Truth, projection: int, brightest: float) -> Light:
    """Do to upright images without noise, (frames, rows, cols), what the faults of a truth do.

    `brightest`: light of the brightest pixel of the scan.
    """
    for fault in map(Fault.parse, truth.faults):
        kind = FAULTS[fault.name]
        if kind.of_light:
            light = kind.plant(light, truth, projection, brightest, fault.strength)
    return light


@_fault("degrees at its rim", 0.06, _EITHER_SIGN)
def _bent(truth: Truth, tilt_deg: float) -> Truth:
    """The grain is bent along (a, b) = g (x, -h z), which a rocking-only scan hardly tells."""
    slope = tilt_deg / truth.phantom.radius_um
    a, b = Gradient((slope, 0.0, 0.0)), Gradient((0.0, 0.0, -truth.handedness * slope))
    return replace(truth, phantom=replace(truth.phantom, a_deg=a, b_deg=b))


@_fault("degrees at its rim", 0.06, _EITHER_SIGN)
def _bent_across(truth: Truth, tilt_deg: float) -> Truth:
    """The grain is bent along other directions."""
    slope = tilt_deg / truth.phantom.radius_um
    a, b = Gradient((0.0, 0.0, slope)), Gradient((0.0, slope, 0.0))
    return replace(truth, phantom=replace(truth.phantom, a_deg=a, b_deg=b))


@_fault("share of the second", 0.35, _SHARE)
def _two_orientations(truth: Truth, share: float) -> Truth:
    """Every voxel scatters at two orientations, 67 mdeg apart."""
    return replace(truth, phantom=replace(truth.phantom, second=(share, 0.052, -0.042)))


@_fault("steps of μ", 1.0, _EITHER_SIGN)
def _mu_drift(truth: Truth, steps: float) -> Truth:
    """The centre μ_c drifts over the scan."""
    plan = truth.plan
    range_deg = steps * float(plan.mu.values_deg[1] - plan.mu.values_deg[0])
    course = np.linspace(-0.5, 0.5, plan.projections) * range_deg
    drift = tuple((float(value), 0.0) for value in course)
    return replace(truth, plan=replace(plan, centre_drift_deg=drift))


@_fault("degrees in 20 pixels", 0.05, _EITHER_SIGN)
def _acceptance(truth: Truth, shift_deg: float) -> Truth:
    """The acceptance in γ moves across the columns."""
    slope = (0.0, shift_deg / SLOPE_PIX)
    return replace(truth, plan=replace(truth.plan, gamma_slope_deg_per_pix=slope))


@_fault("degrees of ω", 90.0, (1.0, 360.0))
def _quarter(truth: Truth, range_deg: float) -> Truth:
    """The projections cover another range of ω."""
    first, number = truth.plan.omega_deg[0], truth.plan.projections
    omega = first + np.arange(number) * range_deg / number
    return replace(truth, plan=replace(truth.plan, omega_deg=tuple(map(float, omega))))


@_fault("projections", 12.0, (1.0, np.inf))
def _few(truth: Truth, number: float) -> Truth:
    """Few projections."""
    first, last = truth.plan.omega_deg[0], truth.plan.omega_deg[-1]
    step = (last - first) / (truth.plan.projections - 1)
    omega = first + np.arange(round(number)) * (last - first + step) / round(number)
    return replace(truth, plan=replace(truth.plan, omega_deg=tuple(map(float, omega))))


@_fault("counts at the peak", 30.0, (1.0, 60000.0))
def _weak(truth: Truth, counts: float) -> Truth:
    """Little light."""
    return replace(truth, detector=replace(truth.detector, peak_counts=counts))


@_fault("the brightest peak, in 65536 counts", 1.3, (0.1, 10.0))
def _wrap(truth: Truth, peak: float) -> Truth:
    """Peaks pass the largest count of 16 bits, and begin again at 0."""
    return replace(truth, detector=replace(truth.detector, peak_counts=65536 * peak, wraps=True))


@_fault("spots a frame", 3.0)
def _zingers(truth: Truth, number: float) -> Truth:
    """Spots of 2 x 2 pixels, struck at random."""
    return replace(truth, detector=replace(truth.detector, zingers=number, zinger_pix=2))


@_fault("columns", 3.0)
def _dead_columns(truth: Truth, number: float) -> Truth:
    """Columns that read nothing."""
    return replace(truth, detector=replace(truth.detector, dead_columns=round(number)))


@_fault("share of the projections", 0.33, _SHARE, of_light=True)
def _edge(light: Light, truth: Truth, projection: int, _: float, share: float) -> Light:
    """Nothing is lit beyond an edge, for a share of the projections in the middle of the scan."""
    plan = truth.plan
    if abs(projection + 0.5 - plan.projections / 2) > share * plan.projections / 2:
        return light
    edge = plan.geometry(projection).centre_col_pix
    edge += EDGE_AT * truth.phantom.radius_um * plan.magnification_pix_per_um
    column = np.arange(light.shape[2])
    lit = 1 / (1 + np.exp(np.clip((column - edge) / EDGE_SOFTNESS_PIX, -50, 50)))
    return light * lit.astype(np.float32)


@_fault("share of the projections", 0.2, _SHARE, of_light=True)
def _second_grain(light: Light, _: Truth, projection: int, brightest: float, share: float) -> Light:
    """Another grain passes: the image of this one, mirrored, elsewhere and in other frames."""
    rng = np.random.default_rng([projection, 7])
    if rng.uniform() >= share:
        return light
    down, right = rng.uniform(-0.3, 0.3, 2) * light.shape[1:]
    other = np.roll(light[::-1, ::-1], (round(down), round(right)), axis=(1, 2))
    strongest = max(float(other.max()), 1e-30)
    return light + np.float32(rng.uniform(0.5, 1.5) * brightest / strongest) * other


@_fault("T as a share of the brightest pixel", 0.15, (1e-3, 100.0), of_light=True)
def _extinction(light: Light, _: Truth, __: int, brightest: float, share: float) -> Light:
    """Light saturates as T tanh(light / T)."""
    return np.float32(share * brightest) * np.tanh(light / np.float32(share * brightest))


@_fault("absorption lengths", 0.3, of_light=True)
def _absorption(light: Light, truth: Truth, projection: int, _: float, depth: float) -> Light:
    """A plate, longest along the beam at ω = 0, and thicker towards one side of the image."""
    plan = truth.plan
    omega = np.radians(plan.omega_deg[projection])
    centre = plan.geometry(projection).centre_col_pix
    across = (np.arange(light.shape[2]) - centre) / light.shape[2]
    path = depth * (np.cos(omega) ** 2 + across * np.sin(omega))
    return light * np.exp(-path).astype(np.float32)


@_fault("degrees", 1.0, (-45.0, 45.0), of_light=True)
def _axis_tilt(light: Light, truth: Truth, projection: int, _: float, tilt_deg: float) -> Light:
    """The rotation axis is turned in the plane of the image."""
    geometry = truth.plan.geometry(projection)
    centre = np.array([geometry.centre_row_pix, geometry.centre_col_pix])
    c, s = np.cos(np.radians(tilt_deg)), np.sin(np.radians(tilt_deg))
    turn = np.array([[c, -s], [s, c]])
    offset = centre - turn @ centre
    return np.stack([affine_transform(frame, turn, offset, order=1) for frame in light])
