"""Opens frames from a folder of EDF files or from an HDF5 file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fabio
import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, ParameterError, warn
from recon3d.readers.bliss.entries import scan_file
from recon3d.readers.bliss.file import BlissFile, look_at_detector, mean_bliss_frame
from recon3d.readers.edf.folder import EdfFile, EdfFolder, is_edf, look_at_shape, mean_frame
from recon3d.readers.edf.image import HeadReader, read_whole


def open_source(
    path: str | Path,
    prefix: str,
    goniometer: str | Goniometer,
    *,
    entries: str | None = None,
    known: dict[str, EdfFile] | None = None,
    **how: bool,
) -> EdfFolder | BlissFile:
    """Open a folder of EDF files, or a BLISS file, with the arguments and errors of `open_scan`.

    `known`: EDF files that were read before, by name; those that are read now are added. `how`:
    `skip_damaged` and `show_progress`.
    """
    if not os.fspath(path):
        raise ParameterError("path is empty: expected a folder of EDF files or an HDF5 file")
    names = _goniometer(goniometer)
    file = scan_file(path, prefix)
    if file is not None:
        if file != Path(path):
            warn(f"{path} holds no frames itself: the scan in {file} is read")
        return BlissFile.open(file, prefix, names, entries=entries, **how)
    if entries is not None:
        raise ParameterError(f"entries is '{entries}', but {path} is no HDF5 file: it has none")
    return EdfFolder.open(path, prefix, names, known=known, **how)


def look_at_frame_shape(path: str | Path, prefix: str) -> tuple[int, int] | None:
    """Rows and columns of the frames, from a few EDF headers; None for an HDF5 file.

    So a mistake is found, as a DataError, before all headers are read.
    """
    file = scan_file(path, prefix)
    if file is None:
        return look_at_shape(path, prefix)
    look_at_detector(file, prefix)
    return None


def mean_background(path: str | Path, name: str = "") -> NDArray[np.float64]:
    """Mean of all background frames in a folder of EDF files, or in a BLISS file, (rows, cols).

    `name`: how the names of the files begin, or the detector; "-" or "" for any.
    """
    file = scan_file(path, name)
    return mean_frame(path, name) if file is None else mean_bliss_frame(file, name)


def read_image(path: str | Path) -> NDArray[Any]:
    """One image, (rows, cols), such as a flat field, from EDF, .npy or what fabio opens."""
    path = Path(path)
    if not path.is_file():
        raise DataError(f"{path}: there is no such file")
    try:
        if is_edf(path.name):
            return read_whole(path, HeadReader().read(path))
        if path.suffix == ".npy":
            image = np.load(path, allow_pickle=False)
        else:
            with fabio.open(str(path)) as opened:
                image = opened.data
    except Exception as error:
        reason = str(error)
        if "pickle" in reason:
            reason = "it is no NumPy file of numbers, or a damaged one"
        raise DataError(f"{path} cannot be read as an image: {reason}") from error
    if image.ndim != 2:
        raise DataError(f"{path} holds an array of shape {image.shape}: expected rows x columns")
    if image.dtype.kind not in "biuf":
        raise DataError(f"{path} holds {image.dtype}, which are no real numbers")
    return image


def _goniometer(goniometer: str | Goniometer) -> Goniometer | None:
    """The names of the motors; None where the files are to tell them."""
    if isinstance(goniometer, Goniometer):
        return goniometer
    if goniometer == "auto":
        return None
    if not isinstance(goniometer, str) or goniometer not in GONIOMETERS:
        raise ParameterError(
            f"goniometer is '{goniometer}': expected {' or '.join(GONIOMETERS)}, auto, or a "
            "Goniometer with the names of the motors"
        )
    return GONIOMETERS[goniometer]
