"""What a person does in a browser with the notebooks' widgets, and what is seen there."""

from __future__ import annotations

import io
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

CANVAS = ".jupyter-matplotlib-canvas-div canvas"
LONGEST_S = 120
"""How long a browser and its kernel may take on a busy machine."""
_SHOWN = """number => {
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


_CUT = """() => {
    const texts = '.widget-label, .widget-button, .widget-readout, .widget-html-content';
    const all = [...document.querySelectorAll(texts + ', .lm-TabBar-tabLabel, canvas')];
    const seen = all.filter(one => one.offsetParent !== null && one.clientWidth > 0);
    const right = document.documentElement.clientWidth + 1;
    const cut = one => !one.matches('canvas') && one.scrollWidth > one.clientWidth;
    const beyond = one => one.getBoundingClientRect().right > right;
    return seen.filter(one => cut(one) || beyond(one)).map(one => one.innerText || one.className);
}"""


def cut_off(page: Any) -> list[str]:
    """Labels, buttons, texts and figures that are shown in part only, or beyond the page."""
    return list(page.evaluate(_CUT))


def looks(page: Any, every_ms: int = 200) -> Iterator[None]:
    """Look again and again, for as long as a browser and its kernel may take."""
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        yield
        page.wait_for_timeout(every_ms)


def whole_at(page: Any, *widths: int) -> None:
    """See that nothing is cut off, now and when the page is as wide as each of these."""
    for width in (0, *widths):
        if width:
            page.set_viewport_size({"width": width, "height": 1400})
            page.wait_for_timeout(500)
        cut: list[str] = []
        for _ in looks(page):  # a figure follows the page's width in its own time
            if not (cut := cut_off(page)):
                break
        assert cut == [], width


def wait_for(page: Any, true: Callable[[], bool]) -> None:
    """Wait until a browser and its kernel have agreed on something."""
    for _ in looks(page):
        if true():
            return
    raise AssertionError("it never came true")


def settled(page: Any, number: int = 0, unlike: str = "") -> str:
    """The picture on one of the figures, when it is a new one and two looks at it agree."""
    before = ""
    for _ in looks(page):
        now = page.evaluate(_SHOWN, number)
        if now and now == before != unlike:
            return str(now)
        before = now
    raise AssertionError("the picture never came to rest")


def repeated(page: Any, act: Callable[[], None], done: Callable[[], bool]) -> None:
    """Do something until it takes effect: what comes before the kernel listens is lost."""
    for number, _ in enumerate(looks(page)):
        if number % 25 == 0:
            act()
        if done():
            return
    raise AssertionError("it never took effect")


def files(folder: Path) -> dict[Path, tuple[bytes, int]]:
    """What the files of a folder with a scan hold, and when they were written."""
    found = [path for path in folder.rglob("*") if path.suffix in (".ini", ".h5", ".npy", ".edf")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


def screenshot(page: Any, name: str) -> None:
    """Keep a picture for a person to look at, where asked to."""
    if folder := os.environ.get("RECON3D_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def colours(page: Any, selector: str) -> float:
    """The share of a drawing's pixels that have a colour, when there are any."""
    drawing = page.locator(selector).first
    for _ in looks(page):
        drawing.scroll_into_view_if_needed()
        pixels = np.asarray(Image.open(io.BytesIO(drawing.screenshot())).convert("RGB"), float)
        if (share := float(np.mean(np.ptp(pixels, axis=-1) > 20))) > 0:
            return share
    return 0.0


def turn(page: Any, surface: Any) -> None:
    """Turn a surface with the mouse."""
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 90, y + 40, steps=5)
    page.mouse.up()
    page.wait_for_timeout(300)


def slide(page: Any, description: str, key: str, times: int) -> str:
    """Move a slider by the keyboard; what it reads then."""
    box = page.locator(".widget-slider", has_text=description).first
    handle = box.locator(".noUi-handle")
    handle.focus()
    for _ in range(times):
        handle.press(key)
    return str(box.locator(".widget-readout").inner_text())


def prompts(page: Any) -> list[str]:
    """What stands left of each cell of the shown notebook: [ ], [*] or [3]."""
    cells = page.locator(".jp-Notebook:visible .jp-CodeCell .jp-InputPrompt")
    return [str(prompt) for prompt in cells.all_inner_texts()]


def run_all(page: Any) -> None:
    """Choose Run All Cells, again where the kernel did not listen yet, and wait for the last."""

    def choose() -> None:
        page.get_by_text("Run", exact=True).first.click()
        page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Run All Cells$")).click()

    repeated(page, choose, lambda: any(re.search(r"\[[\d*]", each) for each in prompts(page)))
    wait_for(page, lambda: all(re.search(r"\[\d+\]", each) for each in prompts(page)))
