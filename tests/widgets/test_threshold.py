"""Cleaning, chosen with sliders: what is shown is what the whole scan will be."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.cleaning.getdata import region_of
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.getdata import GetData
from recon3d.widgets import Threshold

PLAN = GetData("", poi=(34, 30), imgsize=(60, 52), cleaning=Cleaning(6, 12.0, 40))


@pytest.fixture
def threshold(simulated):
    widget = Threshold(simulated.scan, PLAN)
    widget.background.wait()
    return widget


def test_the_shown_frame_is_that_of_the_cleaned_scan(threshold, simulated, tmp_path):
    threshold.binth.value = 15.0
    threshold.projection.value, threshold.frame.value = 5, 24
    threshold.background.wait()
    scan = region_of(simulated.scan, PLAN)
    store = clean(scan, threshold.value, tmp_path / "scan.h5", show_progress=False)
    shown = threshold._figure.images["after"].get_array()
    assert shown.max() > 50
    np.testing.assert_allclose(shown, store.read_projection(5)[24], atol=1e-3)


def test_a_slider_changes_the_mask_the_line_and_the_picture(threshold, drawn):
    before = drawn(threshold.canvas)
    mask = np.array(threshold._figure.images["mask"].get_array())
    threshold.binth.value = 60.0
    assert threshold.value.binth == 60
    after = np.array(threshold._figure.images["mask"].get_array())
    assert 0 < after.sum() < mask.sum()
    assert not np.any(after[mask == 0])
    assert list(threshold._figure.histogram.threshold.get_xdata()) == [60, 60]
    assert np.mean(before != drawn(threshold.canvas)) > 0.002


def test_signal_kept_falls_with_the_threshold_and_is_right(threshold, simulated, tmp_path):
    kept = threshold.kept
    assert 0.9 < kept < 1.01
    threshold.binth.value = 100.0
    threshold.background.wait()
    assert threshold.kept < kept - 0.1
    scan = region_of(simulated.scan, PLAN)
    weak, strong = (
        clean(scan, Cleaning(6, binth, 40), tmp_path / f"{binth}.h5", show_progress=False)
        for binth in (12.0, 100.0)
    )
    ratio = strong.integrated.sum() / weak.integrated.sum()
    assert threshold.kept / kept == pytest.approx(ratio, abs=0.03)
    assert f"{threshold.kept:.1%}" in threshold.status.value
    assert "12 of 12" in threshold.status.value


def test_a_region_that_cuts_the_grain_is_a_doubt_with_a_button(simulated):
    cut = replace(PLAN, poi=(24, 30), imgsize=(30, 52), cleaning=Cleaning(0, 12.0, 40))
    widget = Threshold(simulated.scan, cut)
    widget.background.wait()
    assert widget.kept > 0.98
    assert "touches the edge of the region (right) in 12 of 12" in widget.status.value
    assert widget.mend.layout.display is None
    widget.mend.click()
    widget.background.wait()
    assert widget.kept > 0.98
    assert "touches the edge" not in widget.status.value
    assert widget.mend.layout.display == "none"


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("dark", "dark", False),
        ("hot", "hot_pixels", 0.0),
        ("frame_background", "framebg", 0),
        ("fill_holes", "fill_holes", False),
        ("close_mask", "close_radius_pix", 0),
    ],
)
def test_every_step_can_be_switched_off(threshold, name, field, value):
    before = getattr(threshold.value, field)
    getattr(threshold, name).value = False
    assert getattr(threshold.value, field) == value != before
    threshold.background.wait()
    getattr(threshold, name).value = True
    assert getattr(threshold.value, field) == before


def test_without_the_mask_every_count_is_kept(threshold):
    threshold.mask.value = False
    steps = threshold.preview.steps(6, 24, threshold.value)
    np.testing.assert_array_equal(steps.after, steps.unmasked)


def test_the_suggestion_finds_rim_and_noise(threshold, simulated):
    threshold.suggest()
    threshold.background.wait()
    cleaning = threshold.value
    # Three standard deviations of the simulated noise on its pedestal of about 100 counts,
    # twice that of the two dark frames' mean added: 3 sqrt(100 + 50) = 37 at unit gain.
    raw = simulated.scan.read_projection(0).astype(float)
    quiet = np.std(raw[0, :8] - raw[1, :8]) / np.sqrt(2)
    assert 2 * quiet < cleaning.binth < 5 * quiet
    assert 2 <= cleaning.framebg <= 20
    threshold.background.wait()
    assert threshold.kept > 0.93


def test_all_frames_are_shown_as_a_grid(threshold):
    threshold.all_frames.value = True
    threshold.background.wait()
    (ax,) = threshold.grid_canvas.figure.axes
    image = np.asarray(ax.images[0].get_array().filled(np.nan))
    rows, cols = 52, 60
    assert image.shape == (7 * (rows + 1) - 1, 7 * (cols + 1) - 1)
    steps = threshold.preview.steps(threshold.projection.value, 24, threshold.value)
    tile = image[3 * (rows + 1) :, 3 * (cols + 1) :][:rows, :cols]
    np.testing.assert_allclose(tile, steps.after, atol=1e-3)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("γ (°)", "μ (°)")


def test_the_parameters_are_saved(session):
    widget = session.tune_threshold()
    widget.done()
    widget.value = Cleaning(framebg=5, binth=17.5, min_region_pix=33, normalize="total")
    assert session.plan.cleaning == widget.value
    assert widget.params["min_region"] == 33
    again = session.tune_threshold()
    assert again.value == widget.value
    for one in (widget, again):
        one.background.wait()
