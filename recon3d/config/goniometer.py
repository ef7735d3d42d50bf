"""The names of the motors at the beamlines, by the parts that they play."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Goniometer:
    """Which motor, by its name in the files, plays which part.

    Parameters
    ----------
    omega, base_tilt, chi, phi, two_theta, energy
        Names of the motors.
    ring_current
        Name of the counter with the ring current.
    """

    omega: str
    base_tilt: str
    chi: str = "chi"
    phi: str = "phi"
    two_theta: str = "obpitch"
    energy: str = "energy"
    ring_current: str = "srcur"


GONIOMETERS = {
    "id06": Goniometer(omega="diffry", base_tilt="diffrz"),
    "id03": Goniometer(omega="omega", base_tilt="mu", ring_current="current"),
}
"""The beamlines whose motor names are known."""
