"""The detector arm and the energy against the crystal and the wavelength."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

from recon3d.config.crystal import Crystal
from recon3d.errors import Recon3DWarning
from recon3d.readers.source import MotorTable
from recon3d.reconstruction.model.checks import check_energy

ALUMINIUM = Crystal((4.0495, 4.0495, 4.0495, 90, 90, 90), (2, 0, 0), 0.7293187)
TWO_THETA_DEG = 20.750  # 2 arcsin(0.7293187 / 4.0495)
ENERGY_KEV = 17.0


def motors(two_theta=np.nan, energy=np.nan) -> MotorTable:
    table = MotorTable(*(np.full((2, 3), np.nan) for _ in range(7)))
    return replace(
        table, two_theta_deg=np.full((2, 3), two_theta), energy_kev=np.full((2, 3), energy)
    )


@pytest.mark.parametrize("two_theta", [np.nan, 0, 0.9, 20.6, 20.9, -20.8])
@pytest.mark.parametrize("energy", [np.nan, 0, 17.0, 17.08, 16_950])
def test_agreement_says_nothing(two_theta, energy):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_energy(motors(two_theta, energy), ALUMINIUM)


@pytest.mark.parametrize("two_theta", [1.1, 20.5, 21.0, 23.6])
def test_another_arm_angle_warns(two_theta):
    with pytest.warns(Recon3DWarning, match=rf"2θ = {two_theta:.3f}°.*diffracts at 20\.7\d\d°"):
        check_energy(motors(two_theta), ALUMINIUM)


@pytest.mark.parametrize(("energy", "shown"), [(17.1, "17.1000"), (15_000, "15.0000")])
def test_another_energy_warns(energy, shown):
    with pytest.warns(Recon3DWarning, match=rf"{shown} keV.*17\.0000 keV"):
        check_energy(motors(energy=energy), ALUMINIUM)


def test_missing_frames_do_not_matter():
    table = motors(23.0)
    table.two_theta_deg[0, :] = np.nan
    with pytest.warns(Recon3DWarning, match="23.000"):
        check_energy(table, ALUMINIUM)
