"""The widgets in a real browser: voila serves the notebooks, Chromium opens them."""

import pytest
from browser_pages import CANVAS, screenshot, settled, slide

from recon3d.widgets import Session


def test_a_rectangle_is_dragged(page, served, copied):
    page.goto(f"{served}/01_choose_roi.ipynb")
    page.get_by_text("of the light falls outside").wait_for()
    before = settled(page)
    screenshot(page, "01_choose_roi")
    # The same figure without a browser tells where the pixels are.
    session = Session(Session.start(settings=copied / "choices.ini").settings, show_progress=False)
    twin = session.choose_roi()
    twin.background.cancel()
    twin.canvas.draw()
    height = twin.canvas.figure.bbox.height
    box = page.locator(CANVAS).last.bounding_box()

    def place(col, row):
        x, y = twin.ax.transData.transform((col, row))
        return box["x"] + x, box["y"] + height - y

    numbers = page.locator("input[type=number]")
    chosen = [3 + 83 // 2, 4 + 71 // 2, 83, 71]
    # A drag that comes before the kernel listens is lost.
    for _ in range(3):
        page.mouse.move(*place(2.6, 3.6))
        page.mouse.down()
        page.mouse.move(*place(30, 30), steps=4)
        page.mouse.move(*place(85.4, 74.4), steps=4)
        # Moves are passed on a few times a second: the last one needs its time.
        page.wait_for_timeout(500)
        page.mouse.up()
        for _ in range(50):
            values = [int(numbers.nth(i).input_value()) for i in range(4)]
            if values == chosen:
                break
            page.wait_for_timeout(200)
    assert values == chosen
    assert settled(page, unlike=before)
    screenshot(page, "01_dragged")
    assert twin.settings.read()["poi"] == "44,39"


def test_a_threshold_is_moved(page, served, copied):
    page.goto(f"{served}/02_tune_threshold.ipynb")
    page.get_by_text("of the signal is kept").wait_for()
    before = settled(page)
    screenshot(page, "02_tune_threshold")
    old = float(Session.start(settings=copied / "choices.ini").plan.cleaning.binth)
    readout = slide(page, "binth", "ArrowRight", 8)
    assert float(readout) == pytest.approx(old + 4)
    assert settled(page, unlike=before)
    # The kernel answers a moment after the browser has moved on.
    for _ in range(100):
        saved = Session.start(settings=copied / "choices.ini").plan.cleaning.binth
        if saved == old + 4:
            break
        page.wait_for_timeout(200)
    assert saved == old + 4


def test_the_film_is_played(page, served):
    page.goto(f"{served}/03_check_projections.ipynb")
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
