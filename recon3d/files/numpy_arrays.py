"""The scan as NumPy files: settings, properties and, for a μ x γ grid, the frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from recon3d.errors import ParameterError, warn
from recon3d.files.store import CleanedScan
from recon3d.runtime.atomic import complete_or_absent, explaining_writes
from recon3d.scan.scan import Scan

FINAL, UNMASKED, RAW = "dataarray_final.npy", "cleaning_img.npy", "dataarray.npy"

CHOICES: dict[str, tuple[str, ...]] = {"none": (), "final": (FINAL,), "all": (FINAL, UNMASKED, RAW)}
"""Which arrays of frames each choice of the user leaves."""


class ArrayWriter:
    """Writes the NumPy files of a scan as it is cleaned: the sink of `clean`; a context manager.

    Arrays of frames have the axes (mu, gamma, omega, row, col): cleaned, before the mask, and as
    recorded. `which`: a key of `CHOICES`; a scan that is no μ x γ grid gets none, with a warning.
    `properties`: more lines for Image_properties.txt.
    """

    def __init__(
        self,
        scan: Scan | CleanedScan,
        folder: str | Path,
        which: str = "final",
        properties: Mapping[str, Any] | None = None,
    ) -> None:
        if which not in CHOICES:
            raise ParameterError(f"arrays is '{which}': expected {', '.join(CHOICES)}")
        self.scan, self.folder = scan, Path(folder)
        self._wanted = CHOICES[which] if is_grid(scan) else ()
        mu, *gamma = (axis.values_deg.size for axis in scan.axes)
        self._grid = (mu, *(gamma or [1]))
        self._properties = dict(properties or {})
        self._files: dict[str, SparseArrayFile] = {}
        self._stack = ExitStack()
        if CHOICES[which] and not self._wanted:
            names = " x ".join(axis.name for axis in scan.axes)
            warn(
                f"a {scan.kind} scan ({names}) is no grid of mu x gamma: it is left in the store "
                f"alone, without {', '.join(CHOICES[which])}"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> bool | None:
        if kind is None:
            write_settings(self.scan, self.folder, self._properties)
        return self._stack.__exit__(kind, *rest)

    @property
    def needs_unmasked(self) -> bool:
        """Whether the frames before the mask are wanted."""
        return UNMASKED in self._wanted

    def write(
        self,
        k: int,
        *,
        cleaned: NDArray[np.float32],
        raw: NDArray[Any] | None = None,
        unmasked: NDArray[np.float32] | None = None,
    ) -> None:
        """Write projection `k`: arrays of shape (frames, rows, cols), each where wanted.

        An array that never gets any frames gets no file.
        """
        given = {FINAL: cleaned, UNMASKED: unmasked, RAW: raw}
        for name in self._wanted:
            frames = given[name]
            if frames is None:
                continue
            file = self._file(name, frames.dtype)
            for place, frame in zip(np.ndindex(self._grid), frames, strict=True):
                file.write((*place, k), frame)

    def _file(self, name: str, dtype: np.dtype[Any]) -> SparseArrayFile:
        """The file of that name, begun now if it is the first time."""
        if name not in self._files:
            shape = (*self._grid, self.scan.shape[0], *self.scan.shape[2:])
            file = SparseArrayFile(self.folder / name, shape, dtype.newbyteorder("="))
            self._files[name] = self._stack.enter_context(file)
        return self._files[name]


def is_grid(scan: Scan | CleanedScan) -> bool:
    """Whether every projection is a grid of mu x gamma, or of mu alone, and nothing else."""
    names = {axis.name for axis in scan.axes}
    return scan.kind in ("mosaicity", "rocking") and "mu" in names and names <= {"mu", "gamma"}


def write_settings(
    scan: Scan | CleanedScan, folder: str | Path, properties: Mapping[str, Any] | None = None
) -> None:
    """Write the small files: omega.npy, one for each axis, Image_properties.txt.

    A rocking scan has one γ: the mean of its frames'.
    """
    settings = {axis.name: axis.values_deg for axis in scan.axes}
    if is_grid(scan) and "gamma" not in settings:
        settings["gamma"] = scan.settings(slice(None))[1][scan.valid].mean(keepdims=True)
    for name, values in {**settings, "omega": scan.omega_deg}.items():
        with complete_or_absent(Path(folder) / f"{name}.npy") as temporary:
            np.save(temporary, values)
    lines = _properties(scan, settings) | dict(properties or {})
    with complete_or_absent(Path(folder) / "Image_properties.txt") as temporary:
        text = "".join(f"{key} {value}\n" for key, value in lines.items())
        temporary.write_text(text, encoding="utf-8")


def _properties(
    scan: Scan | CleanedScan, settings: Mapping[str, NDArray[np.float64]]
) -> dict[str, Any]:
    """The lines of Image_properties.txt: sizes, steps and origins, by their keys."""
    lines: dict[str, Any] = {"kind": scan.kind}
    lines |= {f"roi_{name}": value for name, value in asdict(scan.roi).items()}
    lines |= {f"binning_{name}": value for name, value in scan.binning._asdict().items()}
    for name, values in {**settings, "omega": scan.omega_deg}.items():
        unit = "kev" if name == "energy" else "deg"
        step = float(np.median(np.diff(values))) if values.size > 1 else 0.0
        lines |= {
            f"{name}_number": values.size,
            f"{name}_first_{unit}": f"{values[0]:.8g}",
            f"{name}_last_{unit}": f"{values[-1]:.8g}",
            f"{name}_step_{unit}": f"{step:.8g}",
        }
    return lines | {f"origin_{name}": value for name, value in asdict(scan.origin).items()}


class SparseArrayFile:
    """A .npy file that is written piece by piece, dark ones as holes; a context manager.

    Unlike through a memory map, a full disk is an error that can be told, not a crash.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.path, self.shape, self.dtype = Path(path), shape, np.dtype(dtype)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(complete_or_absent(self.path))
            self._file: BinaryIO = stack.enter_context(temporary.open("wb"))
            header = np.lib.format.header_data_from_array_1_0(np.empty(0, self.dtype))
            np.lib.format.write_array_header_1_0(self._file, header | {"shape": self.shape})
            self._start = self._file.tell()
            self._file.truncate(self._start + math.prod(self.shape) * self.dtype.itemsize)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def write(self, index: tuple[int, ...], values: NDArray[Any]) -> None:
        """Write `array[index] = values`, where `index` picks along the leading axes."""
        rest = self.shape[len(index) :]
        if values.shape != rest:
            raise ParameterError(f"{self.path}: a piece of shape {values.shape}, expected {rest}")
        if values.any():
            piece = np.ravel_multi_index(index, self.shape[: len(index)])
            with explaining_writes(self.path):
                self._file.seek(self._start + int(piece) * math.prod(rest) * self.dtype.itemsize)
                self._file.write(np.ascontiguousarray(values, self.dtype).data)
