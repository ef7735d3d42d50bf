"""The region of interest, chosen by mouse, by numbers, and by the data."""

import numpy as np
import pytest
from matplotlib.backend_bases import MouseEvent

from recon3d.cleaning.light import look_for_light
from recon3d.config.settings_file import SettingsFile
from recon3d.widgets import RegionOfInterest


@pytest.fixture
def roi(simulated):
    widget = RegionOfInterest(simulated.scan)
    widget.background.wait()
    return widget


def drag(widget, start, end):
    """Press, move and release the mouse between two places (column, row)."""
    canvas = widget.canvas
    canvas.draw()
    for name, place in (
        ("button_press_event", start),
        ("motion_notify_event", end),
        ("button_release_event", end),
    ):
        x, y = widget.ax.transData.transform(place)
        event = MouseEvent(name, canvas, x, y, button=1)
        canvas.callbacks.process(name, event)


def test_a_drag_chooses_the_pixels_under_the_rectangle(roi):
    roi.value = ((60, 10), (4, 4))
    drag(roi, (9.6, 11.7), (40.4, 35.2))
    # Columns 10 to 40 and rows 12 to 35 are covered by half or more.
    assert roi.value == ((10 + 31 // 2, 12 + 24 // 2), (31, 24))
    assert roi.params == {"poi": (25, 24), "imgsize": (31, 24)}
    assert [control.value for control in roi.numbers] == [25, 24, 31, 24]


def test_numbers_that_are_typed_move_the_rectangle(roi):
    x, y, width, height = roi.numbers
    x.value, y.value, width.value, height.value = 30, 28, 20, 16
    assert roi.value == ((30, 28), (20, 16))
    assert roi.selector.extents == (19.5, 39.5, 19.5, 35.5)


def test_a_box_that_leaves_the_frame_is_refused(roi):
    before = roi.value
    roi.value = ((60, 30), (40, 20))
    assert roi.value == before
    assert "68 columns" in roi.status.value


def test_the_suggested_box_holds_all_light_of_every_projection(roi, simulated):
    roi.suggest()
    roi.background.wait()
    (x, y), (width, height) = roi.value
    assert width < 68
    assert height < 60
    col, row = x - width // 2, y - height // 2
    for k in range(simulated.scan.shape[0]):
        *_, light = look_for_light(roi.scan, k)
        illuminated = light.signal > 0
        assert illuminated.sum() > 100
        illuminated[row : row + height, col : col + width] = False
        assert not illuminated.any()
    assert roi.outside == 0
    assert roi.params["framebg"] == roi._suggestion.framebg >= 4


def test_light_in_the_rim_is_told_and_mended(simulated, tmp_path):
    settings = SettingsFile(tmp_path / "choices.ini")
    chosen = {"poi": (36, 30), "imgsize": (60, 56), "framebg": 20}
    settings.update({"datadir": simulated.folder, **chosen})
    widget = RegionOfInterest(simulated.scan, settings)
    widget.background.wait()
    widget.value = (36, 30), (60, 56)
    assert "falls into the rim of framebg 20 pixels" in widget.status.value
    assert widget.mend.layout.display is None
    assert "press Mend" in widget.status.value
    widget.mend.click()
    widget.background.wait()
    assert "falls into the rim" not in widget.status.value
    assert widget.mend.layout.display == "none"
    assert "press Mend" not in widget.status.value
    assert 0 < settings.getdata().cleaning.framebg < 20


def test_figures_are_as_wide_as_the_page(roi):
    roi.page.width_px = 1900
    wide, high = roi.canvas.figure.get_size_inches()
    assert wide == pytest.approx(9.0 / 10.8 * 18)
    roi.page.width_px = 700
    narrow, low = roi.canvas.figure.get_size_inches()
    assert narrow == pytest.approx(9.0 / 10.8 * 6.4)
    assert low < high


def test_the_mouse_reads_counts(roi, simulated):
    roi.shown.value = "single frame"
    roi.background.wait()
    frame = simulated.scan.read_frame(int(simulated.scan.slots[6, 24]))
    text = roi.ax.format_coord(40.2, 29.8)
    assert text == f"column 40, row 30: {frame[30, 40]:.4g} counts"


def test_light_outside_is_told_and_drawn(roi, drawn):
    roi.suggest()
    roi.background.wait()
    before = drawn(roi.canvas)
    (x, y), (width, height) = roi.value
    roi.value = ((x, y), (width // 3, height // 3))
    assert 0.05 < roi.outside < 0.95
    assert f"{roi.outside:.1%}" in roi.status.value
    after = drawn(roi.canvas)
    # Vermilion where light is lost.
    assert np.abs(after[..., :3].astype(int) - (213, 94, 0)).sum(axis=-1).min() < 120
    assert np.any(before != after)


@pytest.mark.parametrize("shown", ["maximum of the projection", "single frame"])
@pytest.mark.parametrize("log", [False, True])
def test_what_is_shown_is_what_was_asked_for(roi, simulated, shown, log):
    roi.projection.value = 3
    roi.shown.value, roi.log_colors.value = shown, log
    roi.background.wait()
    roi.frame.value = 11
    frames = roi.scan.read_projection(3).astype(float)
    expected = frames.max(axis=0) if "maximum" in shown else frames[11]
    np.testing.assert_array_equal(roi._drawn.get_array(), np.maximum(expected, 1))
    assert f"ω = {simulated.scan.omega_deg[3]:.2f}°" in roi.ax.get_title()


def test_the_choice_is_saved_and_opened_again(simulated, tmp_path):
    settings = SettingsFile(tmp_path / "choices.ini")
    widget = RegionOfInterest(simulated.scan, settings)
    widget.done()
    assert settings.read()["poi"] == "{},{}".format(*widget.value[0])
    widget.value = ((30, 28), (20, 16))
    assert settings.read()["imgsize"] == "20,16"


def test_a_scan_that_has_grown_is_shown(simulated):
    scan = simulated.scan
    part = scan.of_projections(range(4))
    widget = RegionOfInterest(part)
    widget.background.wait()
    assert widget.projection.max == 3
    widget.set_scan(scan)
    widget.background.wait()
    assert widget.projection.max == 11
    assert len(widget._images) >= 9
