"""The cleaned scan on disk, scan.h5: opened here, written by a `StoreWriter`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError
from recon3d.files import store_format as layout
from recon3d.files.attributes import read_attributes
from recon3d.files.store_format import check_store
from recon3d.files.store_writer import StoreWriter
from recon3d.geometry import TiltOrigin
from recon3d.readers.motors import MotorTable
from recon3d.readers.source import Roi
from recon3d.scan.table import ScanTable, SettingAxis

__all__ = ["CleanedScan", "StoreWriter", "open_store"]

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class CleanedScan(ScanTable):
    """A cleaned scan on disk: what is known of its frames, and the frames when asked for.

    It holds no open file, so that it can be sent to other processes; `kept_open` does.
    ``len(store)`` is the number of projections; ``store[k]`` reads one, as a
    `recon3d.scan.table.Projection`.

    Parameters
    ----------
    path
        The file.
    integrated
        Shape (projections, frames): the sum of each frame's counts.
    provenance
        How the file was made.
    kind, axes, origin, omega_deg, slots, motors, roi, binning
        As in `recon3d.scan.table.ScanTable`; the file is the source that slots count in.
    """

    path: Path
    integrated: FloatArray
    provenance: dict[str, Any] = field(default_factory=dict)
    _file: h5py.File | None = None

    @contextmanager
    def kept_open(self) -> Iterator[CleanedScan]:
        """The same scan with its file open until the end: to open it takes longer than to read."""
        with layout.opened(self.path):
            file = h5py.File(self.path, "r", locking=False)
        with file:
            yield replace(self, _file=file)

    @contextmanager
    def _opened(self) -> Iterator[h5py.File]:
        """The file that is kept open, or the file opened for a moment."""
        if self._file is None:
            with layout.opened(self.path) as file:
                yield file
        else:
            with layout.naming_errors(self.path):
                yield self._file

    @property
    def summed(self) -> Frames:
        """Each projection's sum over its frames, (projections, rows, cols), read on the spot."""
        with layout.opened(self.path) as file:
            return file["entry/data/summed"][()]

    def read_summed(self, k: int) -> Frames:
        """Read the sum over the frames of projection `k`, (rows, cols)."""
        with self._opened() as file:
            return file["entry/data/summed"][k]

    @property
    def source_files(self) -> NDArray[np.str_]:
        """Names of the raw frames, (projections, frames), read on the spot; "" if unknown."""
        with layout.opened(self.path) as file:
            if "source_files" not in file["entry/data"]:
                return np.full(self.shape[:2], "")
            return file["entry/data/source_files"].asstr()[()].astype(str)

    @property
    def left_out(self) -> list[str]:
        """The frames that were left out, each with the reason, read on the spot."""
        with layout.opened(self.path) as file:
            if "left_out" not in file["entry"]:
                return []
            return [str(line) for line in file["entry/left_out"].asstr()[()]]

    def read_projection(self, k: int) -> Frames:
        """Read the frames of projection `k`, (frames, rows, cols), zero where dark.

        Raises
        ------
        DataError
            The file cannot be read, or its frames are not those that were written.
        IndexError
            There is no such projection.
        """
        frames = np.zeros(self.shape[1:], np.float32)
        self._read_illuminated(k, frames, packed=False)
        return frames

    def _compare(self, k: int, run: slice, frames: Frames) -> None:
        """Compare frames with the sums that were written beside them."""
        # In single precision: pairwise sums are right to a millionth, and thrice as quick.
        sums = frames.reshape(len(frames), -1).sum(axis=1)
        if not np.allclose(sums, self.integrated[k, run], rtol=1e-5):
            raise DataError(
                f"{self.path}: the frames of projection {k % self.shape[0]} are not those that "
                "were written: the file is damaged; clean the scan again"
            )

    def read_illuminated(self, k: int) -> tuple[NDArray[np.int64], Frames]:
        """Read the frames of projection `k` that are not dark all over.

        Returns
        -------
        numbers, shape (lit frames,)
            Which frames they are.
        frames, shape (lit frames, rows, cols)
            Their counts.

        Raises
        ------
        DataError
            The file cannot be read, or its frames are not those that were written.
        IndexError
            There is no such projection.
        """
        numbers = np.flatnonzero(self.integrated[k] > 0)
        frames = np.empty((numbers.size, *self.shape[2:]), np.float32)
        self._read_illuminated(k, frames, packed=True)
        return numbers, frames

    def _read_illuminated(self, k: int, frames: Frames, *, packed: bool) -> None:
        """Read the lit frames of projection `k` into their places, or one after the other."""
        done, illuminated = 0, self.integrated[k] > 0
        with self._opened() as file:
            stored = file["entry/data/frames"]
            for run in layout.runs(illuminated):
                count = run.stop - run.start
                place = slice(done, done + count) if packed else run
                stored.read_direct(frames, np.s_[k % self.shape[0], run], place)
                self._compare(k, run, frames[place])
                done += count


def open_store(path: str | Path) -> CleanedScan:
    """Open a cleaned scan; the frames stay on disk.

    Parameters
    ----------
    path
        The file, usually scan.h5.

    Raises
    ------
    DataError
        The file cannot be opened, is no cleaned scan, is of a newer version than this
        program knows, or lacks a part.
    """
    path = Path(path)
    with layout.opened(path) as file:
        check_store(file)
        data, motors, axes = (file[f"entry/{name}"] for name in ("data", "motors", "axes"))
        valid = data["valid"][()].astype(bool)
        return CleanedScan(
            path=path,
            kind=file["entry"].attrs["kind"],
            axes=tuple(SettingAxis(n, axes[n][()]) for n in axes.attrs["order"].split()),
            origin=TiltOrigin(**read_attributes(file["entry/origin"])),
            omega_deg=data["omega"][()],
            slots=np.where(valid, np.arange(valid.size).reshape(valid.shape), -1),
            motors=MotorTable(**{column: motors[n][()] for n, column in layout.MOTORS.items()}),
            roi=Roi(**read_attributes(file["entry/roi"])),
            binning=layout.binning_of(file),
            integrated=data["integrated"][()],
            provenance=read_attributes(file["entry/provenance"]),
        )
