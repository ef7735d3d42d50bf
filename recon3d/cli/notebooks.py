"""The notebooks that come with the package: copied out, and opened in JupyterLab."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

from recon3d.errors import DataError, ParameterError
from recon3d.runtime.atomic import complete_or_absent, make_folder

_PACKAGED = Path(__file__).parents[1] / "_notebooks"
_BESIDE = Path(__file__).parents[2] / "notebooks"
LOOPBACK = "127.0.0.1"
FIRST = "/doc/tree/01_choose_roi.ipynb"
"""What JupyterLab shows first: one notebook, and no side bar that takes the figures' place."""


def notebook_sources() -> list[Path]:
    """The notebooks in the installed package, or beside the source tree."""
    for folder in (_PACKAGED, _BESIDE):
        found = sorted(folder.glob("*.ipynb"))
        if found:
            return found
    raise DataError(f"the notebooks are missing from the installation ({_PACKAGED})")


def copy_notebooks(folder: Path, *, overwrite: bool = False) -> list[Path]:
    """Copy the notebooks into a folder; those that are there unchanged stay.

    Without `overwrite`, notebooks that were changed there are a ParameterError.
    """
    sources = notebook_sources()
    targets = [folder / source.name for source in sources]
    pairs = list(zip(sources, targets, strict=True))
    changed = [
        target.name
        for source, target in pairs
        if target.exists() and target.read_bytes() != source.read_bytes()
    ]
    if changed and not overwrite:
        raise ParameterError(
            f"{folder}: {', '.join(changed)} were changed there (a run notebook is): choose "
            "another folder, or --overwrite to lose the changes"
        )
    make_folder(folder)
    for source, target in pairs:
        with complete_or_absent(target) as temporary:
            temporary.write_bytes(source.read_bytes())
    return targets


def open_jupyterlab(folder: Path) -> int:
    """Run JupyterLab in a folder, reachable from this machine only, until it is ended."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise ParameterError("JupyterLab is not installed: pip install 'recon3d[notebooks]'")
    command, environment = jupyterlab_command(folder), kernel_environment()
    return subprocess.run(command, env=environment, check=False).returncode


def kernel_environment() -> dict[str, str]:
    """The environment of kernels: they run `kernel_startup`, unless the user has such a file."""
    return {"PYTHONSTARTUP": str(Path(__file__).with_name("kernel_startup.py")), **os.environ}


def jupyterlab_command(folder: Path) -> list[str]:
    """The command that serves a folder on the loopback address."""
    options = [f"--ServerApp.ip={LOOPBACK}", f"--ServerApp.root_dir={folder.resolve()}"]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # as in a container; JupyterLab asks for it
        options.append("--allow-root")
    return [sys.executable, "-m", "jupyterlab", *options, f"--LabApp.default_url={FIRST}"]
