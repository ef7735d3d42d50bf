"""The first estimates, against planted ones and against a real voxel."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.errors import DataError
from recon3d.geometry import turn_to_laboratory
from recon3d.projection.weights import FrameSettings
from recon3d.reconstruction.model.scanned import (
    effective_bins,
    fit_turning,
)

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
