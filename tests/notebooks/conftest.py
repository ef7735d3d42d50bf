"""The notebooks, copied out as a user has them.

nbformat takes 1.5 s to import, so the processes that run other tests do without it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from recon3d.cli.main import main
from recon3d.cli.notebooks import jupyterlab_command

FLAGS = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
"""Chromium as root, and WebGL drawn by the processor."""


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A folder with all notebooks, for the tests of one module: one follows the other."""
    folder = tmp_path_factory.mktemp("copied") / "notebooks"
    assert main(["notebooks", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def kernel(copied) -> Iterator[Any]:
    """A kernel in the folder with the notebooks, for all of a module: one takes 4 s to be ready."""
    from jupyter_client.manager import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(cwd=str(copied))
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.fixture
def client_of(copied, kernel):
    """What runs a notebook by its name, in a kernel that knows no name of those before."""
    import nbformat
    from nbclient import NotebookClient

    def make(name: str) -> Any:
        forget = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%reset -f")])
        NotebookClient(forget, timeout=600, km=kernel).execute()
        notebook = nbformat.read(copied / f"{name}.ipynb", 4)
        return NotebookClient(notebook, timeout=600, km=kernel)

    return make


@pytest.fixture
def run_notebook(client_of):
    """Run a notebook by its name; it must show widgets, and no traceback."""

    def run(name: str) -> None:
        client = client_of(name)
        client.execute()
        notebook = client.nb
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


@dataclass(frozen=True)
class Lab:
    """A server of JupyterLab, and the folder with the notebooks that it opens."""

    folder: Path
    server: str
    token: str = "token"

    def address(self, place: str = "", query: str = "") -> str:
        return f"{self.server}/{place}?{query}token={self.token}"


@pytest.fixture(scope="session")
def lab(tmp_path_factory) -> Iterator[Lab]:
    """JupyterLab as `recon3d notebooks --open` starts it, once for all tests."""
    folder = tmp_path_factory.mktemp("lab") / "notebooks"
    assert main(["notebooks", str(folder)]) == 0
    command = [*jupyterlab_command(folder), "--no-browser"]
    command.append(f"--IdentityProvider.token={Lab.token}")
    with serving(command, f"api?token={Lab.token}", folder) as server:
        yield Lab(folder, server)


@pytest.fixture(scope="session")
def voila(tmp_path_factory) -> Iterator[Callable[[Path], str]]:
    """The beginning of the addresses of a folder's notebooks, which one server serves to all."""
    top = tmp_path_factory.getbasetemp()
    command = [sys.executable, "-m", "voila", str(top), "--no-browser"]
    command += ["--Voila.ip=127.0.0.1", "--VoilaConfiguration.show_tracebacks=True"]
    # Kernels of pages that were left would stay to the end.
    command += [f"--MappingKernelManager.cull_{name}" for name in ("idle_timeout=30", "interval=5")]
    with serving(command, "voila/tree", tmp_path_factory.mktemp("voila")) as address:
        yield lambda folder: f"{address}/voila/render/{folder.relative_to(top)}"


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
def browser(require_or_skip):
    """A browser; its event loop, which runs in this thread, ends before tests of other modules."""
    program = chromium(require_or_skip)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def page(browser):
    """A page that remembers nothing of those of other modules."""
    page = browser.new_page(viewport={"width": 1280, "height": 1400})
    page.set_default_timeout(120_000)
    page.add_locator_handler(page.locator("dialog.jp-Dialog"), answered)
    yield page
    page.goto("about:blank")  # which ends its kernel
    page.context.close()
