"""What scan.h5 looks like inside, and what can be wrong with such a file.

    /entry/data            frames (omega, frame, row, col), summed, integrated, valid, omega
    /entry/motors          the motors of every frame, (omega, frame); mu and gamma are derived
    /entry/axes            the settings of a projection, one axis after another in C order
    /entry/origin, /entry/roi, /entry/binning, /entry/provenance   as attributes
    /entry/left_out        the frames that were left out, and why

Frames that are dark everywhere are not written, and read as zeros.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError, ParameterError
from recon3d.files.attributes import read_attributes
from recon3d.files.hdf5 import named_errors, open_own
from recon3d.readers.pixel_binning import NO_BINNING, Binning
from recon3d.scan.grid import KINDS

FORMAT = "recon3d-scan"
FORMAT_VERSION = 1
KIND = "cleaned scan"

COMPRESSION = hdf5plugin.Bitshuffle(cname="lz4")

CHUNK_BYTES = 1 << 20
"""What one chunk of frames holds at most, unless a single row of pixels is longer."""

MOTORS = {
    "omega": "omega_deg",
    "diffrz": "base_tilt_deg",
    "chi": "chi_deg",
    "phi": "phi_deg",
    "obpitch": "two_theta_deg",
    "energy": "energy_kev",
    "ring_current": "ring_current_ma",
}
"""The datasets of /entry/motors and the columns of a `MotorTable` that they hold."""

UNITS = {"energy": "keV", "ring_current": "mA"}
"""Units of the motors; degrees where none is named."""


def chunk_shape(shape: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Shape of the chunks: as many frames of one projection as fit, or rows of one frame."""
    _, frames, rows, cols = shape
    frame_bytes = 4 * rows * cols
    if frame_bytes > CHUNK_BYTES:
        return (1, 1, max(1, CHUNK_BYTES // (4 * cols)), cols)
    return (1, min(frames, CHUNK_BYTES // frame_bytes), rows, cols)


def binning_of(file: h5py.File) -> Binning:
    """How frames were binned; files from before there was a choice do not say, as none were.

    Raises
    ------
    ParameterError
        The file says something impossible.
    """
    if "binning" not in file["entry"]:
        return NO_BINNING
    return Binning.of(**read_attributes(file["entry/binning"]))


def runs(flags: NDArray[np.bool_]) -> Iterator[slice]:
    """Go through the stretches of true values, as slices."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    for start, stop in edges.reshape(-1, 2).tolist():
        yield slice(start, stop)


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Open a cleaned scan for reading, and tell what is wrong with it.

    Raises
    ------
    DataError
        The file cannot be opened, is no cleaned scan, is of a newer version than this
        program knows, or lacks a part.
    """
    with open_own(path, FORMAT, FORMAT_VERSION, KIND) as file:
        if not bool(np.all(file.attrs.get("_complete", False))):
            raise DataError(f"{path}: was not written to its end; clean the scan again")
        yield file


def naming_errors(path: Path) -> AbstractContextManager[None]:
    """Tell of a cleaned scan that is open already what is wrong with it."""
    return named_errors(path, KIND)


def check_store(file: h5py.File) -> None:
    """Check the kind of the scan, the shapes of its parts, and that its numbers are numbers.

    Parameters
    ----------
    file
        The open store.

    Raises
    ------
    ParameterError
        Something does not fit; without the file's name.
    """
    data, motors = file["entry/data"], file["entry/motors"]
    shape = data["frames"].shape
    if len(shape) != 4 or data["frames"].dtype.kind != "f":
        raise ParameterError(f"its frames have the shape {shape}, where four axes are expected")
    kind = file["entry"].attrs["kind"]
    known = sorted({each.name for each in KINDS})
    if kind not in known:
        raise ParameterError(f"its kind of scan is '{kind}': expected {', '.join(known)}")
    expected: dict[str, tuple[int, ...]] = {
        "omega": shape[:1],
        "valid": shape[:2],
        "integrated": shape[:2],
        "summed": (shape[0], *shape[2:]),
    }
    for name, wanted in expected.items():
        _require_shape(name, data[name], wanted)
    for name in MOTORS:
        _require_shape(f"motor {name}", motors[name], shape[:2])
    _require_finite("omega", data["omega"][()])
    integrated, valid = data["integrated"][()], data["valid"][()].astype(bool)
    _require_finite("integrated", integrated)
    if (np.diff(data["omega"][()]) <= 0).any():
        raise ParameterError("its omega does not increase from projection to projection")
    if (integrated[~valid] > 0).any():
        raise ParameterError("it has counts in frames that it calls missing")
    _check_motors(motors, valid)
    _check_axes(file["entry/axes"], shape[1])
    roi, binning = file["entry/roi"].attrs, binning_of(file)
    if binning.shape_of((int(roi["rows"]), int(roi["cols"]))) != shape[2:]:
        size = f"{roi['rows']} x {roi['cols']}"
        bins = f"{binning.rows} x {binning.cols}"
        raise ParameterError(f"its region has {size} pixels in {bins}, its frames {shape[2:]}")


def _check_motors(motors: h5py.Group, valid: NDArray[np.bool_]) -> None:
    for name in ("omega", "diffrz", "chi", "phi"):
        _require_finite(f"motor {name}", motors[name][()][valid])


def _check_axes(axes: h5py.Group, frames: int) -> None:
    names = str(axes.attrs["order"]).split()
    for name in names:
        if axes[name].ndim != 1:
            raise ParameterError(f"its axis {name} has the shape {axes[name].shape}")
        _require_finite(f"axis {name}", axes[name][()])
    if math.prod(len(axes[name]) for name in names) != frames:
        raise ParameterError(f"its axes {', '.join(names)} do not span its {frames} frames")


def _require_shape(name: str, stored: Any, wanted: tuple[int, ...]) -> None:
    if stored.shape != tuple(wanted):
        raise ParameterError(f"its {name} has the shape {stored.shape}, expected {tuple(wanted)}")


def _require_finite(name: str, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise ParameterError(f"its {name} holds numbers that are not finite")
