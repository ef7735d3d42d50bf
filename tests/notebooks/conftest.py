"""The notebooks, copied out as a user has them."""

from __future__ import annotations

from pathlib import Path

import pytest

from recon3d.cli import main


@pytest.fixture(scope="module")
def copied(tmp_path_factory) -> Path:
    """A folder with all notebooks, for the tests of one module: one follows the other."""
    folder = tmp_path_factory.mktemp("copied") / "notebooks"
    assert main(["notebooks", str(folder)]) == 0
    return folder
