"""Maps of one projection, against planted ones and against all frames."""

import os
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from store_files import make_frames, write

import recon3d as r3
from recon3d.analysis.projection_maps import mosaicity, projection_moments
from recon3d.errors import ParameterError
from recon3d.scan.table import Projection, SettingAxis

UNPACKED = Path(os.environ.get("RECON3D_DARLING", "."), "darling")
ID03 = UNPACKED / "assets" / "example_data" / "mosa_scan_id03" / "mosa_scan.h5"

MU, GAMMA = np.arange(9) * 0.02 - 1.4, np.arange(7) * 0.03


def projection(frames, mu=MU, gamma=GAMMA, jitter=0.0):
    axes = (SettingAxis("mu", mu), SettingAxis("gamma", gamma))
    grid = np.meshgrid(mu, gamma, indexing="ij")
    rng = np.random.default_rng(2)
    settings = [values.ravel() + jitter * rng.normal(size=values.size) for values in grid]
    return Projection(frames, 12.0, *settings, axes)


@pytest.mark.parametrize("jitter", [0.0, 0.002], ids=["even settings", "scattered settings"])
def test_maps_are_those_of_plain_sums(jitter):
    rng = np.random.default_rng(1)
    frames = rng.poisson(3, (63, 4, 5)).astype(np.uint16)
    frames[:, 1, 2] = 0
    known = projection(frames, jitter=jitter)
    found = mosaicity(known)
    for i, readings in enumerate((known.mu_deg, known.gamma_deg)):
        x = readings[:, None, None]
        with np.errstate(invalid="ignore"):
            mean = (frames * x).sum(0) / frames.sum(0)
            moments = [(frames * (x - mean) ** power).sum(0) / frames.sum(0) for power in (2, 3, 4)]
        np.testing.assert_allclose(found.mean[..., i], mean, atol=1e-12)
        np.testing.assert_allclose(found.fwhm[..., i], 2.3548200 * np.sqrt(moments[0]), rtol=1e-6)
        np.testing.assert_allclose(
            found.skewness[..., i], moments[1] / moments[0] ** 1.5, atol=1e-9
        )
        np.testing.assert_allclose(
            found.kurtosis[..., i], moments[2] / moments[0] ** 2 - 3, atol=1e-9
        )
        curve = frames.reshape(9, 7, 4, 5).sum(1 - i).max(0).astype(float)
        curve[1, 2] = np.nan
        np.testing.assert_array_equal(found.amplitude[..., i], curve)
    readings = (known.mu_deg, known.gamma_deg)
    dev = [x[:, None, None] - found.mean[..., i] for i, x in enumerate(readings)]
    with np.errstate(invalid="ignore"):
        across = (frames * dev[0] * dev[1]).sum(0) / frames.sum(0)
    np.testing.assert_allclose(found.covariance[..., 0, 1], across, atol=1e-12)
    np.testing.assert_array_equal(found.total, frames.sum(0))
    assert found.peaks.number[1, 2] == 0


def test_a_missing_frame_and_a_background_count_for_nothing():
    rng = np.random.default_rng(1)
    frames = rng.uniform(0, 90, (63, 3, 3)).astype(np.float32)
    known = projection(frames)
    known.mu_deg[5] = known.gamma_deg[5] = np.nan
    found = mosaicity(known, background=30)
    lower = np.maximum(frames - np.float32(30), 0).astype(float)
    lower[5] = 0
    np.testing.assert_allclose(found.total, lower.sum(0), rtol=1e-6)


def test_two_peaks_of_a_pixel_are_found_where_they_were_planted():
    mu, gamma = np.arange(15) * 0.02, np.arange(13) * 0.03
    one = np.outer(norm.pdf(mu, 0.06, 0.018), norm.pdf(gamma, 0.09, 0.025))
    two = np.outer(norm.pdf(mu, 0.20, 0.018), norm.pdf(gamma, 0.27, 0.025))
    frames = np.zeros((mu.size * gamma.size, 1, 3))
    frames[:, 0, 0] = (one + 0.5 * two).ravel()
    frames[:, 0, 1] = one.ravel()
    peaks = mosaicity(projection(frames, mu, gamma)).peaks
    assert peaks.number.tolist() == [[2, 1, 0]]
    np.testing.assert_allclose(peaks.setting[0, 0, :2], [[0.06, 0.09], [0.20, 0.27]], atol=0.004)
    assert peaks.share[0, 0, 0] == pytest.approx(2 * peaks.share[0, 0, 1], rel=0.05)
    assert np.isnan(peaks.setting[0, 0, 2:]).all()


def test_the_strongest_four_peaks_are_kept_of_equals_the_first_ones():
    mu, gamma = np.arange(17) * 0.02, np.arange(2) * 0.03
    frames = np.zeros((17, 2, 1, 1))
    frames[::4, 0, 0, 0] = 5, 8, 5, 8, 5
    peaks = mosaicity(projection(frames.reshape(34, 1, 1), mu, gamma)).peaks
    assert peaks.number[0, 0] == 4
    assert peaks.setting[0, 0, :, 0] == pytest.approx([0.08, 0.24, 0.0, 0.16])
    assert peaks.share[0, 0] == pytest.approx([8 / 31, 8 / 31, 5 / 31, 5 / 31])


def test_the_other_maps_are_the_same_without_peaks():
    frames = np.random.default_rng(4).poisson(2, (63, 3, 40)).astype(np.uint16)
    whole, without = (mosaicity(projection(frames), peaks=wanted) for wanted in (True, False))
    assert without.peaks.setting.shape == (3, 40, 0, 2)
    others = whole.maps()
    del others["peaks"]
    assert list(without.maps()) == list(others)
    for name, values in without.maps().items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)
    np.testing.assert_array_equal(without.covariance, whole.covariance)


def test_a_rocking_scan_has_one_axis_and_no_colours():
    frames = np.arange(5.0)[:, None, None] * np.ones((1, 2, 2))
    axis = SettingAxis("mu", np.arange(5) * 0.1)
    still = SettingAxis("gamma", np.zeros(1))
    one = Projection(frames, 0.0, axis.values_deg, np.zeros(5), (axis, still))
    found = mosaicity(one)
    assert found.names == ("mu",)
    np.testing.assert_allclose(found.mean[..., 0], 0.3)  # (1 + 4 + 9 + 16) / 10 steps of 0.1
    with pytest.raises(ParameterError, match="two axes"):
        found.colors()


def test_it_takes_projections_of_scans(tmp_path):
    frames = make_frames()
    store = write(tmp_path / "scan.h5", frames)
    found = r3.analysis.mosaicity(store[1])
    np.testing.assert_allclose(found.total, frames[1].sum(0), rtol=1e-6)
    assert found.maps()["mean_gamma"].shape == (20, 30)
    assert "mosaicity" in dir(r3.analysis)
    with pytest.raises(IndexError, match="projection 3: the scan has 3"):
        store[3]


@pytest.mark.parametrize(("changes", "words"), [({"peak_share": 0.0}, "peak_share is 0.0")])
def test_impossible_numbers_are_refused(changes, words):
    with pytest.raises(ParameterError, match=words):
        mosaicity(projection(np.ones((63, 2, 2))), **changes)
    with pytest.raises(ParameterError, match=r"expected a projection, such as scan\[0\]"):
        mosaicity(np.ones((63, 2, 2)))
    with pytest.raises(ParameterError, match="settings"):
        mosaicity(projection(np.ones((62, 2, 2))))


@pytest.mark.filterwarnings("ignore:there is no motor")
def test_moments_of_a_real_scan_are_those_of_plain_sums(require_or_skip):
    if not ID03.exists():
        require_or_skip("mosa_scan.h5 of darling-pypi is not here (RECON3D_DARLING)")
    scan = r3.open_scan(ID03, "-", entries="1", tilt_azimuth_deg=90, show_progress=False)
    ours = scan[0]
    found = mosaicity(ours)
    settings = np.stack([ours.mu_deg, ours.gamma_deg])
    weights = ours.frames.reshape(len(ours.frames), -1).astype(float)
    mean = settings @ weights / weights.sum(0)
    np.testing.assert_allclose(found.mean.reshape(-1, 2), mean.T, atol=1e-9)
    for i, j in ((0, 0), (0, 1), (1, 1)):
        product = (settings[i] * settings[j]) @ weights / weights.sum(0) - mean[i] * mean[j]
        np.testing.assert_allclose(found.covariance[..., i, j].ravel(), product, atol=1e-9)


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
