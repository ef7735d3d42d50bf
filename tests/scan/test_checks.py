"""The detector arm and the energy against the crystal and the wavelength."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from recon3d.config.crystal import Crystal
from recon3d.errors import Recon3DWarning
from recon3d.readers.source import MotorTable
from recon3d.reconstruction.model.checks import check_crystal, check_energy

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


CUBE, PRISM, RHOMB = (4, 4, 4, 90, 90, 90), (3, 3, 5, 90, 90, 120), (4, 4, 4, 60, 60, 60)


@pytest.mark.parametrize(
    ("group", "fits", "unfit"),
    [
        (225, [CUBE, (4, 4.01, 4, 90.2, 90, 90)], [PRISM, (4, 4, 4.1, 90, 90, 90)]),
        (194, [PRISM], [CUBE, RHOMB, (3, 3.1, 5, 90, 90, 120)]),
        (166, [PRISM, RHOMB, CUBE], [(3, 3, 5, 90, 90, 90), (4, 4, 4, 60, 60, 70)]),
        (139, [CUBE, (3, 3, 5, 90, 90, 90)], [PRISM, (3, 4, 5, 90, 90, 90)]),
        (62, [CUBE, (3, 4, 5, 90, 90, 90)], [PRISM]),
        (14, [(3, 4, 5, 90, 100, 90)], []),
        (1, [PRISM, (3, 4, 5, 80, 100, 95)], []),
    ],
)
def test_a_cell_of_another_system_than_the_space_group_warns(group, fits, unfit):
    crystal = replace(ALUMINIUM, space_group=group, wavelength_angstrom=0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for cell in fits:
            check_crystal(motors(), replace(crystal, unit_cell=cell))
    for cell in unfit:
        with pytest.warns(Recon3DWarning, match=f"sg_no {group} is .*which is right"):
            check_crystal(motors(), replace(crystal, unit_cell=cell))


@pytest.mark.parametrize(
    ("cell", "hkl"), [(CUBE, (1, 1, 1)), (PRISM, (1, 0, 1)), (RHOMB, (2, 1, 0))]
)
def test_an_orientation_that_leaves_g_off_the_axis_of_omega_warns(cell, hkl):
    crystal = Crystal(cell, hkl, 0.1)
    onto_y, _ = Rotation.align_vectors([[0, 1, 0]], [crystal.reflection])
    for turned_deg, sign in ((0, 1), (4.5, 1), (4.5, -1), (5.5, 1), (90, 1)):
        turn = Rotation.from_rotvec([0, 0, turned_deg], degrees=True)
        if sign < 0:  # -hkl is the same plane
            turn = turn * Rotation.from_rotvec([180, 0, 0], degrees=True)
        u = (turn * onto_y).as_matrix()
        given = replace(crystal, orientation_matrix=tuple(u.ravel().tolist()))
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            check_crystal(motors(), given)
        assert [f"{turned_deg:.1f}° off y" in str(one.message) for one in told] == (
            [True] if turned_deg > 5 else []
        )
