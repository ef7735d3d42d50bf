"""The names of the motors at the beamlines, by the parts that they play."""

from __future__ import annotations

from dataclasses import dataclass

from recon3d.arguments import NamedFields, check_fields, wrong


@dataclass(frozen=True)
class Goniometer(NamedFields):
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

    def __post_init__(self) -> None:
        check_fields(self)
        if "" in vars(self).values() or self.omega == self.base_tilt:
            raise wrong("the goniometer", self, "a name for each motor, another for base_tilt")


GONIOMETERS = {
    "id06": Goniometer(omega="diffry", base_tilt="diffrz"),
    "id03": Goniometer(omega="omega", base_tilt="mu", ring_current="current"),
}
"""The beamlines whose motor names are known."""
