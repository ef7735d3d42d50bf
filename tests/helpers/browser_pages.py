"""What the browser's tests look at and do on a page of voila."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

CANVAS = ".jupyter-matplotlib-canvas-div canvas"


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
