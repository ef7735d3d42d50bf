"""The local centre of mass against planted peaks."""

import numpy as np
import pytest

from recon3d.reconstruction.fit.backprojection import local_peaks

AXIS = np.arange(-6, 7) * 0.01


def peaks_of(volume, shape, reach):
    axes = np.zeros((3, 13))
    axes[0], axes[1] = AXIS, AXIS
    moments = np.zeros((len(volume), 5))
    bins = np.zeros(len(volume), np.int64)
    local_peaks(
        0,
        len(volume),
        volume,
        np.arange(volume.shape[1]),
        np.array(shape),
        axes,
        reach,
        moments,
        bins,
    )
    return moments, bins


def gaussian(a, b, width=0.008):
    da, db = AXIS[:, None] - a, AXIS[None, :] - b
    return np.exp(-0.5 * (da**2 + db**2) / width**2).astype(np.float32)


def test_finds_a_peak_between_bins_on_a_background():
    volume = (gaussian(0.013, -0.021) + 3.0).reshape(1, -1)
    moments, bins = peaks_of(volume, (13, 13, 1), reach=3)
    assert moments[0, 1:3] == pytest.approx([0.013, -0.021], abs=5e-4)
    assert moments[0, 4] == pytest.approx(0.008 * np.sqrt(2), rel=0.1)
    assert bins[0] == 7 * 13 + 4


def test_takes_the_stronger_of_two_peaks():
    volume = (gaussian(-0.03, 0.0) + 2 * gaussian(0.03, 0.02)).reshape(1, -1)
    moments, _ = peaks_of(volume, (13, 13, 1), reach=2)
    assert moments[0, 1:3] == pytest.approx([0.03, 0.02], abs=5e-4)


def test_reach_zero_gives_the_strongest_bin():
    volume = gaussian(0.013, -0.021).reshape(1, -1)
    moments, _ = peaks_of(volume, (13, 13, 1), reach=0)
    assert moments[0, 1:3] == pytest.approx([0.01, -0.02])
    assert moments[0, 0] == pytest.approx(volume.max())


def test_a_dark_voxel_has_no_peak_and_a_flat_one_its_first_bin():
    volume = np.stack([np.zeros(169), np.ones(169)]).astype(np.float32)
    moments, bins = peaks_of(volume, (13, 13, 1), reach=2)
    assert bins.tolist() == [-1, 0]
    assert moments[1, 1:3] == pytest.approx([AXIS[0], AXIS[0]])


def test_centre_along_the_shift_of_the_bragg_angle():
    volume = np.zeros((1, 13 * 13 * 3), np.float32)
    volume.reshape(13, 13, 3)[6, 6] = [0, 1, 1]
    axes = np.zeros((3, 13))
    axes[0], axes[1], axes[2, :3] = AXIS, AXIS, [-0.002, 0, 0.002]
    moments, bins = np.zeros((1, 5)), np.zeros(1, np.int64)
    local_peaks(
        0,
        len(volume),
        volume,
        np.arange(volume.shape[1]),
        np.array([13, 13, 3]),
        axes,
        1,
        moments,
        bins,
    )
    assert moments[0, 1:4] == pytest.approx([0, 0, 0.001])
