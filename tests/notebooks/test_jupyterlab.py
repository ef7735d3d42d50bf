"""JupyterLab itself, as `recon3d notebooks --open` starts it, on a screen 1280 pixels wide."""

from __future__ import annotations

import re

from browsing import run_all

LEFT_OF_CUT = """() => [...document.querySelectorAll(
    '.jp-Notebook .widget-label, .jp-Notebook .widget-button, .jp-Notebook canvas'
)].filter(one => one.offsetParent).filter(one => {
    const room = one.closest('.jp-OutputArea-output').getBoundingClientRect();
    const outside = one.getBoundingClientRect().right > room.right + 1;
    return outside || (one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1);
}).map(one => one.innerText || one.tagName)"""
"""Names of controls and figures that do not fit."""


def test_a_new_user_runs_all_and_follows_the_link(page, lab):
    page.goto(lab.address())
    page.locator(".jp-Notebook").wait_for()
    for number, saved in ((1, "poi"), (2, "binth")):
        page.locator(".jp-Notebook:visible h1", has_text=f"{number}. ").wait_for()
        run_all(page)
        page.locator(".jp-Notebook:visible .jupyter-matplotlib-canvas-div canvas").first.wait_for()
        assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
        assert page.evaluate(LEFT_OF_CUT) == []
        assert f"{saved} " in (lab.folder / "choices.ini").read_text("utf-8")
        page.locator(".jp-Notebook:visible a", has_text=re.compile(r"^0\d_")).last.click()
    page.locator(".jp-Notebook:visible h1", has_text="3. ").wait_for()


def test_h5web_shows_the_orientations_of_a_grain_first(page, lab, grain_factory):
    grain_factory((9, 8, 7)).save(lab.folder / "planted.h5")
    page.goto(lab.address("lab", "reset&"))
    page.locator(".jp-DirListing-item", has_text="planted.h5").dblclick()
    page.get_by_role("tab", name="NX RGB").wait_for()
    page.locator("canvas").first.wait_for()
    page.get_by_text("orientation (a, b) in colours at x =").first.wait_for()
    # Of the whole it shows a slice with the most of the grain, not the first one, which is empty.
    for name in ("entry", "entry/mosaicity"):
        page.locator(f"[data-path='/{name}']").click()
    page.get_by_text("orientation (a, b) in colours; their key").first.wait_for()
    assert page.get_by_role("slider").first.get_attribute("aria-valuenow") == "1"
