"""The widgets of the lesson."""

import numpy as np
import pytest

from recon3d.simulate.lesson import lesson_plan
from recon3d.simulate.truth import Truth
from recon3d.widgets import SeveralWays, VoxelSpot
from recon3d.widgets.lesson import PLACE_UM


@pytest.fixture(scope="module")
def spot():
    return VoxelSpot(lesson_plan())


def at(line):
    return float(line.get_xdata()[0]), float(line.get_ydata()[0])


def test_a_tilt_turns_with_omega_and_its_sense(spot):
    spot.a.value, spot.b.value, spot.omega.value = 0.04, 0.0, 0.0
    assert at(spot._drawn.tilt) == pytest.approx((0.04, 0.0))
    spot.omega.value = 90.0
    assert at(spot._drawn.tilt) == pytest.approx((0.0, 0.04), abs=1e-9)
    spot.handedness.value = -1
    assert at(spot._drawn.tilt) == pytest.approx((0.0, -0.04), abs=1e-9)
    spot.handedness.value = 1


def test_sliders_show_the_values_that_they_have(spot):
    for slider in (spot.a, spot.b, spot.omega, spot.theta):
        steps = (slider.value - slider.min) / slider.step  # a browser shows whole steps
        assert steps == pytest.approx(round(steps), abs=1e-6), slider.description


def test_the_spot_lies_where_the_scan_puts_it(spot):
    plan, (x, y, z) = lesson_plan(), PLACE_UM
    row, col = plan.centre_pix
    theta = np.radians(plan.crystal.bragg_angle_deg)
    spot.omega.value = 90.0
    # At 90° the sample's z points along the beam: only x is seen along the columns.
    upwards = y * np.cos(theta) - z * np.sin(theta)
    expected = col - 4 * x * -1, row - 4 * upwards
    assert at(spot._drawn.spot) == pytest.approx(expected, abs=0.3)
    before = at(spot._drawn.spot)
    spot.theta.value = 25.0
    assert at(spot._drawn.spot)[1] != pytest.approx(before[1], abs=0.5)
    assert at(spot._drawn.spot)[0] == pytest.approx(before[0])


def test_no_frame_lights_what_is_tilted_too_far(spot):
    spot.omega.value = 0.0
    spot.a.value, spot.b.value = spot.a.max, spot.b.max
    assert "no frame" in spot._drawn.about_spot.get_text() or spot._drawn.spot.get_alpha() < 0.9
    spot.a.value, spot.b.value = 0.0, 0.0
    assert spot._drawn.spot.get_alpha() == 1.0


def test_nothing_is_reconstructed_on_a_served_page_before_the_button(finished, monkeypatch):
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.11")
    truth = Truth.load(finished.plan.datadir + "/truth.h5")
    ways = SeveralWays(finished.store, finished.experiment, truth)
    ways.done()
    assert not ways.value
    ways.start_button.click()
    ways.background.wait(300)
    assert [row.name for row in ways.value][-1] == "iterative"
    assert ways.value[-1].comparison.dice > ways.value[0].comparison.dice
    assert len(ways.pictures.children) == 6
    assert "iterative" in ways.table.value
    assert "strain" not in ways.table.value  # none was scanned
    for picture in ways.pictures.children[1::2]:  # a margin would make the page scroll sideways
        assert picture.layout.margin == "0"
    assert not ways.start_button.disabled
