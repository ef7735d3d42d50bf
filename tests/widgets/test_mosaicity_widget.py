"""Clicks into maps of orientation."""

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.projection.operator import voxel_centres_um
from recon3d.widgets import Mosaicity


@pytest.fixture
def mosaicity(finished):
    return Mosaicity(finished.store, finished.grain, finished.experiment)


def brightest_pixel(store, k):
    return np.unravel_index(store.read_summed(k).argmax(), store.shape[2:])


def test_a_pixel_shows_its_settings_and_its_frames(mosaicity, finished, drawn):
    k = mosaicity.projection.value
    row, col = brightest_pixel(finished.store, k)
    mosaicity.pick_pixel(0, 0)
    before = drawn(mosaicity.canvas)
    mosaicity.pick_pixel(int(row), int(col))
    counts = finished.store.read_projection(k)[:, row, col]
    found = mosaicity.value
    assert found["frames"] == np.flatnonzero(counts).tolist()
    # Independent of the goniometer's arithmetic: the grid of the scan, steps of 0.032°.
    mu, gamma = np.meshgrid(0.032 * np.arange(-3, 4), 0.032 * np.arange(-3, 4), indexing="ij")
    expected = [float(tilt.ravel() @ counts / counts.sum()) for tilt in (mu, gamma)]
    np.testing.assert_allclose(found["mean_deg"], expected, atol=2e-3)
    assert np.mean(before != drawn(mosaicity.canvas)) > 0.01


def test_it_begins_with_the_brightest_pixel_and_the_middle_of_the_grain(mosaicity, finished):
    brightest = brightest_pixel(finished.store, mosaicity.projection.value)
    assert mosaicity.value["pixel"] == brightest
    (spot,) = mosaicity._mark.get_xydata()
    mosaicity.click(*spot)
    assert mosaicity.value["pixel"] == brightest
    mosaicity.shown.value = "slice"
    mosaicity.background.wait()
    voxel = mosaicity.value["voxel"]
    assert finished.grain.mask[voxel]
    (spot,) = mosaicity._mark.get_xydata()
    assert mosaicity._voxel_at(*spot) == voxel
    assert mosaicity.value["evidence"].omega_deg.size == finished.store.shape[0]


def test_a_click_finds_the_pixel_under_it(mosaicity, finished):
    pixel_um = 1 / finished.experiment.detector.magnification_pix_per_um
    rows = finished.store.shape[2]
    mosaicity.click(20.4 * pixel_um, (rows - 10 - 0.6) * pixel_um)
    assert mosaicity.value["pixel"] == (10, 20)


def test_a_voxel_shows_its_own_tilt(mosaicity, finished):
    grain = finished.grain
    inner = np.argwhere(grain.mask & (grain.orientation_spread < 0.03))
    middle = inner[np.abs(inner - grain.volume.shape[0] / 2).sum(axis=1).argmin()]
    mosaicity.shown.value = "slice"
    mosaicity.pick_voxel(tuple(int(i) for i in middle))
    mosaicity.background.wait()
    found = mosaicity.value
    number = np.ravel_multi_index(middle, grain.volume.shape)
    np.testing.assert_allclose(found["point_um"], voxel_centres_um(grain.volume)[number])
    # Backprojection blurs by about a step.
    np.testing.assert_allclose(found["mean_deg"], grain.orientation[tuple(middle)], atol=0.035)
    assert found["evidence"].counts.shape == finished.store.shape[:2]


def test_a_click_finds_the_voxel_under_it(mosaicity, finished):
    volume = finished.grain.volume
    mosaicity.shown.value, mosaicity.axis.value = "slice", "y"
    mosaicity.index.value = 5
    x, z = volume.axis_um(0)[3], volume.axis_um(2)[9]
    assert mosaicity._voxel_at(x, z) == (3, 5, 9)


def test_without_a_grain_there_are_projections_only(finished):
    widget = Mosaicity(finished.store)
    assert list(widget.shown.options) == ["projection"]
    with pytest.raises(ParameterError, match="experiment"):
        Mosaicity(finished.store, finished.grain)
