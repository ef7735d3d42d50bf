"""The widgets in a real browser: voila serves the notebooks, Chromium opens them."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recon3d.widgets import Session

CANVAS = ".jupyter-matplotlib-canvas-div canvas"


@pytest.fixture(scope="module")
def served(copied, serve):
    """Voila on a free port of this machine, in the folder of the notebooks."""
    Session.start(settings=copied / "choices.ini", show_progress=False)
    command = [sys.executable, "-m", "voila", str(copied), "--no-browser"]
    command += ["--Voila.ip=127.0.0.1", "--VoilaConfiguration.show_tracebacks=True"]
    with serve(command, "voila/tree", copied) as address:
        yield f"{address}/voila/render"


def settled(page, number=0, unlike=""):
    """The picture on one of the figures, when it is a new one and two looks at it agree."""
    script = """number => {
        const all = [...document.querySelectorAll('.jupyter-matplotlib-canvas-div')];
        const shown = all.filter(div => div.offsetParent !== null)[number];
        const canvas = shown && shown.querySelector('canvas');
        if (!canvas || !canvas.width) return '';
        const area = [0, 0, canvas.width, canvas.height];
        const pixels = canvas.getContext('2d').getImageData(...area).data;
        let drawn = 0;
        for (let i = 3; i < pixels.length; i += 4) drawn += pixels[i] > 0;
        return drawn < pixels.length / 8 ? '' : canvas.toDataURL();
    }"""
    before = ""
    for _ in range(200):
        now = page.evaluate(script, number)
        if now and now == before != unlike:
            return now
        before = now
        page.wait_for_timeout(300)
    raise AssertionError("the picture never came to rest")


def screenshot(page, name):
    """Keep a picture for a person to look at, where asked to."""
    if folder := os.environ.get("RECON3D_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def colours(page, selector):
    """The share of a drawing's pixels that have a colour, when there are any."""
    drawing = page.locator(selector).first
    for _ in range(60):
        drawing.scroll_into_view_if_needed()
        pixels = np.asarray(Image.open(io.BytesIO(drawing.screenshot())).convert("RGB"), float)
        if (share := np.mean(np.ptp(pixels, axis=-1) > 20)) > 0:
            return share
        page.wait_for_timeout(500)
    return 0.0


def slide(page, description, key, times):
    """Move a slider by the keyboard."""
    box = page.locator(".widget-slider", has_text=description).first
    handle = box.locator(".noUi-handle")
    handle.focus()
    for _ in range(times):
        handle.press(key)
    return box.locator(".widget-readout").inner_text()


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


def test_the_reconstruction_and_the_grain_are_served_too(page, served):
    """Runs last: what was chosen above leads to a grain."""
    page.goto(f"{served}/04_reconstruct.ipynb")
    page.get_by_text("written to").wait_for()
    assert settled(page)
    assert page.get_by_role("button", name="Start engines").is_enabled()
    screenshot(page, "04_reconstruct")
    page.goto(f"{served}/05_view_grain.ipynb")
    assert colours(page, ".k3d-target canvas") > 0.01
    map_of_tilts = page.locator(CANVAS).last
    map_of_tilts.wait_for()
    before = settled(page, 1)
    map_of_tilts.scroll_into_view_if_needed()
    box = map_of_tilts.bounding_box()
    shown = page.get_by_text("projections)")
    # The middle of the slice, which is grain; a click that comes before the kernel listens is lost.
    for _ in range(3):
        page.mouse.click(box["x"] + 0.21 * box["width"], box["y"] + 0.5 * box["height"])
        page.wait_for_timeout(5000)
        if shown.count():
            break
    shown.wait_for()
    assert settled(page, 1, unlike=before)
    screenshot(page, "05_view_grain")
