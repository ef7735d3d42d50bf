import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.geometry import (
    ProjectionGeometry,
    TiltOrigin,
    frame_settings,
    sample_tilts,
    turn_to_laboratory,
)

ANGLES = st.floats(-720, 720)
TILTS = st.floats(-2, 2)
SENSES = st.sampled_from([1, -1])
GEOMETRY = ProjectionGeometry(10.4, 18.57, 149.5, 140.25)


def pixel_by_hand(x, y, z, omega_deg, *, theta_deg, scale, centre, sense=1):
    """Where a voxel lands, from the turned coordinates, written out step by step."""
    c, s = np.cos(np.radians(sense * omega_deg)), np.sin(np.radians(sense * omega_deg))
    along_beam = c * x + s * z
    across = -s * x + c * z
    tilt = -np.radians(theta_deg)
    row = -scale * (np.sin(tilt) * along_beam + np.cos(tilt) * y) + centre[0]
    return row, -scale * across + centre[1]


@given(st.tuples(*[st.floats(-50, 50)] * 3), ANGLES, SENSES, st.floats(0, 40))
def test_a_voxel_lands_where_the_formula_says(position, omega, sense, theta):
    geometry = ProjectionGeometry(theta, 18.57, 149.5, 140.25, omega_sense=sense)
    expected = pixel_by_hand(
        *position, omega, theta_deg=theta, scale=18.57, centre=(149.5, 140.25), sense=sense
    )
    np.testing.assert_allclose(geometry.affine(omega) @ [*position, 1], expected, atol=1e-8)


def test_simple_places():
    at_0, at_90 = GEOMETRY.affine(0), GEOMETRY.affine(90)
    np.testing.assert_allclose(at_0 @ [0, 0, 0, 1], [149.5, 140.25])
    np.testing.assert_allclose(at_0 @ [0, 0, 1, 1], [149.5, 140.25 - 18.57])
    np.testing.assert_allclose(at_90 @ [1, 0, 0, 1], [149.5, 140.25 + 18.57])
    up = 18.57 * np.cos(np.radians(10.4))
    for matrix in (at_0, at_90, GEOMETRY.affine(33)):
        np.testing.assert_allclose(matrix @ [0, 1, 0, 1], [149.5 - up, 140.25])
    lean = 18.57 * np.sin(np.radians(10.4))
    np.testing.assert_allclose(at_0 @ [1, 0, 0, 1], [149.5 + lean, 140.25])


def test_moving_the_roi_moves_the_centres_by_as_much():
    moved = ProjectionGeometry(10.4, 18.57, 149.5 - 12, 140.25 + 7)
    for omega in (0.0, 40.0, 123.4):
        shift = moved.affine(omega) - GEOMETRY.affine(omega)
        np.testing.assert_allclose(shift, [[0, 0, 0, -12], [0, 0, 0, 7]])


def test_detector_deviations_stretch_one_axis_each():
    stretched = ProjectionGeometry(10.4, 18.57, 0, 0, stretch_rows=1.25, stretch_cols=1.5)
    plain = ProjectionGeometry(10.4, 18.57, 0, 0)
    np.testing.assert_allclose(
        stretched.affine(25), plain.affine(25) * np.array([[1.25], [1.5]]), atol=1e-12
    )


def test_omega_sense_turns_the_other_way():
    reverse = ProjectionGeometry(10.4, 18.57, 149.5, 140.25, omega_sense=-1)
    np.testing.assert_allclose(reverse.affine(-31), GEOMETRY.affine(31))
    assert not np.allclose(reverse.affine(31), GEOMETRY.affine(31))


@given(TILTS, TILTS, ANGLES, SENSES)
def test_turning_a_tilt_follows_the_law(a, b, omega, h):
    c, s = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    mu, gamma = turn_to_laboratory(a, b, omega, h)
    assert mu == pytest.approx(a * c - h * b * s, abs=1e-10)
    assert gamma == pytest.approx(h * a * s + b * c, abs=1e-10)


@given(TILTS, TILTS, ANGLES, SENSES)
def test_turning_back_undoes_turning(a, b, omega, h):
    back = turn_to_laboratory(*turn_to_laboratory(a, b, omega, h), -omega, h)
    np.testing.assert_allclose(back, (a, b), atol=1e-12)


def test_turning_broadcasts():
    mu, gamma = turn_to_laboratory(np.zeros((3, 1)), np.ones((3, 1)), np.arange(4.0), 1)
    assert mu.shape == gamma.shape == (3, 4)


@given(
    st.lists(TILTS, min_size=3, max_size=3),
    ANGLES,
    SENSES,
    st.floats(-5, 5),
    st.floats(-5, 5),
)
def test_frame_settings_follow_the_formula(tilts, omega, h, phi0, chi0):
    base, chi_motor, phi_motor = tilts
    origin = TiltOrigin(0.3, chi0, phi0)
    chi = (chi_motor - chi0) * np.cos(np.radians(phi0))
    phi = phi_motor - phi0
    c, s = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    mu, gamma = frame_settings(omega, base, chi_motor, phi_motor, origin, h)
    assert mu == pytest.approx(base - 0.3 + h * (chi * c - phi * s), abs=1e-9)
    assert gamma == pytest.approx(chi * s + phi * c, abs=1e-9)


@given(TILTS, TILTS, ANGLES, SENSES, st.floats(-5, 5), st.floats(-5, 5))
def test_the_id06_macro_rocks_by_the_base_tilt_and_rolls_by_gamma(mu, gamma, omega, h, phi0, chi0):
    c, s = np.cos(np.radians(omega)), np.sin(np.radians(omega))
    phi = phi0 + gamma * c
    chi = chi0 + gamma * s / np.cos(np.radians(phi0))
    origin = TiltOrigin(10.4, chi0, phi0)
    found = frame_settings(omega, 10.4 + mu, chi, phi, origin, h)
    np.testing.assert_allclose(found, (mu, gamma), atol=1e-9)


@given(TILTS, TILTS, ANGLES, SENSES)
def test_tilts_above_rotation_light_up_at_one_setting_for_all_omega(a, b, omega, h):
    # The tilt stage turns with the sample, so (χ, φ) = (h a, b) meets the voxel at every ω.
    frame = frame_settings(omega, 0.0, h * a, b, TiltOrigin(), h)
    np.testing.assert_allclose(frame, turn_to_laboratory(a, b, omega, h), atol=1e-10)


def test_an_azimuth_of_90_degrees_swaps_chi_and_phi():
    origin = TiltOrigin(0.0, 1.0, 2.0, 90.0)
    chi, phi = sample_tilts([1.5], [2.25], origin)
    np.testing.assert_allclose(chi, [-0.25], atol=1e-15)
    np.testing.assert_allclose(phi, [0.5 * np.cos(np.radians(2.0))])
