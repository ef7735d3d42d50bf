from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.simulate.presets import (
    OFF_CENTRE_POSITION_UM,
    PLANS,
    demo_plan,
    grain_size_um,
    off_centre_plan,
    strain_plan,
    tilts_plan,
)
from recon3d.simulate.scan_plan import Steps, planned_steps, recorded_motors, true_motors


def test_mosaicity_motors_follow_the_id06_macro():
    plan = replace(demo_plan(), phi0_deg=20.0, chi0_deg=-3.0, base_tilt_deg=10.4)
    mu, gamma, _ = planned_steps(plan)
    k = 7
    omega = np.radians(35.0)
    motors = true_motors(plan, k)
    np.testing.assert_allclose(motors.omega_deg, 35.0)
    np.testing.assert_allclose(motors.base_tilt_deg, 10.4 + mu)
    np.testing.assert_allclose(motors.phi_deg, 20.0 + gamma * np.cos(omega))
    np.testing.assert_allclose(
        motors.chi_deg, -3.0 + gamma * np.sin(omega) / np.cos(np.radians(20.0))
    )


def test_tilts_move_chi_and_phi_and_hold_the_base_tilt():
    motors = true_motors(tilts_plan(), 11)
    assert np.ptp(motors.base_tilt_deg) == 0
    assert len(np.unique(motors.chi_deg.round(9))) == len(np.unique(motors.phi_deg.round(9))) == 7


def test_the_base_tilt_reads_about_the_bragg_angle_in_either_sense():
    assert demo_plan().origin.base_tilt_deg == pytest.approx(10.4, abs=0.05)
    assert replace(demo_plan(), base_tilt_sense=-1).origin.base_tilt_deg == pytest.approx(
        -10.4, abs=0.05
    )


def test_the_arm_steps_about_twice_the_bragg_angle():
    plan = strain_plan()
    readings = np.unique(true_motors(plan, 0).two_theta_deg.round(9))
    np.testing.assert_allclose(readings, 2 * plan.crystal.bragg_angle_deg + np.arange(-3, 4) * 0.01)


def test_the_azimuth_swaps_the_tilt_motors():
    plan = replace(tilts_plan(), phi0_deg=0.0, chi0_deg=0.0)
    plain, turned = true_motors(plan, 5), true_motors(replace(plan, tilt_azimuth_deg=90.0), 5)
    np.testing.assert_allclose(turned.chi_deg, plain.phi_deg, atol=1e-12)
    np.testing.assert_allclose(turned.phi_deg, -plain.chi_deg, atol=1e-12)


def test_mu_is_the_fastest_and_zigzag_turns_every_other_series():
    plain = planned_steps(demo_plan())[0].reshape(7, 7)
    zigzag = planned_steps(replace(demo_plan(), zigzag=True))[0].reshape(7, 7)
    assert (np.diff(plain, axis=1) > 0).all()
    np.testing.assert_array_equal(zigzag[0::2], plain[0::2])
    np.testing.assert_array_equal(zigzag[1::2], plain[1::2, ::-1])


def test_recorded_motors_jitter_by_the_given_amount():
    plan = replace(demo_plan(), jitter_deg=0.0005)
    errors = []
    for k in range(plan.projections):
        true, recorded = true_motors(plan, k), recorded_motors(plan, k, seed=1)
        errors.append(recorded.chi_deg - true.chi_deg)
        np.testing.assert_array_equal(recorded.energy_kev, true.energy_kev)
    assert np.std(errors) == pytest.approx(0.0005, rel=0.1)
    assert abs(np.mean(errors)) < 0.0005 / 10
    again = recorded_motors(plan, 0, seed=1).chi_deg
    np.testing.assert_array_equal(again, recorded_motors(plan, 0, seed=1).chi_deg)
    assert (again != recorded_motors(plan, 0, seed=2).chi_deg).any()


def test_the_drift_moves_one_projection():
    plan = replace(demo_plan(), drift_pix=tuple((0.1 * k, -0.2 * k) for k in range(36)))
    first, last = plan.geometry(0), plan.geometry(35)
    assert last.centre_row_pix - first.centre_row_pix == pytest.approx(3.5)
    assert last.centre_col_pix - first.centre_col_pix == pytest.approx(-7.0)


def test_the_roi_moves_both_centres_by_as_much():
    plan = off_centre_plan()
    whole = replace(plan, roi=None)
    row, col = np.subtract(whole.roi_centre_pix, plan.roi_centre_pix)
    assert (row, col) == pytest.approx((10, 74))


@pytest.mark.parametrize("name", PLANS)
def test_the_largest_grain_leaves_the_rim_free(name):
    plan = PLANS[name]()
    position = OFF_CENTRE_POSITION_UM if name == "off-centre" else (0.0, 0.0, 0.0)
    radius = grain_size_um(plan, 8, position) / 2 * plan.magnification_pix_per_um
    row0, col0, rows, cols = plan.upright_roi
    nearest = np.inf
    for k, omega in enumerate(plan.omega_deg):
        row, col = plan.geometry(k).affine(omega) @ (*position, 1.0) - (row0, col0)
        nearest = min(nearest, row, rows - 1 - row, col, cols - 1 - col)
    assert 10 <= nearest + 0.5 - radius < 10.5


def test_a_grain_that_cannot_fit_is_refused():
    with pytest.raises(ParameterError, match="no grain"):
        grain_size_um(demo_plan(), position_um=(7.0, 0.0, 0.0))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"kind": "mosaic"}, "mosaicity"),
        ({"omega_deg": ()}, "omega_deg is empty"),
        ({"kind": "rocking"}, "rolling steps"),
        ({"handedness": 0}, "handedness is 0"),
        ({"flip": "cols"}, "columns"),
        ({"rows": 0}, "rows is 0: expected a whole number >= 1"),
        ({"rocking_width_deg": 0.0}, "rocking_width_deg"),
        ({"drift_pix": ((0.0, 0.0),)}, "expected a pair for each"),
        ({"roi": (0, 0, 97, 10)}, "not inside"),
        ({"roi": (-1, 0, 9, 10)}, "not inside"),
    ],
)
def test_impossible_plans_are_refused(change, words):
    with pytest.raises(ParameterError, match=words):
        replace(demo_plan(), **change)


@pytest.mark.parametrize("steps", [(0.1, 1), (0.0, 3), (-0.1, 3), (0.1, 0)])
def test_impossible_steps_are_refused(steps):
    with pytest.raises(ParameterError, match=r"step|half_range_deg is -0\.1|number is 0"):
        Steps(*steps)
