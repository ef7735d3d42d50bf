"""The cleaned scan on disk, scan.h5, which a `recon3d.files.store_writer.StoreWriter` writes.

    /entry/data            frames (omega, frame, row, col), summed, integrated, valid, omega
    /entry/motors          the motors of every frame, (omega, frame); mu and gamma are derived
    /entry/axes            the settings of a projection, one axis after another in C order
    /entry/origin, /entry/roi, /entry/binning, /entry/provenance   as attributes
    /entry/left_out        the frames that were left out, and why

The attribute `doubts` of the file says why the scan may not hold the whole grain.

Frames that are dark everywhere are not written, and read as zeros. What is compressed carries a
checksum, which HDF5 compares before it unpacks; files of version 0.1 have none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.errors import DataError, ParameterError
from recon3d.files.hdf5 import named_errors, open_own, read_attributes
from recon3d.geometry import TiltOrigin
from recon3d.readers.bliss.datasets import require_sound_chunks
from recon3d.readers.source import NO_BINNING, Binning, MotorTable, Roi
from recon3d.scan.grid import KINDS
from recon3d.scan.table import ScanTable, SettingAxis

FloatArray = NDArray[np.float64]
Frames = NDArray[np.float32]

FORMAT = "recon3d-scan"
FORMAT_VERSION = 1
_WHAT = "cleaned scan"

PACKED: dict[str, Any] = {"compression": hdf5plugin.Bitshuffle(cname="lz4"), "fletcher32": True}
"""How large datasets are stored."""

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


def runs(flags: NDArray[np.bool_]) -> Iterator[slice]:
    """Go through the stretches of true values, as slices."""
    edges = np.flatnonzero(np.diff(flags.astype(np.int8), prepend=0, append=0))
    for start, stop in edges.reshape(-1, 2).tolist():
        yield slice(start, stop)


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
        with _opened(self.path):
            file = h5py.File(self.path, "r", locking=False)
        with file:
            yield replace(self, _file=file)

    @contextmanager
    def _opened(self, what: str = "") -> Iterator[h5py.Group]:
        """/entry of the file, opened for a moment unless it is kept open; `what` is read of it."""
        if self._file is None:
            with _opened(self.path) as file, named_errors(self.path, _WHAT, what):
                yield file["entry"]
        else:
            with named_errors(self.path, _WHAT, what):
                yield self._file["entry"]

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_file": None}  # copies open the file themselves

    @property
    def summed(self) -> Frames:
        """Each projection's sum over its frames, (projections, rows, cols), read on the spot."""
        with self._opened("the summed projections") as entry:
            return _part(entry["data/summed"], np.s_[:])

    def read_summed(self, k: int) -> Frames:
        """Read the sum over the frames of projection `k`, (rows, cols)."""
        k = self.number(k)
        with self._opened(f"the sum of projection {k}") as entry:
            return _part(entry["data/summed"], np.s_[k])

    def read_pixel(self, k: int, row: int, col: int) -> Frames:
        """Read the counts of one pixel in all frames of projection `k`, shape (frames,)."""
        k = self.number(k)
        with self._opened(f"projection {k}") as entry:
            return _part(entry["data/frames"], np.s_[k, :, row, col])

    @property
    def source_files(self) -> NDArray[np.str_]:
        """Names of the raw frames, (projections, frames), read on the spot; "" if unknown."""
        with self._opened("the names of the raw frames") as entry:
            if "source_files" not in entry["data"]:
                return np.full(self.shape[:2], "")
            return np.char.decode(_part(entry["data/source_files"], np.s_[:]), "utf-8")

    @property
    def doubts(self) -> tuple[str, ...]:
        """Why it may not hold the whole grain; none in files from before that was looked at."""
        with self._opened() as entry:
            return tuple(map(str, read_attributes(entry.file).get("doubts", ())))

    @property
    def left_out(self) -> list[str]:
        """The frames that were left out, each with the reason, read on the spot."""
        with self._opened() as entry:
            if "left_out" not in entry:
                return []
            return [str(line) for line in entry["left_out"].asstr()[()]]

    def read_projection(self, k: int) -> Frames:
        """Read the frames of projection `k`, (frames, rows, cols), zero where dark.

        Raises
        ------
        DataError
            The file cannot be read, or its frames are not those that were written.
        ParameterError
            There is no such projection.
        """
        k = self.number(k)
        frames = np.zeros(self.shape[1:], np.float32)
        self._read_illuminated(k, frames, packed=False)
        return frames

    def read_illuminated(self, k: int) -> tuple[NDArray[np.int64], Frames]:
        """Read the frames of projection `k` that are not all dark, and their numbers.

        They are (lit frames, rows, cols). Raises as `read_projection` does.
        """
        k = self.number(k)
        numbers = np.flatnonzero(self.integrated[k] > 0)
        frames = np.empty((numbers.size, *self.shape[2:]), np.float32)
        self._read_illuminated(k, frames, packed=True)
        return numbers, frames

    def _read_illuminated(self, k: int, frames: Frames, *, packed: bool) -> None:
        """Read the lit frames of projection `k` into their places, or one after the other."""
        done, illuminated = 0, self.integrated[k] > 0
        with self._opened(f"projection {k}") as entry:
            stored = entry["data/frames"]
            for run in runs(illuminated):
                count = run.stop - run.start
                place = slice(done, done + count) if packed else run
                _require_sound(stored, np.s_[k, run])
                stored.read_direct(frames, np.s_[k, run], place)
                # In single precision: pairwise sums are right to a millionth, and quicker.
                sums = frames[place].reshape(count, -1).sum(axis=1)
                if not np.allclose(sums, self.integrated[k, run], rtol=1e-5):
                    raise DataError(
                        f"{self.path}: the frames of projection {k} are not those that were "
                        "written: the file is damaged; clean the scan again"
                    )
                done += count


@checked(path="the path of a scan.h5")
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

    Examples
    --------
    >>> import recon3d as r3
    >>> cleaned = r3.open_store("scan.h5")
    >>> cleaned[0].frames.sum(axis=0).shape
    (32, 32)
    """
    path = Path(path)
    with _opened(path) as file:
        _check(file)
        data, motors, axes = (file[f"entry/{name}"] for name in ("data", "motors", "axes"))
        valid = data["valid"][()].astype(bool)
        return CleanedScan(
            path=path,
            kind=file["entry"].attrs["kind"],
            axes=tuple(SettingAxis(n, axes[n][()]) for n in axes.attrs["order"].split()),
            origin=TiltOrigin(**read_attributes(file["entry/origin"])),
            omega_deg=data["omega"][()],
            slots=np.where(valid, np.arange(valid.size).reshape(valid.shape), -1),
            motors=MotorTable(**{column: motors[n][()] for n, column in MOTORS.items()}),
            roi=Roi(**read_attributes(file["entry/roi"])),
            binning=_binning_of(file),
            integrated=data["integrated"][()],
            provenance=read_attributes(file["entry/provenance"]),
        )


@contextmanager
def _opened(path: Path) -> Iterator[h5py.File]:
    """Open a cleaned scan for reading, and tell what is wrong with it in a DataError."""
    with open_own(path, FORMAT, FORMAT_VERSION, _WHAT) as file:
        if not bool(np.all(file.attrs.get("_complete", False))):
            raise DataError(f"{path}: was not written to its end; clean the scan again")
        yield file


def _part(stored: h5py.Dataset, selection: Any) -> NDArray[Any]:
    """A part of a dataset, read once its chunks are known to be sound."""
    _require_sound(stored, selection)
    return stored[selection]


def _require_sound(stored: h5py.Dataset, selection: Any) -> None:
    """Refuse chunks that would crash their filter; needed for files without checksums."""
    given = selection if isinstance(selection, tuple) else (selection,)
    parts = [part if isinstance(part, slice) else slice(part, part + 1) for part in given]
    rest = stored.shape[len(parts) :]
    spans = [part.indices(n)[:2] for part, n in zip(parts, stored.shape, strict=False)]
    require_sound_chunks(
        stored, tuple(slice(*span) for span in [*spans, *((0, size) for size in rest)])
    )


def _binning_of(file: h5py.File) -> Binning:
    """How frames were binned; files from before there was a choice do not say, as none were."""
    if "binning" not in file["entry"]:
        return NO_BINNING
    return Binning(**read_attributes(file["entry/binning"]))


def _check(file: h5py.File) -> None:
    """Check what the parts of the open file hold, and that they fit together.

    Raises a ParameterError, without the file's name, where something does not fit.
    """
    data, motors = file["entry/data"], file["entry/motors"]
    shape = data["frames"].shape
    if len(shape) != 4 or data["frames"].dtype.kind != "f":
        raise ParameterError(f"its frames have the shape {shape}, where four axes are expected")
    kind, known = file["entry"].attrs["kind"], sorted({each.name for each in KINDS})
    if kind not in known:
        raise ParameterError(f"its kind of scan is '{kind}': expected {', '.join(known)}")
    shapes = {"valid": shape[:2], "integrated": shape[:2], "summed": (shape[0], *shape[2:])}
    for name, wanted in shapes.items():
        if data[name].shape != wanted:
            raise ParameterError(f"its {name} has the shape {data[name].shape}, expected {wanted}")
    _require_finite("omega", data["omega"][()])
    integrated, valid = data["integrated"][()], data["valid"][()].astype(bool)
    _require_finite("integrated", integrated)
    if (np.diff(data["omega"][()]) <= 0).any():
        raise ParameterError("its omega does not increase from projection to projection")
    if (integrated[~valid] > 0).any():
        raise ParameterError("it has counts in frames that it calls missing")
    for name, readings in motors.items():
        if readings.shape != shape[:2]:
            raise ParameterError(f"its motor {name} has the shape {readings.shape}")
        if name in ("omega", "diffrz", "chi", "phi"):
            _require_finite(f"motor {name}", readings[()][valid])
    axes = file["entry/axes"]
    for name in str(axes.attrs["order"]).split():
        if axes[name].ndim != 1:
            raise ParameterError(f"its axis {name} has the shape {axes[name].shape}")
        _require_finite(f"axis {name}", axes[name][()])
    roi, binning = file["entry/roi"].attrs, _binning_of(file)
    fits = min(binning) > 0 and binning.shape_of((roi["rows"], roi["cols"])) == shape[2:]
    if not fits:
        size = f"{roi['rows']} x {roi['cols']}"
        bins = f"{binning.rows} x {binning.cols}"
        raise ParameterError(f"its region has {size} pixels in {bins}, its frames {shape[2:]}")


def _require_finite(name: str, values: NDArray[Any]) -> None:
    if not np.isfinite(values).all():
        raise ParameterError(f"its {name} holds numbers that are not finite")
