"""A page of JupyterLab that is loaded again: its widgets come back, or a line says what to do."""

from __future__ import annotations

import json
import re
import urllib.request

import pytest
from browsing import CANVAS, repeated, run_all, settled

SOURCE = """from recon3d.simulate.lesson import lesson_plan
from recon3d.widgets import VoxelSpot

VoxelSpot(lesson_plan())"""
GONE, PANEL = ".recon3d-gone", ".recon3d-panel"
OPACITY = "panel => getComputedStyle(panel).opacity"


@pytest.fixture(scope="module")
def spot(lab) -> str:
    """The name of a notebook of one cell."""
    import nbformat

    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, lab.folder / "spot.ipynb")
    return "spot.ipynb"


def ask(lab, path, method="GET"):
    request = urllib.request.Request(lab.address(f"api/{path}"), method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def is_saved_with_output(path):
    try:
        notebook = json.loads(path.read_text("utf-8"))
    except json.JSONDecodeError:  # it is being written
        return False
    return bool(notebook["cells"][0]["outputs"])


def restart(page):
    page.get_by_text("Kernel", exact=True).first.click()
    page.locator(".lm-Menu-itemLabel", has_text=re.compile("^Restart Kernel…$")).click()


def has_come_back(page):
    page.locator(CANVAS).first.wait_for()
    assert settled(page)
    assert not page.locator(GONE).is_visible()
    assert page.locator(PANEL).first.evaluate(OPACITY) == "1"


def test_widgets_come_back_or_a_line_says_what_to_do(page, lab, spot):
    page.goto(lab.address(f"lab/tree/{spot}", "reset&"))
    page.locator(".jp-Notebook .jp-CodeCell").wait_for()
    run_all(page)
    has_come_back(page)
    # The kernel is restarted under its page, and the cell is run again.
    repeated(page, lambda: restart(page), page.locator(GONE).is_visible)
    assert page.locator(PANEL).first.evaluate(OPACITY) == "0.4"
    run_all(page)
    has_come_back(page)
    repeated(
        page,
        lambda: page.keyboard.press("Control+s"),
        lambda: is_saved_with_output(lab.folder / spot),
    )
    page.reload()
    has_come_back(page)
    page.wait_for_timeout(3500)  # the line is seen after three seconds
    has_come_back(page)
    # It is restarted from elsewhere, and the page is loaded again.
    (kernel,) = (one["kernel"]["id"] for one in ask(lab, "sessions") if one["path"] == spot)
    ask(lab, f"kernels/{kernel}/restart", "POST")
    page.reload()
    page.get_by_text("run the cells again").wait_for()
