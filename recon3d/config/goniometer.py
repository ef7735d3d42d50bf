"""The motor names of each beamline, and which beamline a scan was taken at."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from recon3d.arguments import NamedFields, check_fields, wrong
from recon3d.errors import DataError


@dataclass(frozen=True)
class Goniometer(NamedFields):
    """The names that the files give to the motors.

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

    @property
    def motors(self) -> dict[str, str]:
        """The names of the motors by the parts that they play, as in "base_tilt"."""
        return {part: name for part, name in vars(self).items() if part != "ring_current"}


GONIOMETERS = {
    "id06": Goniometer(omega="diffry", base_tilt="diffrz"),
    "id03": Goniometer(omega="omega", base_tilt="mu", ring_current="current"),
}
"""The beamlines whose motor names are known."""


def choose_goniometer(known: Container[str], moving: Container[str]) -> Goniometer:
    """The beamline whose rotation and base tilt, or the latter alone, are among the motors.

    Of several, those that moved decide. A DataError where no beamline fits, or several do.
    """
    beamlines = GONIOMETERS.values()
    fitting = [b for b in beamlines if b.omega in known and b.base_tilt in known]
    fitting = fitting or [b for b in beamlines if b.base_tilt in known]
    if not fitting:
        raise DataError(
            f"the files record the motors of no known beamline ({_names([*beamlines])}): name "
            "them, as in --motors id03,omega=...,base_tilt=..."
        )
    moved = [(b.omega in moving) + (b.base_tilt in moving) for b in fitting]
    best = [b for b, count in zip(fitting, moved, strict=True) if count == max(moved)]
    if len(best) > 1:
        raise DataError(
            f"the files record the motors of several beamlines ({_names(best)}): say which, as "
            "in --motors id03"
        )
    return best[0]


def _names(wanted: list[Goniometer]) -> str:
    return "; ".join(
        f"{name}: {goniometer.omega}, {goniometer.base_tilt}"
        for name, goniometer in GONIOMETERS.items()
        if goniometer in wanted
    )
