"""Frames held against predictions, and halves of the data against each other."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from recon3d.config.volume import Volume
from recon3d.projection.operator import Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.frames import suspects
from recon3d.reconstruction.model.sizes import Size, merged_scan, seen_in
from recon3d.reconstruction.quality.agreement import fourier_shell_correlation, look_at_frames


def test_merged_pixels_tell_signal_and_columns_of_the_scan(planted):
    scan = planted("demo")
    volume = scan.experiment.volume
    truth = scan.truth.sample_on(volume)
    inside = truth.inside.ravel()
    tilts = [values.ravel()[inside] for values in (truth.a_deg, truth.b_deg)]
    voxels = OrientedVoxels(
        Projector(voxel_centres_um(volume)[inside], volume.voxel_um),
        np.stack([*tilts, np.zeros(inside.sum())]),
        np.ones(inside.sum()),
    )
    model = build_model(scan.store, scan.experiment, 1)
    merged = seen_in(model, Size(merged_scan(scan.store, 2), scan.experiment))
    own, told = look_at_frames(model, voxels), look_at_frames(merged, voxels, model)
    np.testing.assert_array_equal(told.columns[0], own.columns[0])
    np.testing.assert_allclose(own.columns[0], scan.store.summed.sum(axis=(0, 1)), rtol=1e-6)
    np.testing.assert_allclose(told.columns[1], own.columns[1], rtol=0.03)
    assert np.nanmedian(told.signal) == pytest.approx(np.nanmedian(own.signal), rel=0.15)
    # Pixels of four times the counts have half of the relative noise.
    assert told.counting == pytest.approx(own.counting / 2, rel=0.15)
    assert told.residual < own.residual


VOLUME = Volume((0, 0, 0), (16.0, 16.0, 16.0), (32, 32, 32))


def noise(seed):
    return np.random.default_rng(seed).normal(size=VOLUME.shape)


def test_equal_volumes_correlate_up_to_the_voxel():
    shells = fourier_shell_correlation(noise(0), noise(0), VOLUME)
    assert shells.correlation == pytest.approx(np.ones_like(shells.correlation))
    assert shells.resolution_nm == pytest.approx(1000)  # twice the voxel of 0.5 µm


def test_unrelated_volumes_do_not_correlate():
    shells = fourier_shell_correlation(noise(1), noise(2), VOLUME)
    assert np.abs(shells.correlation[4:]).max() < 0.3
    assert shells.resolution_nm > 4000


def test_resolution_is_where_a_common_signal_sinks_into_noise():
    signal = gaussian_filter(noise(3), 2.0, mode="wrap")
    signal /= signal.std()
    blurred = [signal + 0.3 * noise(seed) for seed in (4, 5)]
    shells = fourier_shell_correlation(blurred[0], blurred[1], VOLUME)
    # Power of the signal over that of the noise, both known per Fourier coefficient.
    frequency = shells.frequency_per_um
    transfer = np.exp(-0.5 * (2 * np.pi * frequency * 1.0) ** 2) ** 2
    grid = np.sqrt(sum(q**2 for q in np.meshgrid(*[np.fft.fftfreq(32, 0.5)] * 3)))
    mean = np.mean(np.exp(-0.5 * (2 * np.pi * grid) ** 2) ** 2)
    expected = (transfer / mean) / (transfer / mean + 0.09)
    assert shells.correlation[2:6] == pytest.approx(expected[2:6], abs=0.12)
    crossing = 1e3 / np.interp(0.0, (shells.threshold - expected)[1:], frequency[1:])
    assert shells.resolution_nm == pytest.approx(crossing, rel=0.25)


def test_the_threshold_is_the_half_bit_criterion():
    # Of the integer wave vectors of 4^3 voxels, 6 of length 1 and 12 of length 1.41 are in shell
    # 1: nine independent numbers, whose root is 3. (0.2071 + 1.9102 / 3) / (1.2071 + 0.9102 / 3).
    volume = Volume((0, 0, 0), (4.0, 4.0, 4.0), (4, 4, 4))
    values = np.random.default_rng(9).normal(size=volume.shape)
    shells = fourier_shell_correlation(values, values, volume)
    assert shells.frequency_per_um == pytest.approx([0, 0.25, 0.5])
    assert shells.threshold[:2] == pytest.approx([1, 0.558645], abs=1e-6)


def test_resolution_is_read_between_two_shells():
    # The waves of shells 4 and beyond have the other sign: there the correlation falls from 1 to
    # -1, past the threshold between shells 3 and 4.
    first = noise(10)
    transform = np.fft.fftn(first)
    waves = np.sqrt(sum(q**2 for q in np.meshgrid(*[np.fft.fftfreq(32, 1 / 32)] * 3)))
    second = np.fft.ifftn(np.where(waves >= 3.5, -transform, transform)).real
    shells = fourier_shell_correlation(first, second, VOLUME)
    assert shells.correlation[1:4] == pytest.approx([1, 1, 1])
    assert shells.correlation[4:] == pytest.approx(-np.ones(13))
    # Shells are 1 / 16 µm apart; 1 - T3 above the threshold, -1 - T4 below it.
    above, below = 1 - shells.threshold[3], 1 + shells.threshold[4]
    assert shells.resolution_nm == pytest.approx(16e3 / (3 + above / (above + below)))


def test_slow_changes_over_omega_are_no_suspects():
    rng = np.random.default_rng(8)
    residuals = 0.15 + 0.08 * np.cos(np.linspace(0, 2 * np.pi, 60)) ** 2
    residuals += 0.003 * rng.normal(size=60)
    assert not suspects(residuals).any()
    residuals[[0, 30, 31]] *= 2
    assert np.flatnonzero(suspects(residuals)).tolist() == [0, 30, 31]


def test_what_is_well_explained_is_no_suspect_although_others_are_better():
    rng = np.random.default_rng(9)
    for projections in (12, 18, 36):
        residuals = 0.1 + 0.002 * rng.normal(size=projections)
        # Voxels line up with the rays at these.
        residuals[[0, projections // 2]] = 0.17
        assert not suspects(residuals).any()
        residuals[3] = 0.45
        assert np.flatnonzero(suspects(residuals)).tolist() == [3]


def test_suspects_stand_far_above_the_rest():
    residuals = 0.2 + 0.005 * np.random.default_rng(7).normal(size=40)
    assert not suspects(residuals).any()
    residuals[[3, 17]] = 0.5
    assert np.flatnonzero(suspects(residuals)).tolist() == [3, 17]
