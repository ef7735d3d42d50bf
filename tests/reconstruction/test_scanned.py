"""What was scanned, and the first estimates, against planted ones and a real voxel."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.errors import DataError
from recon3d.geometry import TiltOrigin, turn_to_laboratory
from recon3d.projection.weights import FrameSettings, OrientationBins
from recon3d.readers.source import MotorTable
from recon3d.reconstruction.model import scanned
from recon3d.reconstruction.model.scanned import (
    effective_bins,
    fit_turning,
)


def axis(count):
    return 0.01 * (np.arange(count) - count // 2)


def test_bins_whose_frames_are_dark_in_a_fifth_of_the_projections_are_cut_off(monkeypatch):
    share = np.zeros((15, 11, 1))
    share[6:9, 5] = 0.81
    share[3, 5] = share[7, 8] = 0.79
    bins = OrientationBins(axis(15), axis(11), np.zeros(1))
    monkeypatch.setattr(scanned, "_all_bins", lambda *_: bins)
    monkeypatch.setattr(scanned, "_illuminated_share", lambda *_: share)
    found = scanned.orientation_bins(None, 0.01)
    # Two bins more at either end of what is seen.
    assert np.array_equal(found.a_deg, bins.a_deg[4:11])
    assert np.array_equal(found.b_deg, bins.b_deg[3:8])


def test_a_frame_is_lit_from_a_hundredth_of_the_brightest_on(monkeypatch):
    # Ten projections of four frames; three bins, each nearest to one frame where it was measured.
    counts = np.tile([100.0, 1.1, 0.9, 50.0], (10, 1))
    frames = np.tile([1, 2, 3], (10, 1))
    frames[:3, 1] = 0  # bin 1 is lit in three of ten
    frames[1:, 2] = -1  # bin 2 was measured once, in less than a fifth of the projections
    model = SimpleNamespace(store=SimpleNamespace(integrated=counts), projections=np.arange(10))
    monkeypatch.setattr(scanned, "frames_of_bins", lambda *_: frames)
    bins = OrientationBins(axis(3), np.zeros(1), np.zeros(1))
    share = scanned._illuminated_share(model, bins)
    assert share.shape == (3, 1, 1)
    assert share.ravel().tolist() == [1, 0.3, 0]
    frames[:2, 2] = 3  # twice, in just a fifth
    assert scanned._illuminated_share(model, bins).ravel().tolist() == [1, 0.3, 1]


def test_steps_are_those_of_what_was_scanned():
    axes = [
        SimpleNamespace(name="mu", values_deg=np.array([0.1, 0.14])),
        SimpleNamespace(name="gamma", values_deg=np.zeros(1)),
    ]
    store = SimpleNamespace(kind="rocking", axes=axes)
    np.testing.assert_allclose(scanned.setting_steps_deg(store), (0.04, np.inf))
    store.kind = "tilts"
    np.testing.assert_allclose(scanned.setting_steps_deg(store), (0.04, 0.04))


def test_strain_is_counted_from_the_middle_of_the_axis_not_of_the_outermost_readings():
    """Two of 27 readings of 2θ are 0.2 and 0.1 mdeg off: 5e-6 of strain at 10°."""
    planned = np.array([20.0, 20.01, 20.02])
    read = np.tile(planned, (3, 3))
    read[0, 0] -= 2e-4
    read[2, 8] += 1e-4
    still = np.zeros((3, 9))
    motors = MotorTable(still, still, still, still, read, still, still)
    axes = [SimpleNamespace(name="two_theta", values_deg=planned)]
    origin = TiltOrigin(0.0, 0.0, 0.0, 0.0)
    store = SimpleNamespace(motors=motors, axes=axes, origin=origin)
    settings = scanned.settings_of_frames(store, None, 1, 10.0)
    np.testing.assert_allclose(np.median(settings.two_theta_deg[:, 1::3]), 0, atol=1e-9)


OMEGA = np.arange(0, 180, 5.0)


def grid_settings(steps, projections):
    mu, gamma = (x.ravel() for x in np.meshgrid(steps, steps, indexing="ij"))
    return FrameSettings(*(np.tile(x, (projections, 1)) for x in (mu, gamma, np.zeros_like(mu))))


@given(
    a=st.floats(-0.03, 0.03),
    b=st.floats(-0.03, 0.03),
    centre=st.tuples(st.floats(-0.03, 0.03), st.floats(-0.03, 0.03)),
    handedness=st.sampled_from([1, -1]),
)
def test_fit_turning_finds_the_planted_law(a, b, centre, handedness):
    settings = grid_settings(np.linspace(-0.2, 0.2, 21), len(OMEGA))
    mu, gamma = turn_to_laboratory(a, b, OMEGA, handedness)
    offsets = (
        settings.mu_deg - mu[:, None] - centre[0],
        settings.gamma_deg - gamma[:, None] - centre[1],
    )
    intensity = np.exp(-0.5 * ((offsets[0] / 0.03) ** 2 + (offsets[1] / 0.03) ** 2))
    fit = fit_turning(settings, intensity, OMEGA, handedness)
    assert (fit.centre_mu_deg, fit.centre_gamma_deg) == pytest.approx(centre, abs=1e-3)
    assert (fit.a_deg, fit.b_deg) == pytest.approx((a, b), abs=1e-3)
    assert fit.residual_deg < 1e-3


def test_fit_turning_tells_a_drift_of_the_centre_from_a_tilt_that_turns():
    omega, course = np.linspace(0, 180, 36, endpoint=False), np.linspace(-0.5, 0.5, 36)
    settings = grid_settings(np.linspace(-0.2, 0.2, 21), 36)
    mu, gamma = turn_to_laboratory(0.012, -0.008, omega, 1)
    off_mu = settings.mu_deg - (mu + 0.004 + 0.03 * course)[:, None]
    off_gamma = settings.gamma_deg - (gamma - 0.002 - 0.01 * course)[:, None]
    intensity = np.exp(-0.5 * ((off_mu / 0.03) ** 2 + (off_gamma / 0.03) ** 2))
    fit = fit_turning(settings, intensity, omega, 1, course=course)
    assert (fit.drift_mu_deg, fit.drift_gamma_deg) == pytest.approx((0.03, -0.01), abs=1e-3)
    assert (fit.a_deg, fit.b_deg) == pytest.approx((0.012, -0.008), abs=1e-3)
    assert (fit.centre_mu_deg, fit.centre_gamma_deg) == pytest.approx((0.004, -0.002), abs=1e-3)


def test_fit_turning_without_gamma_uses_mu_alone():
    mu = np.tile(np.linspace(-0.2, 0.2, 41), (len(OMEGA), 1))
    settings = FrameSettings(mu, np.full_like(mu, 0.004), np.zeros_like(mu))
    turned, _ = turn_to_laboratory(0.03, -0.02, OMEGA, 1)
    intensity = np.exp(-0.5 * ((mu - turned[:, None] - 0.01) / 0.02) ** 2)
    fit = fit_turning(settings, intensity, OMEGA, 1, gamma_scanned=False)
    assert (fit.a_deg, fit.b_deg) == pytest.approx((0.03, -0.02), abs=1e-3)
    assert (fit.centre_mu_deg, fit.centre_gamma_deg) == pytest.approx((0.01, 0.004), abs=1e-3)


def test_fit_turning_refuses_a_dark_scan():
    settings = grid_settings(np.linspace(-0.1, 0.1, 3), len(OMEGA))
    with pytest.raises(DataError, match="no signal"):
        fit_turning(settings, np.zeros((len(OMEGA), 9)), OMEGA, 1)


def test_effective_bins():
    assert effective_bins(np.array([[0, 4, 0, 0]], np.float32)) == 1
    assert effective_bins(np.ones((2, 4), np.float32)) == 4
    assert effective_bins(np.zeros((2, 4), np.float32)) == np.inf


def test_a_real_voxel_turns_with_negative_handedness(real_data):
    counts = np.load(real_data("al_2017_voxel.npy")).astype(float)
    counts[counts > 60000] = 0
    step, omega = 0.032, 0.8 * np.arange(counts.shape[2])
    mu = (np.arange(7) - 3) * step
    # The 93 γ values are 7 settings split by jitter, in order.
    gamma = np.repeat((np.arange(7) - 3) * step, np.diff(np.linspace(0, 93, 8).astype(int)))
    settings = [x.ravel() for x in np.meshgrid(mu, gamma, indexing="ij")]
    frames = FrameSettings(*(np.tile(x, (len(omega), 1)) for x in (*settings, 0 * settings[0])))
    intensity = counts.reshape(-1, len(omega)).T
    fits = {h: fit_turning(frames, intensity, omega, h) for h in (1, -1)}
    assert fits[-1].residual_deg < 0.8 * fits[1].residual_deg
    assert fits[-1].centre_mu_deg == pytest.approx(0.045, abs=0.01)


def test_effective_bins_are_the_square_of_the_sum_over_the_sum_of_squares():
    volume = np.array([[3, 4, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    assert effective_bins(volume) == pytest.approx((49 / 25 + 1) / 2)
    assert effective_bins(np.full((2, 4), 7, np.float32)) == 4
    assert effective_bins(np.zeros((2, 4), np.float32)) == np.inf
