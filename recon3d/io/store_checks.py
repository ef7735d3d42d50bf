"""Whether the parts of a scan.h5 fit together."""

from __future__ import annotations

import math
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError
from recon3d.io import store_format as layout

KINDS = ("rocking", "mosaicity", "tilts", "skew")


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
    if kind not in KINDS:
        raise ParameterError(f"its kind of scan is '{kind}': expected {', '.join(KINDS)}")
    expected: dict[str, tuple[int, ...]] = {
        "omega": shape[:1],
        "valid": shape[:2],
        "integrated": shape[:2],
        "summed": (shape[0], *shape[2:]),
    }
    for name, wanted in expected.items():
        _require_shape(name, data[name], wanted)
    for name in layout.MOTORS:
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
    roi, binning = file["entry/roi"].attrs, layout.binning_of(file)
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
