"""Folders of EDF frames, one file a frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError
from recon3d.runtime.atomic import complete_or_absent, make_folder
from recon3d.simulate.writers.edf_header import FrameHeader


def prepare_folder(folder: Path, prefix: str, *, overwrite: bool) -> None:
    """Make a folder for frames, and see that no frames of that prefix are in it.

    `overwrite`: remove them instead of refusing with a ParameterError, which a prefix that is no
    part of a file name is, too.
    """
    if "/" in prefix or "\\" in prefix:
        raise ParameterError(f"prefix '{prefix}': expected the beginning of a file name, no path")
    make_folder(folder)
    old = [
        path
        for path in folder.glob("*.edf")
        if path.name.startswith(prefix) and path.stem[len(prefix) :].isdigit()
    ]
    if old and not overwrite:
        raise ParameterError(
            f"{folder} already holds {len(old)} frames '{prefix}NNNN.edf': choose another folder "
            "or prefix, or overwrite them"
        )
    for path in old:
        path.unlink()


def write_edf(path: Path, image: NDArray[np.uint16], header: FrameHeader) -> None:
    """Write one frame, counts (rows, cols): its header, then the counts, low byte first."""
    if image.shape != header.shape:
        raise ParameterError(f"{path}: image of {image.shape}, but a header for {header.shape}")
    with complete_or_absent(path, tidy=False) as temporary, temporary.open("wb") as file:
        file.write(header.encode())
        file.write(np.ascontiguousarray(image, "<u2").data)


def frame_path(folder: Path, prefix: str, number: int) -> Path:
    """Path of a frame; from the ten thousandth on the number has five digits."""
    return folder / f"{prefix}{number:04d}.edf"
