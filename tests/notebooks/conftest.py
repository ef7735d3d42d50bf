"""The notebooks, copied out as a user has them."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from playwright.sync_api import sync_playwright

from recon3d.cli.main import main

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""Chromium as root, and WebGL drawn by the processor."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A folder with all notebooks, for the tests of one module: one follows the other."""
    folder = tmp_path_factory.mktemp("copied") / "notebooks"
    assert main(["notebooks", str(folder)]) == 0
    return folder


@pytest.fixture
def run_notebook(copied):
    """Run a notebook by its name; it must show widgets, and no traceback."""

    def run(name: str) -> None:
        notebook = nbformat.read(copied / f"{name}.ipynb", 4)
        place = {"metadata": {"path": str(copied)}}
        client = NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place)
        client.execute()
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
        shown = [key for output in outputs for key in output.get("data", {})]
        assert "application/vnd.jupyter.widget-view+json" in shown
        printed = [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
        assert "Traceback" not in "".join(printed)

    return run


def chromium(require_or_skip) -> str:
    """The browser's program."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    require_or_skip("Chromium is missing: apt-get install chromium")
    return ""


@contextlib.contextmanager
def serving(command: list[str], probe: str, folder: Path) -> Iterator[str]:
    """A server on a free port of this machine, for as long as the context lasts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    command = [*command, f"--port={address.split(':')[1]}"]
    # What a person's JupyterLab remembers of its last use does not count here.
    own = {name: str(folder.parent / name) for name in ("WORKSPACES_DIR", "SETTINGS_DIR")}
    environment = os.environ | {f"JUPYTERLAB_{name}": place for name, place in own.items()}
    with (folder / "server.log").open("wb") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        try:
            for _ in range(480):
                with contextlib.suppress(OSError):
                    urllib.request.urlopen(f"http://{address}/{probe}", timeout=5).close()
                    break
                time.sleep(0.25)
            yield f"http://{address}"
        finally:
            server.terminate()
            try:
                server.wait(2)
            except subprocess.TimeoutExpired:  # a kernel that was restarted can hold it
                server.kill()
                server.wait(20)


@pytest.fixture(scope="session")
def serve():
    return serving


@pytest.fixture(scope="session")
def serve_voila():
    """Serve the notebooks of a folder by voila: the beginning of their pages' addresses."""

    @contextlib.contextmanager
    def served(folder: Path) -> Iterator[str]:
        command = [sys.executable, "-m", "voila", str(folder), "--no-browser"]
        command += ["--Voila.ip=127.0.0.1", "--VoilaConfiguration.show_tracebacks=True"]
        with serving(command, "voila/tree", folder) as address:
            yield f"{address}/voila/render"

    return served


def answered(dialog: Any) -> None:
    """Answer a dialog of JupyterLab: yes where it asks about a kernel, no to all else.

    A slow page asks which kernel to start, or offers to load it again. The text is printed, so
    that a test which fails afterwards shows it.
    """
    text = dialog.first.inner_text()
    print("JupyterLab asks:", text)
    buttons = dialog.first.locator(".jp-Dialog-footer button")
    (buttons.last if "kernel" in text.lower() else buttons.first).click()


@pytest.fixture(scope="module")
def page(require_or_skip):
    program = chromium(require_or_skip)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        page.set_default_timeout(120_000)
        page.add_locator_handler(page.locator("dialog.jp-Dialog"), answered)
        yield page
        browser.close()
