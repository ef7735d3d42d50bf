"""A page of JupyterLab that is loaded again: its widgets come back, or a line says what to do."""

from __future__ import annotations

import json
import urllib.request

import nbformat
import pytest
from browsing import CANVAS, repeated, run_all, settled

from recon3d.cli.notebooks import jupyterlab_command

TOKEN = "token"
SOURCE = """from recon3d.simulate.lesson import lesson_plan
from recon3d.widgets import VoxelSpot

VoxelSpot(lesson_plan())"""
GONE = ".recon3d-gone"


@pytest.fixture(scope="module")
def lab(tmp_path_factory, serve):
    folder = tmp_path_factory.mktemp("reloaded") / "notebooks"
    folder.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE)])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, folder / "spot.ipynb")
    command = [*jupyterlab_command(folder), "--no-browser"]
    command.append(f"--IdentityProvider.token={TOKEN}")
    with serve(command, f"api?token={TOKEN}", folder) as address:
        yield address


def ask(address, path, method="GET"):
    request = urllib.request.Request(f"{address}/api/{path}?token={TOKEN}", method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def test_widgets_come_back_or_a_line_says_what_to_do(page, lab):
    page.goto(f"{lab}/lab/tree/spot.ipynb?reset&token={TOKEN}")
    page.locator(".jp-Notebook .jp-CodeCell").wait_for()
    run_all(page)
    page.locator(CANVAS).first.wait_for()
    assert settled(page)
    assert not page.locator(GONE).is_visible()
    repeated(
        page,
        lambda: page.keyboard.press("Control+s"),
        lambda: ask(lab, "contents/spot.ipynb")["content"]["cells"][0]["outputs"],
    )
    page.reload()
    page.locator(CANVAS).first.wait_for()
    assert settled(page)
    page.wait_for_timeout(3500)
    assert not page.locator(GONE).is_visible()
    (kernel,) = ask(lab, "kernels")
    ask(lab, f"kernels/{kernel['id']}/restart", "POST")
    page.reload()
    page.get_by_text("run this cell again").wait_for()
