"""Orientation bins, their runs, and the weights with which frames show them."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.projection.weights import (
    Acceptance,
    BinRuns,
    FrameSettings,
    OrientationBins,
    Turning,
    centred_axis,
    cut_tails,
    frame_weights,
    nearest_frames,
    scaled_settings,
)


def settings_of(mu, gamma, two_theta=0.0):
    """(μ, γ, 2θ) of the frames of one projection, (3, frames)."""
    mu, gamma, two_theta = np.broadcast_arrays(mu, gamma, two_theta)
    return FrameSettings(mu[None] * 1.0, gamma[None] * 1.0, two_theta[None] * 1.0).of(0)


def weights_of(frames, orientation, turning, acceptance, omega_deg=0.0):
    """Weights of one orientation (a, b, Δθ) in frames."""
    turned = turning.settings_of(np.array([orientation]).T * 1.0, omega_deg)
    return frame_weights(*scaled_settings(frames, turned, acceptance))


@given(
    a=st.floats(-0.1, 0.1),
    b=st.floats(-0.1, 0.1),
    omega_deg=st.floats(-180, 360),
    handedness=st.sampled_from([1, -1]),
)
def test_a_voxel_lights_the_frame_it_turns_to(a, b, omega_deg, handedness):
    omega = np.radians(omega_deg)
    mu = 0.01 + a * np.cos(omega) - handedness * b * np.sin(omega)
    gamma = -0.02 + handedness * a * np.sin(omega) + b * np.cos(omega)
    frames = settings_of([mu, mu + 0.016], [gamma, gamma + 0.03])
    turning, acceptance = Turning(handedness, 0.01, -0.02), Acceptance(0.016, 0.03)
    weights = weights_of(frames, (a, b, 0), turning, acceptance, omega_deg)
    assert weights[:, 0] == pytest.approx([1, np.exp(-1)], rel=1e-5)


def test_strain_shifts_rocking_and_two_theta():
    frames = settings_of([0.004, 0.0], 0.0, [0.008, 0.0])
    acceptance = Acceptance(0.004, np.inf, 0.008)
    weights = weights_of(frames, (0, 0, 0.004), Turning(1), acceptance)
    assert weights[:, 0] == pytest.approx([1, np.exp(-1)], rel=1e-5)


def test_base_tilt_sense_turns_the_shift_round():
    frames = settings_of([-0.004], 0.0)
    turning = Turning(1, base_tilt_sense=-1)
    weights = weights_of(frames, (0, 0, 0.004), turning, Acceptance(0.001, np.inf))
    assert weights[0, 0] == pytest.approx(1)


def test_a_missing_frame_weighs_nothing_even_wide_open():
    frames = settings_of([0.0, np.nan], [0.0, np.nan])
    weights = weights_of(frames, (0, 0, 0), Turning(1), Acceptance(0.01, np.inf))
    assert weights[:, 0].tolist() == [1, 0]
    wide = weights_of(frames, (0, 0, 0), Turning(1), Acceptance(np.inf, np.inf))
    assert wide[:, 0].tolist() == [1, 0]


def test_far_off_frames_weigh_exactly_nothing():
    frames = settings_of([0.05], 0.0)
    weights = weights_of(frames, (0, 0, 0), Turning(1), Acceptance(0.01, np.inf))
    assert weights[0, 0] == 0


def test_nearest_frames_and_those_out_of_reach():
    mu, gamma = (x.ravel() for x in np.meshgrid([-0.03, 0, 0.03], [-0.03, 0, 0.03], indexing="ij"))
    bins = OrientationBins(np.array([0.0, 0.028, 0.09]), np.array([-0.02]), np.zeros(1))
    turned = Turning(1).settings_of(bins.centres_deg(), 0.0)
    nearest = nearest_frames(settings_of(mu, gamma), turned, (0.02, 0.02, np.inf))
    assert nearest.tolist() == [3, 6, -1]


def test_bins_are_numbered_in_c_order():
    bins = OrientationBins(np.array([1.0, 2]), np.array([3.0, 4, 5]), np.array([6.0]))
    a, b, dtheta = bins.centres_deg()
    assert (bins.shape, bins.size) == ((2, 3, 1), 6)
    assert (a[4], b[4], dtheta[4]) == (2, 4, 6)


@given(half_range=st.floats(0, 1), step=st.floats(0.01, 0.5))
def test_centred_axis_covers_its_range_about_zero(half_range, step):
    axis = centred_axis(half_range, step)
    assert axis == pytest.approx(-axis[::-1])
    assert 0 in axis
    assert axis[-1] >= half_range - step / 2 - 1e-12
    assert axis[-1] < half_range + step / 2 + 1e-9


VOXELS, BINS, FRAMES = 90, 37, 6


@pytest.fixture
def planted():
    """An operator, a volume of which every voxel has a run of bins, and where the runs are."""
    rng = np.random.default_rng(5)
    affine = np.hstack([rng.normal(0, 1, (2, 3)), [[9.0], [11.0]]])
    pixels = IlluminatedPixels.from_mask(rng.random((18, 22)) > 0.1)
    weights = rng.random((FRAMES, BINS)).astype(np.float32)
    operator = FrameOperator(
        Projector(rng.uniform(-6, 6, (VOXELS, 3)), (1.0,) * 3), affine, pixels, weights
    )
    ends = np.sort(rng.integers(0, BINS + 1, (VOXELS, 2)), axis=1)
    inside = (np.arange(BINS) >= ends[:, :1]) & (np.arange(BINS) < ends[:, 1:])
    volume = np.where(inside, rng.uniform(1, 2, inside.shape), 0).astype(np.float32)
    return operator, volume, inside


def packed(volume):
    runs = BinRuns.of(volume)
    runs.take(volume)
    return runs


def test_runs_hold_what_is_not_zero(planted):
    _, volume, inside = planted
    runs = packed(volume)
    assert runs.share == pytest.approx(inside.mean())
    np.testing.assert_array_equal(runs.values, volume[inside])
    again = np.ones_like(volume)
    runs.add_to(again)
    np.testing.assert_array_equal(again, volume + 1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("most_bytes", [1 << 28, 4 * 400 * 10])
def test_projections_of_runs_are_those_of_volumes(planted, monkeypatch, most_bytes, threads):
    monkeypatch.setattr("recon3d.projection.operator.MOST_BYTES", most_bytes)
    operator, volume, inside = planted
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        runs = packed(volume)
        frames = operator.forward(runs)
        np.testing.assert_allclose(frames, operator.forward(volume), rtol=1e-5)
        steps, whole = runs.empty(), np.zeros_like(volume)
        operator.adjoint(frames, steps)
        operator.adjoint(frames, whole)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_allclose(steps.values, whole[inside], rtol=1e-5)
    # < A f, A f > = < f, A' A f >, which nothing outside of the runs has a part in.
    assert (frames.astype(float) ** 2).sum() == pytest.approx(
        (steps.values.astype(float) * runs.values).sum(), rel=1e-5
    )


def test_tails_are_cut_on_both_sides_only():
    volume = np.array([[1, 0.5, 8, 0.2, 8, 2, 1], [0, 0, 3, 0, 0, 0, 0.2]], np.float32)
    cut_tails(volume, np.float32(0.125))
    np.testing.assert_array_equal(
        volume, np.array([[0, 0, 8, 0.2, 8, 2, 0], [0, 0, 3, 0, 0, 0, 0]], np.float32)
    )
    dark = np.zeros((2, 3), np.float32)
    cut_tails(dark, np.float32(0.125))
    assert packed(dark).values.size == 0
