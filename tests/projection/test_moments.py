import numpy as np
import pytest

from recon3d.analysis.projection_maps import projection_moments
from recon3d.errors import ParameterError

MU = np.array([-0.1, 0.0, 0.1, 0.3])
GAMMA = np.array([0.2, -0.2, 0.4, 0.0])


def plain_moments(frames, mu, gamma):
    total = frames.sum(axis=0, dtype=float)
    with np.errstate(invalid="ignore"):
        return (
            total,
            np.einsum("fij,f->ij", frames, mu) / total,
            np.einsum("fij,f->ij", frames, gamma) / total,
        )


@pytest.mark.parametrize("number", [4, 6])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_the_kernel_agrees_with_plain_numpy(dtype, number):
    frames = np.random.default_rng(1).integers(0, 60_000, (number, 7, 5)).astype(dtype)
    frames[:, 2, 3] = 0
    mu, gamma = np.append(MU, [0.2, -0.3])[:number], np.append(GAMMA, [0.1, 0.3])[:number]
    result = projection_moments(frames, mu, gamma)
    for mine, plain in zip(result, plain_moments(frames, mu, gamma), strict=True):
        # Single precision about the middle of the settings, of which 0.6° is the range.
        np.testing.assert_allclose(mine, plain, rtol=1e-7, atol=1e-7)
    assert np.isnan(result[1][2, 3])
    assert result[0][2, 3] == 0


def test_a_pixel_lit_once_has_that_setting():
    frames = np.zeros((4, 2, 2), np.uint16)
    frames[2, 0, 1] = 7
    total, mean_mu, mean_gamma = projection_moments(frames, MU, GAMMA)
    assert (total[0, 1], mean_mu[0, 1], mean_gamma[0, 1]) == pytest.approx((7, 0.1, 0.4))
    assert np.isnan(mean_gamma[1, 1])


def test_missing_frames_are_left_out():
    frames = np.ones((4, 2, 2), np.float32)
    mu = np.where(np.arange(4) == 3, np.nan, MU)
    total, mean_mu, _ = projection_moments(frames, mu, GAMMA)
    np.testing.assert_allclose(total, 3)
    np.testing.assert_allclose(mean_mu, 0, atol=1e-15)


def test_settings_of_the_wrong_length_are_refused():
    with pytest.raises(ParameterError, match=r"mu_deg has the shape \(3,\): expected \(4\)"):
        projection_moments(np.ones((4, 2, 2)), MU[:3], GAMMA)
