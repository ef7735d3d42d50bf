"""The end of a night, by clicks alone: engines make the grain, and pages are opened again."""

from __future__ import annotations

import pytest
from browsing import CANVAS, colours, files, repeated, screenshot, settled, turn, whole_at
from widget_scan import widget_session

ERRORS = "[data-mime-type='application/vnd.jupyter.error']"


@pytest.fixture(scope="module")
def night(copied, voila):
    """The notebooks, in the folder of a small scan that is cleaned, as voila serves them."""
    assert widget_session(copied, poi=(34, 30), imgsize=(63, 52)).store.shape[0] == 12
    return voila(copied)


def test_engines_make_the_grain(page, night, copied):
    page.goto(f"{night}/04_reconstruct.ipynb")
    page.get_by_text("press start: the first pass").wait_for()
    engines = page.locator(".widget-inline-hbox", has_text="engines").locator("input").first
    engines.fill("1")
    engines.press("Enter")
    page.get_by_role("button", name="Start engines").click()
    page.get_by_text("1 engine is ready").wait_for()
    assert not (copied / "results" / "grain.h5").exists()
    page.get_by_role("button", name="Start", exact=True).click()
    page.get_by_text("written to").wait_for()
    assert settled(page)
    screenshot(page, "04_reconstruct")
    page.get_by_role("button", name="Stop engines").click()
    page.get_by_text("no engines").wait_for()


def test_a_voxel_is_clicked_and_the_grain_is_turned(page, night, copied):
    kept = files(copied)
    page.goto(f"{night}/05_view_grain.ipynb")
    assert colours(page, ".k3d-target canvas") > 0.01
    surface = page.locator(".k3d-target canvas").first
    still = surface.screenshot()
    turn(page, surface)
    assert surface.screenshot() != still
    map_of_tilts = page.locator(CANVAS).last
    map_of_tilts.wait_for()
    page.get_by_text("projections)").wait_for()  # it begins with the middle of the slice
    before = settled(page, 1)
    map_of_tilts.scroll_into_view_if_needed()
    box = map_of_tilts.bounding_box()
    # Beside the middle, which is grain, too.
    place = (box["x"] + 0.18 * box["width"], box["y"] + 0.47 * box["height"])
    repeated(page, lambda: page.mouse.click(*place), lambda: settled(page, 1) != before)
    screenshot(page, "05_view_grain")
    assert files(copied) == kept


@pytest.mark.parametrize(
    ("name", "text"),
    [("01_choose_roi", "of the light falls outside"), ("04_reconstruct", "press start")],
)
def test_pages_that_are_opened_again_change_no_file(page, night, copied, name, text):
    kept = files(copied)
    assert {path.name for path in kept} >= {"choices.ini", "scan.h5", "grain.h5"}
    page.goto(f"{night}/{name}.ipynb", wait_until="commit")
    page.get_by_text(text).first.wait_for()
    page.locator("canvas").first.wait_for()
    assert page.locator(ERRORS).count() == 0
    if name == "01_choose_roi":
        page.get_by_text("the experiment (.ini file)").click()
        page.get_by_text("detector", exact=True).click()
        page.get_by_text("omega_sense").wait_for()
    whole_at(page, 900, 1280)
    assert files(copied) == kept
