"""Planted faults do what they say, and are written down with the truth."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.faults import FAULTS, Fault, spoil, with_faults
from recon3d.simulate.forward_model import ideal_frames, point_cloud
from recon3d.simulate.truth import Truth

CLEAN = SimulatedDetector(hot_pixels=0, zingers=0, readout_noise_counts=0, poisson=False)


@pytest.fixture
def truth(small_phantom, small_plan):
    return Truth(small_phantom, small_plan, CLEAN)


def planted(truth, *texts):
    return with_faults(truth, [Fault.parse(text) for text in texts])


def mean_setting(truth, projection, axis, part=slice(None)):
    """Mean μ (axis 0) or γ (1) of the light in some columns, in degrees."""
    frames = ideal_frames(point_cloud(truth.phantom, truth.plan), truth.plan, projection)
    light = frames[:, :, part].sum(axis=(1, 2), dtype=float)
    plan = truth.plan
    gamma, mu = np.meshgrid(plan.gamma.values_deg, plan.mu.values_deg, indexing="ij")
    return float((light * (mu, gamma)[axis].ravel()).sum() / light.sum())


@pytest.mark.parametrize("text", ["nonsense", "mu_drift:much", "edge:1.5", "weak:-3"])
def test_faults_that_make_no_sense_are_refused(text):
    with pytest.raises(ParameterError, match="fault"):
        Fault.parse(text)


def test_a_fault_without_strength_has_its_usual_one():
    assert Fault.parse("mu_drift") == Fault("mu_drift", FAULTS["mu_drift"].usual)
    assert str(Fault.parse("acceptance:0.05")) == "acceptance:0.05"


def test_faults_are_kept_with_the_truth(truth, tmp_path):
    several = planted(truth, "mu_drift:2", "edge:0.5", "two_orientations:0.35")
    several.save(tmp_path / "truth.h5", points=8)
    again = Truth.load(tmp_path / "truth.h5")
    assert again.faults == ("mu_drift:2", "edge:0.5", "two_orientations:0.35")
    assert again.plan == several.plan
    assert again.phantom == several.phantom


def test_the_centre_drifts_by_steps_over_the_scan(truth):
    drifted = planted(truth, "mu_drift:0.5")
    step = truth.plan.mu.values_deg[1] - truth.plan.mu.values_deg[0]
    last = truth.plan.projections - 1
    for projection, sign in ((0, -1), (last, 1)):
        moved = mean_setting(drifted, projection, 0) - mean_setting(truth, projection, 0)
        assert moved == pytest.approx(sign * 0.25 * step, rel=0.1)


def test_the_acceptance_moves_across_the_columns(truth):
    moved = planted(truth, "acceptance:0.02")
    middle = round(truth.plan.centre_pix[1])
    for part, sign in ((slice(middle + 3, middle + 9), 1), (slice(middle - 9, middle - 3), -1)):
        before, after = (mean_setting(scan, 0, 1, part) for scan in (truth, moved))
        # Light at 3 to 9 columns from the middle needs frames lower by 0.001° a column.
        assert -0.009 < sign * (after - before) < -0.003


def test_a_bent_grain_shows_a_tilt_in_proportion_to_depth_at_every_angle(truth):
    bent = planted(truth, "bent:0.05")
    cloud = point_cloud(bent.phantom, bent.plan)
    h = truth.handedness
    for omega in np.radians([0.0, 40.0, 130.0]):
        a, b, _ = cloud.tilt_deg.T
        x, _, z = (cloud.position_um - bent.phantom.position_um).T
        depth = x * np.cos(omega) + z * np.sin(omega)
        mu = a * np.cos(omega) - h * b * np.sin(omega)
        assert np.allclose(mu, 0.05 / bent.phantom.radius_um * depth, atol=1e-12)


def test_two_orientations_share_the_power_and_the_truth_is_their_mean(truth):
    twice = planted(truth, "two_orientations:0.35")
    once, cloud = point_cloud(truth.phantom, truth.plan), point_cloud(twice.phantom, twice.plan)
    assert cloud.density.sum() == pytest.approx(once.density.sum())
    place = truth.phantom.position_um
    apart = np.array(twice.phantom.second[1:])
    before, after = (p.sample(*place) for p in (truth.phantom, twice.phantom))
    assert np.hypot(*apart) == pytest.approx(0.067, abs=0.001)
    assert after.a_deg - before.a_deg == pytest.approx(0.35 * apart[0])
    assert after.b_deg - before.b_deg == pytest.approx(0.35 * apart[1])


def test_an_edge_darkens_one_side_of_its_projections(truth):
    edge = planted(truth, "edge:0.5")
    cloud, number = point_cloud(truth.phantom, truth.plan), truth.plan.projections
    light = ideal_frames(cloud, truth.plan, 0)
    assert np.array_equal(spoil(light, edge, 0, 1.0), light)
    light = ideal_frames(cloud, truth.plan, number // 2)
    cut = spoil(light, edge, number // 2, 1.0)
    column = round(truth.plan.centre_pix[1])
    assert np.allclose(cut[:, :, : column - 8], light[:, :, : column - 8], rtol=1e-3)
    assert 0.5 * light.sum() < cut.sum() < 0.95 * light.sum()


def test_another_grain_passes_in_its_share_of_the_projections(truth):
    passing = planted(truth, "second_grain:0.3")
    light = np.zeros((2, 20, 20), np.float32)
    light[0, 9:12, 9:12] = 1
    seen = [spoil(light, passing, k, 1.0).sum() > light.sum() for k in range(400)]
    assert 0.2 < np.mean(seen) < 0.4


def test_extinction_levels_off(truth):
    light = np.array([0.0, 0.001, 5.0], np.float32).reshape(3, 1, 1)
    found = spoil(light, planted(truth, "extinction:0.2"), 0, 1.0)
    assert found.ravel() == pytest.approx([0, 0.001, 0.2], rel=1e-3)


def test_spots_and_dead_columns(truth):
    detector = planted(truth, "zingers:4", "dead_columns:3", "weak:50").detector
    assert detector.peak_counts == 50
    static = np.full((60, 60), 100.0)
    frames = np.stack([detector.expose(np.zeros((60, 60)), static, k) for k in range(30)])
    dead = (frames == 0).all(axis=(0, 1))
    assert 1 <= dead.sum() <= 3
    struck = (frames > 150).sum(axis=(1, 2)).mean()
    assert struck == pytest.approx(16, rel=0.25)


def test_a_quarter_turn_keeps_the_number_of_projections(truth):
    plan = planted(truth, "quarter:90").plan
    assert plan.projections == truth.plan.projections
    assert np.ptp(plan.omega_deg) < 90
    assert replace(plan, omega_deg=truth.plan.omega_deg) == truth.plan


def test_few_projections_cover_the_same_range(truth):
    few = planted(truth, "few:3").plan.omega_deg
    first, last = truth.plan.omega_deg[0], truth.plan.omega_deg[-1]
    whole = (last - first) * truth.plan.projections / (truth.plan.projections - 1)
    assert few == pytest.approx([first, first + whole / 3, first + 2 * whole / 3])


def test_what_absorbs_dims_most_along_its_length(truth):
    absorbing = planted(truth, "absorption:0.3")
    frames = ideal_frames(point_cloud(truth.phantom, truth.plan), truth.plan, 0)
    # At ω = 0 the plate lies along the beam, and is as thick on either side.
    np.testing.assert_allclose(spoil(frames, absorbing, 0, 1.0), frames * np.exp(-0.3), rtol=1e-5)


def test_a_tilted_axis_turns_the_image_about_where_the_axis_falls(truth):
    tilted = planted(truth, "axis_tilt:10")
    geometry = truth.plan.geometry(0)
    row, col = round(geometry.centre_row_pix), round(geometry.centre_col_pix)
    frames = np.zeros((1, truth.plan.rows, truth.plan.cols), np.float32)
    frames[0, row - 2 : row + 3, col + 5 : col + 8] = 1
    turned = spoil(frames, tilted, 0, 1.0)[0]
    at = np.array(np.nonzero(turned > 0.5)).mean(axis=1) - (row, col)
    assert abs(np.degrees(np.arctan2(at[0], at[1]))) == pytest.approx(10, abs=4)
    assert np.hypot(*at) == pytest.approx(6, abs=0.5)
