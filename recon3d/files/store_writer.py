"""Writing of scan.h5, one projection after another."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d import __version__
from recon3d.errors import DataError, ParameterError
from recon3d.files.hdf5 import (
    add_numbers,
    create_own,
    require_replaceable,
    require_room,
    sum_texts,
    write_attributes,
)
from recon3d.files.nexus import new_group, show_scan
from recon3d.files.store import FORMAT, FORMAT_VERSION, MOTORS, PACKED, UNITS, chunk_shape, runs
from recon3d.runtime.atomic import explaining_writes
from recon3d.scan.table import ScanTable

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]


class StoreWriter:
    """Writes a cleaned scan, usually scan.h5; a context manager. After an error there is no file.

    `table`: the layout of the scan. `provenance`: how the file is made. `source_files`,
    (projections, frames): names of the raw frames.
    """

    def __init__(
        self,
        path: str | Path,
        table: ScanTable,
        *,
        provenance: dict[str, Any],
        source_files: ArrayLike | None = None,
    ) -> None:
        self.path, self.table, self.shape = Path(path), table, table.shape
        self._provenance, self._source_files = dict(provenance), source_files
        self._written: set[int] = set()
        self._left_out: list[str] = []
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            require_replaceable(self.path)
            self._file = stack.enter_context(create_own(self.path))
            self._lay_out()
            stack.push(self._finish)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> bool | None:
        return self._stack.__exit__(*error)

    def note(self, **provenance: Any) -> None:
        """Add to the provenance what is known only while the scan is cleaned."""
        self._provenance.update(provenance)

    def leave_out(self, frames: Sequence[str]) -> None:
        """Add to the list of frames that were left out, each with the reason."""
        self._left_out.extend(frames)

    def forget_frame(self, k: int, frame: int) -> None:
        """Take a frame for missing that was there when the scan was opened."""
        data, motors = self._file["entry/data"], self._file["entry/motors"]
        data["valid"][k, frame] = False
        for column in motors.values():
            column[k, frame] = math.nan
        if "source_files" in data:
            data["source_files"][k, frame] = ""

    def doubt(self, doubts: Sequence[str]) -> None:
        """Note why the scan may be wrong, as the attribute `doubts` of the file."""
        self._file.attrs.create("doubts", list(doubts), (len(doubts),), h5py.string_dtype())
        sum_texts(self._file)

    def write(self, k: int, frames: Frames) -> Frames:
        """Write projection `k`, (frames, rows, cols), once, in any order; return their sum.

        A ParameterError where it does not fit, an OutputError where the disk fails.
        """
        if not 0 <= k < self.shape[0] or k in self._written:
            raise ParameterError(f"projection {k} of {self.shape[0]} cannot be written (again)")
        if frames.shape != self.shape[1:]:
            raise ParameterError(f"frames of shape {frames.shape}: expected {self.shape[1:]}")
        sums = frames.sum(axis=(1, 2), dtype=np.float64)
        if not (np.isfinite(sums).all() and frames.min() >= 0):
            raise ParameterError(f"projection {k} holds counts that are negative or not finite")
        require_room(self.path, frames.nbytes)
        data = self._file["entry/data"]
        for run in self._chunk_runs(sums > 0):
            data["frames"][k, run] = frames[run]
        data["integrated"][k] = sums
        summed = np.zeros(self.shape[2:], np.float32)
        for number in np.flatnonzero(sums):
            summed += frames[number]
        data["summed"][k] = summed
        with explaining_writes(self.path):
            self._file.settle()
        self._written.add(k)
        return summed

    def _chunk_runs(self, illuminated: NDArray[np.bool_]) -> Iterator[slice]:
        """Stretches of frames, in whole chunks, that hold all lit ones."""
        size = chunk_shape(self.shape)[1]
        starts = range(0, illuminated.size, size)
        for run in runs(np.array([illuminated[start : start + size].any() for start in starts])):
            yield slice(run.start * size, min(run.stop * size, illuminated.size))

    def _lay_out(self) -> None:
        """Write all that is known before the first frame."""
        file = self._file
        file.attrs["_format"], file.attrs["_format_version"] = FORMAT, FORMAT_VERSION
        file.attrs["_written_by"] = f"recon3d {__version__}"
        entry = new_group(file, "entry", "NXentry", kind=self.table.kind)
        self._lay_out_data(new_group(entry, "data", "NXdata"))
        motors = new_group(entry, "motors", "NXcollection")
        for name, column in MOTORS.items():
            _column(motors, name, getattr(self.table.motors, column))
        for name, angles in zip(("mu", "gamma"), self.table.settings(slice(None)), strict=True):
            _column(motors, name, angles)
        axes = new_group(entry, "axes", "NXcollection")
        axes.attrs["order"] = " ".join(axis.name for axis in self.table.axes)
        for axis in self.table.axes:
            _column(axes, axis.name, axis.values_deg)
        for name, values in (("origin", self.table.origin), ("roi", self.table.roi)):
            write_attributes(new_group(entry, name, "NXcollection"), asdict(values))
        write_attributes(new_group(entry, "binning", "NXcollection"), self.table.binning._asdict())

    def _lay_out_data(self, data: h5py.Group) -> None:
        projections, frames, rows, cols = self.shape
        data.attrs["signal"], data.attrs["axes"] = "frames", ["omega", ".", ".", "."]
        for name, shape, chunks in (
            ("frames", self.shape, chunk_shape(self.shape)),
            ("summed", (projections, rows, cols), (1, rows, cols)),
        ):
            stored = data.create_dataset(name, shape, np.float32, chunks=chunks, **PACKED)
            stored.attrs["units"] = "counts"
        add_numbers(data, "integrated", np.zeros((projections, frames)), (1, frames))
        add_numbers(data, "valid", self.table.valid)
        _column(data, "omega", self.table.omega_deg)
        if self._source_files is not None:
            # Names that are no UTF-8 on the disk are written with escapes.
            names = np.char.encode(
                np.asarray(self._source_files, str), "utf-8", errors="backslashreplace"
            )
            text = h5py.string_dtype("utf-8", max(names.dtype.itemsize, 1))
            data.create_dataset("source_files", data=names.astype(text), **PACKED)

    def _finish(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """Mark the file as complete, unless an error ends it."""
        if error is not None:
            return
        missing = self.shape[0] - len(self._written)
        if missing:
            raise DataError(f"{self.path}: {missing} of {self.shape[0]} projections are missing")
        entry = self._file["entry"]
        write_attributes(new_group(entry, "provenance", "NXcollection"), self._provenance)
        lines = [line.encode("utf-8", "backslashreplace") for line in self._left_out]
        text = h5py.string_dtype("utf-8", max(map(len, lines), default=1))
        add_numbers(entry, "left_out", np.array(lines, text))
        axes = [(axis.name, axis.values_deg) for axis in self.table.axes]
        show_scan(self._file, self._provenance, axes)
        self._file.attrs["_complete"] = True


def _column(group: h5py.Group, name: str, values: ArrayLike) -> None:
    stored = add_numbers(group, name, np.asarray(values, np.float64))
    stored.attrs["units"] = UNITS.get(name, "degree")
