"""What the tests of files share."""

from __future__ import annotations

from pathlib import Path

import pytest
from id06_folders import frame, write_edf


@pytest.fixture
def write_folder(tmp_path):
    """Write frames, one a file, with `frame(i)` as the image of position i."""

    def write(positions, *, folder="scan", prefix="topo_", order=None, **options) -> Path:
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        order = range(len(positions)) if order is None else order
        for number, i in enumerate(order):
            write_edf(where / f"{prefix}{number:04d}.edf", frame(i, **options), positions[i])
        return where

    return write
