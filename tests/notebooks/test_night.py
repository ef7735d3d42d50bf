"""A night by clicks alone: voila serves the notebooks, Chromium opens one after the other."""

from __future__ import annotations

import pytest
from browsing import CANVAS, files, repeated, screenshot, settled, slide, wait_for, whole_at
from widget_scan import widget_session

from recon3d.config.settings_file import SettingsFile
from recon3d.widgets import Session


@pytest.fixture(scope="module")
def night(copied, voila):
    """The notebooks, in the folder of a small scan, as voila serves them."""
    widget_session(copied)
    return voila(copied)


def chosen_of(copied):
    return SettingsFile(copied / "choices.ini").read()


TOLD_IN_TURN = """
import asyncio, threading, time
from ipywidgets import HTML
from recon3d.widgets.controls.panel import Panel

panel, texts = Panel(), [HTML("before") for _ in range(120)]
panel.children = texts
loop = asyncio.get_running_loop()

def tell():
    for text in texts:
        time.sleep(0.04)
        loop.call_soon_threadsafe(setattr, text, "value", "after")

threading.Thread(target=tell, daemon=True).start()
panel
"""


def test_what_changes_while_a_page_opens_is_not_lost(page, night, copied):
    import nbformat

    cell = nbformat.v4.new_code_cell(TOLD_IN_TURN)
    nbformat.write(nbformat.v4.new_notebook(cells=[cell]), copied / "told.ipynb")
    page.goto(f"{night}/told.ipynb")
    shown = page.locator(".widget-html-content")
    wait_for(page, lambda: shown.all_inner_texts() == ["after"] * 120)


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

    def drag():
        page.mouse.move(*place(2.6, 3.6))
        page.mouse.down()
        page.mouse.move(*place(30, 30), steps=4)
        page.mouse.move(*place(65.4, 55.4), steps=4)
        # Moves are passed on a few times a second: the last one needs its time.
        page.wait_for_timeout(500)
        page.mouse.up()

    repeated(page, drag, lambda: [int(numbers.nth(i).input_value()) for i in range(4)] == chosen)
    page.set_viewport_size({"width": 1600, "height": 1400})
    wait_for(page, lambda: page.locator(CANVAS).last.bounding_box()["width"] > 1.2 * box["width"])
    page.set_viewport_size({"width": 1280, "height": 1400})
    assert settled(page, unlike=before)
    screenshot(page, "01_dragged")
    wait_for(page, lambda: chosen_of(copied).get("poi") == "34,30")


def test_a_threshold_is_moved_and_the_scan_is_cleaned(page, night, copied):
    kept = files(copied)
    page.goto(f"{night}/02_tune_threshold.ipynb")
    page.get_by_text("of the signal is kept").wait_for()
    whole_at(page, 900, 1280)
    before = settled(page)
    screenshot(page, "02_tune_threshold")
    assert files(copied) == kept
    readout = float(slide(page, "binth", "ArrowRight", 8))
    assert settled(page, unlike=before)
    wait_for(page, lambda: chosen_of(copied).get("binth") == str(readout))
    page.get_by_role("button", name="Clean it").click()
    page.get_by_text("12 projections of 49 frames").wait_for()
    assert (copied / "results" / "scan.h5").is_file()


def test_the_film_is_played_and_a_projection_left_out(page, night, copied):
    kept = files(copied)
    page.goto(f"{night}/03_check_projections.ipynb")
    page.get_by_text("frames missing").first.wait_for()
    before = settled(page)
    assert files(copied) == kept
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
