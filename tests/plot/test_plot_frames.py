"""Frames, grids and figures that redraw without being built anew."""

import numpy as np
import pytest
from matplotlib.colors import LogNorm

from recon3d.config.volume import Volume
from recon3d.plot.grain.slices import GrowingFigure
from recon3d.plot.lesson import missing_cone_figure, setup_figure, turning_figure
from recon3d.plot.parts import new_figure
from recon3d.plot.scan.cleaning import CountHistogram
from recon3d.plot.scan.detector_frames import (
    DrawnRegion,
    draw_frame,
    draw_frame_grid,
    frame_grid,
    raw_limits,
    setting_text,
    thinned,
    update_frame,
)
from recon3d.readers.source import Roi
from recon3d.scan.table import SettingAxis


@pytest.fixture
def ax():
    return new_figure(3, 3).add_subplot()


def test_thinning_keeps_single_bright_pixels():
    image = np.zeros((1000, 1200))
    image[777, 333] = 9
    small = thinned(image, 300)
    assert max(small.shape) <= 400
    assert small.max() == 9
    # Blocks of 1200 // 300 = 4 pixels.
    assert np.argwhere(small)[0].tolist() == [777 // 4, 333 // 4]
    assert thinned(image[:100, :100]) is not None


def test_a_frame_has_axes_in_pixels_of_the_detector(ax):
    drawn = draw_frame(ax, np.ones((40, 60)), "one", first_pix=(5, 7))
    assert list(drawn.get_extent()) == [6.5, 66.5, 44.5, 4.5]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("column (pixel)", "row (pixel)")
    update_frame(drawn, np.full((40, 60), 200.0), log=True)
    assert isinstance(drawn.norm, LogNorm)
    update_frame(drawn, np.full((40, 60), 200.0), low=10, top=50)
    assert drawn.get_clim() == (10, 50)


def test_raw_limits_pass_over_hot_pixels():
    image = np.full((100, 100), 100.0)
    image[40:60, 40:60] = 300
    image[0, :5] = 60000
    low, high = raw_limits(image)
    assert low == 100
    assert 250 < high <= 300


def test_a_histogram_counts_pixels_and_moves_its_line(ax):
    image = np.repeat([5.0, 5.0, 20.0], 1000).reshape(30, 100)
    parts = CountHistogram(ax, image, 10)
    assert parts.bars.get_data().values.sum() == 3000
    parts.update(image[:10], 15)
    assert parts.bars.get_data().values.sum() == 1000
    assert list(parts.threshold.get_xdata()) == [15, 15]


def test_a_grid_puts_every_frame_in_its_place(ax):
    frames = np.arange(6)[:, None, None] * np.ones((1, 4, 5))
    image = frame_grid(frames, (2, 3))
    assert image.shape == (9, 17)
    assert image[5, 6] == 4
    assert np.isnan(image[4]).all()
    axes = (SettingAxis("mu", np.array([10.0, 10.1])), SettingAxis("gamma", np.arange(3) / 10))
    drawn = draw_frame_grid(ax, frames, axes)
    np.testing.assert_array_equal(drawn.get_array().filled(np.nan), image)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.000", "0.100", "0.200"]


def test_lost_light_is_coloured_outside_the_region_only(ax):
    signal = np.zeros((20, 30))
    signal[5:15, 5:25] = 1
    parts = DrawnRegion(ax, Roi(0, 0, 20, 15), signal)
    alpha = parts.lost.get_array()[..., 3]
    assert alpha[:, :15].max() == 0
    assert (alpha[5:15, 15:25] > 0).all()


def test_settings_have_units():
    assert setting_text("gamma", -1e-6) == "γ = 0.0000°"
    assert setting_text("energy", 17.0) == "energy = 17.0000 keV"


def test_a_growing_grain_shows_its_middle_slices():
    figure = new_figure(12, 3.4)
    drawn = GrowingFigure(figure, Volume((0, 0, 0), (6, 8, 10), (6, 8, 10)))
    occupancy = np.zeros((6, 8, 10), np.float32)
    occupancy[3, 4, 5] = 1
    grown = np.stack([occupancy, np.full_like(occupancy, 0.1), occupancy], axis=-1)
    drawn.update([0.5, 0.2], grown)
    assert all(image.get_array()[..., 3].max() == 0 for image in drawn.orientations.values())
    # A Gaussian of 0.7 voxels, cut at 3, keeps this much along each axis.
    kept = 1 / np.exp(-(np.arange(-3, 4) ** 2) / (2 * 0.7**2)).sum()
    for axis, at in (("z", (4, 3)), ("x", (4, 5)), ("y", (5, 3))):
        shown = drawn.slices[axis].get_array()
        assert shown[at] == shown.max() == pytest.approx(kept**3, rel=1e-3)
    assert list(drawn.residual.get_ydata()) == [0.5, 0.2]


def test_a_growing_grain_shows_its_orientations_where_it_is():
    drawn = GrowingFigure(new_figure(12, 5.8), Volume((0, 0, 0), (6, 8, 10), (6, 8, 10)))
    grown = np.zeros((6, 8, 10, 3), np.float32)
    grown[1:5, 2:6, 3:8] = 1, -0.02, 0.03
    grown[1:5, 2:4, 3:8] = 1, 0.02, 0.03
    drawn.update([0.5], grown)
    shown = drawn.orientations["z"].get_array()  # rows along y
    assert (shown[2:6, 2:4, 3] == 1).all()
    assert shown[0, 0, 3] == 0
    assert np.ptp(shown[2, 2:4, :3], axis=0).max() == 0
    assert np.abs(shown[2, 2, :3] - shown[5, 2, :3]).max() > 0.2


def test_the_figures_of_the_lesson_can_be_drawn():
    for figure in (
        setup_figure(10.4),
        missing_cone_figure(10.4),
        turning_figure([(0.05, 0.0), (0.02, 0.03)]),
    ):
        figure.canvas.draw()
        assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 5
