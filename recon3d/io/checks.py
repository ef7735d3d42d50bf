"""Compare what the motors say with what the user says."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

from recon3d.crystal import Crystal
from recon3d.errors import Recon3DWarning
from recon3d.io.motors import MotorTable

_TWO_THETA_TOLERANCE_DEG = 0.2
_PARKED_BELOW_DEG = 1.0
_ENERGY_TOLERANCE = 0.005


def check_energy(motors: MotorTable, crystal: Crystal) -> None:
    """Compare the detector arm and the photon energy with the crystal and the wavelength.

    A detector arm within 1° of zero is parked and says nothing; an energy above 1000 is
    taken as given in eV. What is not known is not compared.

    Parameters
    ----------
    motors
        Readings of a scan, of any shape.
    crystal
        The reflection and the wavelength that the user gave.

    Warns
    -----
    Recon3DWarning
        2θ differs by more than 0.2°, or the energy by more than 0.5 %.
    """
    arm = abs(_typical(motors.two_theta_deg))
    expected = 2 * crystal.bragg_angle_deg
    if arm >= _PARKED_BELOW_DEG and abs(arm - expected) > _TWO_THETA_TOLERANCE_DEG:
        _warn(
            f"the detector arm stands at 2θ = {arm:.3f}°, but hkl {crystal.hkl} at "
            f"{crystal.wavelength_angstrom:g} Å diffracts at {expected:.3f}°: check the unit cell, "
            "hkl and the wavelength"
        )
    energy = _typical(motors.energy_kev)
    energy = energy / 1000 if energy > 1000 else energy
    if energy > 0 and abs(energy / crystal.energy_kev - 1) > _ENERGY_TOLERANCE:
        _warn(
            f"the photon energy in the files is {energy:.4f} keV, but that of the "
            f"wavelength {crystal.wavelength_angstrom:g} Å is {crystal.energy_kev:.4f} keV: check "
            "the wavelength"
        )


def _typical(readings: NDArray[np.float64]) -> float:
    """Median of the finite readings; 0 where there is none."""
    known = readings[np.isfinite(readings)]
    return float(np.median(known)) if known.size else 0.0


def _warn(message: str) -> None:
    warnings.warn(message, Recon3DWarning, stacklevel=3)
