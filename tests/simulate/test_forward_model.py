"""The forward model against formulas written out here, one point or one sum at a time."""

from __future__ import annotations

from dataclasses import replace
from math import cos, exp, inf, radians, sin, tan

import numba
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from recon3d.errors import ParameterError
from recon3d.simulate.forward_model import PointCloud, ideal_frames, point_cloud
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import PLANS, strain_plan
from recon3d.simulate.scan_plan import ScanPlan, Steps, planned_steps

THETA = 10.3752  # asin(0.7293 / (2 * 4.0495 / 2)), degrees
POINT = (0.9, -1.3, 1.6)
TILT = (0.031, -0.022)
OMEGAS = (0.0, 33.0, 90.0, 141.0, 250.0)
KINDS = ("mosaicity", "rocking", "tilts")


def one_point(a=TILT[0], b=TILT[1], shift=0.0, position=POINT, spacing=0.01) -> PointCloud:
    return PointCloud(np.array([position]), np.array([[a, b, shift]]), np.array([0.8]), spacing)


def plan_of(kind: str, **changes) -> ScanPlan:
    name = {"mosaicity": "demo", "rocking": "rocking", "tilts": "tilts"}[kind]
    given = {"omega_deg": OMEGAS, "turning_center_deg": (0.012, -0.007)}
    return replace(PLANS[name](), **(given | changes))


def expected_weights(plan: ScanPlan, omega: float) -> list[float]:
    """Weight of the point in each frame, from the turning law."""
    h, (a, b), (mu_c, gamma_c) = plan.handedness, TILT, plan.turning_center_deg
    c, s = cos(radians(omega)), sin(radians(omega))
    mu_point = mu_c + a * c - h * b * s
    gamma_point = gamma_c + h * a * s + b * c
    weights = []
    for first, second, _ in zip(*planned_steps(plan), strict=True):
        mu, gamma = first, second
        if plan.kind == "tilts":
            mu, gamma = h * (first * c - second * s), first * s + second * c
        from_mu = (mu - mu_point) / plan.rocking_width_deg
        from_gamma = (gamma - gamma_point) / plan.rolling_width_deg
        weights.append(exp(-(from_mu**2) / 2 - from_gamma**2 / 2))
    return weights


@pytest.mark.parametrize("handedness", [1, -1])
@pytest.mark.parametrize("kind", KINDS)
def test_a_point_lights_the_frames_that_the_turning_law_says(kind, handedness):
    plan = plan_of(kind, handedness=handedness)
    cloud = one_point()
    for k, omega in enumerate(OMEGAS):
        light = ideal_frames(cloud, plan, k).sum(axis=(1, 2))
        expected = 0.8 * 0.01**3 * np.array(expected_weights(plan, omega))
        np.testing.assert_allclose(light, expected, rtol=2e-5, atol=1e-6 * expected.max())


@pytest.mark.parametrize("omega_sense", [1, -1])
def test_a_point_lands_where_the_map_says(omega_sense):
    plan = plan_of(
        "mosaicity", omega_sense=omega_sense, drift_pix=tuple((0.3 * k, -k) for k in range(5))
    )
    x, y, z = POINT
    i, j = np.indices((plan.rows, plan.cols))
    for k, omega in enumerate(OMEGAS):
        c, s = cos(radians(omega_sense * omega)), sin(radians(omega_sense * omega))
        row = -6 * (-sin(radians(THETA)) * (c * x + s * z) + cos(radians(THETA)) * y)
        col = -6 * (-s * x + c * z)
        image = ideal_frames(one_point(spacing=0.3), plan, k).sum(axis=0)
        image = image.astype(float) / image.sum()
        assert (i * image).sum() == pytest.approx(47.5 + row + 0.3 * k, abs=0.25)
        assert (j * image).sum() == pytest.approx(47.5 + 1.3 + col - k, abs=0.25)


def test_detector_tilts_stretch_the_rows_and_the_columns():
    plan = plan_of("mosaicity", axis_offset_pix=0.0)
    stretched = replace(plan, tilt_x_deg=60.0, tilt_z_deg=45.0)
    i, j = np.indices((plan.rows, plan.cols)) - 47.5

    def centre(plan: ScanPlan) -> np.ndarray:
        cloud = one_point(spacing=1.0, position=(0.0, 1.0, 1.2))
        image = ideal_frames(cloud, plan, 0).sum(axis=0).astype(float)
        return np.array([(i * image).sum(), (j * image).sum()]) / image.sum()

    np.testing.assert_allclose(centre(stretched) / centre(plan), [2.0, np.sqrt(2)], atol=0.01)


@pytest.mark.parametrize("handedness", [1, -1])
def test_tilts_above_the_rotation_find_a_point_at_h_a_and_b(handedness):
    plan = plan_of("tilts", handedness=handedness, turning_center_deg=(0.0, 0.0))
    cloud = one_point(a=0.064, b=-0.032)
    for k in range(len(OMEGAS)):
        light = ideal_frames(cloud, plan, k).sum(axis=(1, 2))
        chi, phi, _ = (steps[light.argmax()] for steps in planned_steps(plan))
        assert (chi, phi) == pytest.approx((handedness * 0.064, -0.032))


def test_handedness_is_a_mirror_of_b_and_gamma():
    right = plan_of("mosaicity", handedness=1, turning_center_deg=(0.012, 0.009))
    left = plan_of("mosaicity", handedness=-1, turning_center_deg=(0.012, -0.009))
    for k in range(len(OMEGAS)):
        one = ideal_frames(one_point(), right, k).reshape(7, 7, 96, 96)
        other = ideal_frames(one_point(b=-TILT[1]), left, k).reshape(7, 7, 96, 96)
        np.testing.assert_allclose(one, other[::-1], rtol=1e-4, atol=1e-6 * one.max())


@pytest.mark.parametrize("sense", [1, -1])
def test_strain_moves_the_point_in_two_theta_and_in_mu(sense):
    strain = 8e-4
    shift = np.degrees(-tan(radians(THETA)) * strain)
    plan = replace(
        strain_plan(), omega_deg=(0.0,), base_tilt_sense=sense, turning_center_deg=(0.0, 0.0)
    )
    light = ideal_frames(one_point(a=0.0, b=0.0, shift=shift), plan, 0).sum(axis=(1, 2))
    mu, _, two_theta = planned_steps(plan)
    from_mu = (mu - sense * shift) / plan.rocking_width_deg
    from_two_theta = (two_theta - 2 * shift) / plan.two_theta_width_deg
    expected = np.exp(-(from_mu**2) / 2 - from_two_theta**2 / 2)
    np.testing.assert_allclose(light / light.max(), expected / expected.max(), atol=1e-5)


def test_a_positive_strain_lowers_the_bragg_angle():
    phantom = make_phantom("strained", size_um=6.0, seed=2)
    plan = strain_plan()
    cloud = point_cloud(phantom, plan, spacing_um=0.4)
    strain = phantom.sample(*cloud.position_um.T).strain
    expected = np.degrees(-tan(radians(THETA)) * strain)
    np.testing.assert_allclose(cloud.tilt_deg[:, 2], expected, rtol=1e-4)


def test_the_mean_setting_follows_the_turning_law():
    phantom = make_phantom("single", size_um=6.0, spread_deg=0.06, seed=8)
    a, b = (float(field.at(0.0, 0.0, 0.0)) for field in (phantom.a_deg, phantom.b_deg))
    for handedness in (1, -1):
        plan = plan_of("mosaicity", mu=Steps(0.16, 21), gamma=Steps(0.2, 21), handedness=handedness)
        mu, gamma, _ = planned_steps(plan)
        cloud = point_cloud(phantom, plan, spacing_um=0.3)
        for k, omega in enumerate(np.radians(OMEGAS)):
            light = ideal_frames(cloud, plan, k).sum(axis=(1, 2))
            mean_mu = 0.012 + a * np.cos(omega) - handedness * b * np.sin(omega)
            mean_gamma = -0.007 + handedness * a * np.sin(omega) + b * np.cos(omega)
            assert np.average(mu, weights=light) == pytest.approx(mean_mu, abs=1e-4)
            assert np.average(gamma, weights=light) == pytest.approx(mean_gamma, abs=1e-4)


def test_no_light_is_lost_and_its_centre_is_the_grain_s(small_plan, small_phantom):
    plan = replace(small_plan, rocking_width_deg=inf, rolling_width_deg=inf)
    cloud = point_cloud(small_phantom, plan)
    volume = cloud.density.sum() * cloud.spacing_um**3
    centre = np.append(np.average(cloud.position_um, weights=cloud.density, axis=0), 1.0)
    i, j = np.indices((plan.rows, plan.cols))
    for k, omega in enumerate(plan.omega_deg):
        frames = ideal_frames(cloud, plan, k).astype(float)
        np.testing.assert_allclose(frames.sum(axis=(1, 2)), volume, rtol=1e-4)
        row, col = plan.geometry(k).affine(omega) @ centre
        assert (i * frames[0]).sum() / volume == pytest.approx(row, abs=0.02)
        assert (j * frames[0]).sum() / volume == pytest.approx(col, abs=0.02)


def test_light_beside_the_detector_is_lost_and_not_moved_to_its_border():
    edge = (0.0, (47.5 + 0.5) / 6 / cos(radians(THETA)), 0.0)
    plan = plan_of("mosaicity", rocking_width_deg=inf, rolling_width_deg=inf)
    on_the_edge = ideal_frames(one_point(position=edge), plan, 0)
    assert on_the_edge[0].sum() == pytest.approx(0.8 * 0.01**3 / 2, rel=1e-3)
    assert ideal_frames(one_point(position=(0.0, 9.0, 0.0)), plan, 0).sum() == 0
    assert ideal_frames(one_point(position=(0.0, 0.0, -500.0)), plan, 0).sum() == 0


def test_the_kernel_equals_a_plain_rendering(small_plan, small_phantom):
    cloud = point_cloud(small_phantom, small_plan, spacing_um=0.45)
    plan, k = small_plan, 1
    c, s = cos(radians(40.0)), sin(radians(40.0))
    mu, gamma, _ = planned_steps(plan)
    half = 0.45 * 4.0 / 2
    expected = np.zeros((plan.frames, plan.rows, plan.cols))
    for position, (a, b, _), density in zip(
        cloud.position_um, cloud.tilt_deg, cloud.density, strict=True
    ):
        row, col = plan.geometry(k).affine(40.0) @ (*position, 1.0)
        high = covered(row, half, plan.rows)
        wide = covered(col, half, plan.cols)
        from_mu = mu - plan.turning_center_deg[0] - a * c + b * s
        from_gamma = gamma - plan.turning_center_deg[1] - a * s - b * c
        weight = np.exp(-((from_mu / 0.016) ** 2) / 2 - (from_gamma / 0.03) ** 2 / 2)
        expected += density * 0.45**3 * weight[:, None, None] * high[:, None] * wide
    frames = ideal_frames(cloud, plan, k)
    np.testing.assert_allclose(frames, expected, atol=1e-5 * expected.max())


def covered(centre: float, half: float, count: int) -> np.ndarray:
    """Share of a stretch that falls into each pixel."""
    edges = np.clip(np.arange(count + 1) - 0.5, centre - half, centre + half)
    return np.diff(edges) / (2 * half)


def test_the_cloud_has_the_volume_of_the_grain_and_is_on_no_grid(small_plan, small_phantom):
    cloud = point_cloud(small_phantom, small_plan)
    exact = ConvexHull(small_phantom.shape.vertices_um).volume
    assert cloud.density.sum() * cloud.spacing_um**3 == pytest.approx(exact, rel=0.002)
    for axis in range(3):
        assert len(np.unique(cloud.position_um[:, axis].round(6))) > 0.9 * cloud.density.size


def test_a_finer_cloud_gives_the_same_frames(small_plan, small_phantom):
    usual = ideal_frames(point_cloud(small_phantom, small_plan), small_plan, 2)
    finer = ideal_frames(point_cloud(small_phantom, small_plan, 0.06), small_plan, 2)
    assert np.abs(usual - finer).max() < 0.05 * finer.max()
    assert np.sqrt(np.mean((usual - finer) ** 2)) < 0.003 * finer.max()


def test_frames_do_not_depend_on_the_number_of_threads(small_plan, small_phantom):
    cloud = point_cloud(small_phantom, small_plan)
    threads = numba.get_num_threads()
    usual = ideal_frames(cloud, small_plan, 0)
    numba.set_num_threads(1)
    alone = ideal_frames(cloud, small_plan, 0)
    numba.set_num_threads(threads)
    np.testing.assert_array_equal(alone, usual)


def test_a_lattice_that_misses_the_grain_is_refused(small_plan, small_phantom):
    with pytest.raises(ParameterError, match="spacing smaller"):
        point_cloud(small_phantom, small_plan, spacing_um=40.0)
