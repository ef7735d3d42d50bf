"""The coordinates of frames in which a scan may form a grid, each sorted into groups."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.geometry import TiltOrigin, frame_settings, sample_tilts
from recon3d.io.grouping import Grouping, groupings
from recon3d.io.motors import MotorTable

FloatArray = NDArray[np.float64]


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
