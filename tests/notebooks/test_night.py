"""A night by clicks alone: voila serves the notebooks, Chromium opens one after the other."""

from __future__ import annotations

import pytest
from browsing import CANVAS, colours, screenshot, settled, slide, turn, wait_for
from widget_scan import CHI0, PHI0, simulate_widget_scan

from recon3d.config.settings_file import SettingsFile
from recon3d.widgets import Session


@pytest.fixture(scope="module")
def night(copied, serve_voila):
    """Voila on a free port of this machine, in the folder of the notebooks and of a small scan."""
    simulate_widget_scan(copied / "frames")
    Session.start(
        copied / "frames",
        "topotomo_",
        settings=copied / "choices.ini",
        show_progress=False,
        phi0=PHI0,
        chi0=CHI0,
        min_region=40,
    )
    with serve_voila(copied) as address:
        yield address


def chosen_of(copied):
    return SettingsFile(copied / "choices.ini").read()


def test_a_rectangle_is_dragged(page, night, copied):
    page.goto(f"{night}/01_choose_roi.ipynb")
    page.get_by_text("of the light falls outside").wait_for()
    page.get_by_text("suggested with framebg").wait_for()
    assert "poi" not in chosen_of(copied)  # nobody asked for it
    before = settled(page)
    screenshot(page, "01_choose_roi")
    # The same figure without a browser tells where the pixels are.
    settings = SettingsFile(copied / "twin.ini")
    settings.update(SettingsFile(copied / "choices.ini").getdata_texts())
    twin = Session(settings, show_progress=False).choose_roi()
    twin.background.cancel()
    (copied / "twin.ini").unlink()
    box = page.locator(CANVAS).last.bounding_box()
    twin.canvas.figure.set_size_inches(box["width"] / 100, box["height"] / 100)
    twin.canvas.draw()

    def place(col, row):
        x, y = twin.ax.transData.transform((col, row))
        return box["x"] + x, box["y"] + box["height"] - y

    numbers = page.locator("input[type=number]")
    chosen = [3 + 63 // 2, 4 + 52 // 2, 63, 52]
    # A drag that comes before the kernel listens is lost.
    for _ in range(3):
        page.mouse.move(*place(2.6, 3.6))
        page.mouse.down()
        page.mouse.move(*place(30, 30), steps=4)
        page.mouse.move(*place(65.4, 55.4), steps=4)
        # Moves are passed on a few times a second: the last one needs its time.
        page.wait_for_timeout(500)
        page.mouse.up()
        for _ in range(25):
            values = [int(numbers.nth(i).input_value()) for i in range(4)]
            if values == chosen:
                break
            page.wait_for_timeout(200)
    assert values == chosen
    page.set_viewport_size({"width": 1600, "height": 1400})
    wait_for(page, lambda: page.locator(CANVAS).last.bounding_box()["width"] > 1.2 * box["width"])
    page.set_viewport_size({"width": 1280, "height": 1400})
    assert settled(page, unlike=before)
    screenshot(page, "01_dragged")
    wait_for(page, lambda: chosen_of(copied).get("poi") == "34,30")


def test_a_threshold_is_moved_and_the_scan_is_cleaned(page, night, copied):
    page.goto(f"{night}/02_tune_threshold.ipynb")
    page.get_by_text("of the signal is kept").wait_for()
    before = settled(page)
    screenshot(page, "02_tune_threshold")
    readout = float(slide(page, "binth", "ArrowRight", 8))
    assert settled(page, unlike=before)
    wait_for(page, lambda: chosen_of(copied).get("binth") == str(readout))
    page.get_by_role("button", name="Clean it").click()
    page.get_by_text("12 projections of 49 frames").wait_for()
    assert (copied / "results" / "scan.h5").is_file()


def test_the_film_is_played_and_a_projection_left_out(page, night, copied):
    page.goto(f"{night}/03_check_projections.ipynb")
    page.get_by_text("frames missing").first.wait_for()
    before = settled(page)
    screenshot(page, "03_check_projections")
    assert slide(page, "projection", "ArrowRight", 3) == "3"
    later = settled(page, unlike=before)
    page.locator(".jupyter-widgets .fa-play").first.click()
    page.wait_for_function(
        "() => +document.querySelector('.widget-slider .widget-readout').innerText > 4"
    )
    page.locator(".jupyter-widgets .fa-pause, .jupyter-widgets .fa-stop").first.click()
    assert settled(page, unlike=later)
    page.locator("label", has_text="leave this projection out").click()
    wait_for(page, lambda: "omega_exclude" in chosen_of(copied))


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


def test_a_voxel_is_clicked_and_the_grain_is_turned(page, night):
    page.goto(f"{night}/05_view_grain.ipynb")
    assert colours(page, ".k3d-target canvas") > 0.01
    surface = page.locator(".k3d-target canvas").first
    still = surface.screenshot()
    turn(page, surface)
    assert surface.screenshot() != still
    map_of_tilts = page.locator(CANVAS).last
    map_of_tilts.wait_for()
    before = settled(page, 1)
    map_of_tilts.scroll_into_view_if_needed()
    box = map_of_tilts.bounding_box()
    shown = page.get_by_text("projections)")
    # The middle of the slice, which is grain; a click that comes before the kernel listens is lost.
    for _ in range(3):
        page.mouse.click(box["x"] + 0.21 * box["width"], box["y"] + 0.5 * box["height"])
        for _ in range(30):
            page.wait_for_timeout(100)
            if shown.count():
                break
        else:
            continue
        break
    shown.wait_for()
    assert settled(page, 1, unlike=before)
    screenshot(page, "05_view_grain")
