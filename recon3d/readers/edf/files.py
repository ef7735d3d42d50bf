"""Many EDF files of one layout: found by prefix, checked header by header, read by rows."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError, warn
from recon3d.progress import track
from recon3d.readers.damage import Damage, list_damage
from recon3d.readers.edf.header import EdfHead, HeadReader, open_edf, read_pixels_into
from recon3d.readers.edf.motors import UnknownMotorError
from recon3d.readers.source import Roi

T = TypeVar("T")
_NAMED = 5


@dataclass(frozen=True, eq=False)
class EdfFiles(Generic[T]):
    """EDF files of one shape and type, each with what was `taken` from its header."""

    folder: Path
    names: tuple[str, ...]
    heads: tuple[EdfHead, ...]
    taken: tuple[T, ...]
    frame_shape: tuple[int, int]
    dtype: np.dtype[Any]
    left_out: tuple[Damage, ...] = ()

    def read(self, index: int, roi: Roi) -> NDArray[Any]:
        """Pixels of one file inside `roi`, shape (rows, cols), in native byte order."""
        pixels = np.empty((roi.rows, roi.cols), self.dtype)
        self.read_into(index, roi, pixels)
        return pixels

    def read_into(self, index: int, roi: Roi, out: NDArray[Any]) -> None:
        """Write the pixels of one file inside `roi` into an array, shape (rows, cols)."""
        roi.require_inside(self.frame_shape)
        head = self.heads[index]
        rows = slice(roi.row, roi.row + roi.rows)
        cols = slice(roi.col, roi.col + roi.cols)
        path = os.path.join(self.folder, self.names[index])  # noqa: PTH118 (ten times quicker)
        try:
            with open_edf(path) as file:
                read_pixels_into(file, head, rows, cols, out)
        except DataError as error:
            raise DataError(f"{path} {error}") from error
        except OSError as error:
            raise DataError(f"{path} cannot be read ({error.strerror or error})") from error

    def reordered(self, order: NDArray[np.int64]) -> EdfFiles[T]:
        """The same files in another order."""
        names, heads, taken = (
            tuple(column[i] for i in order) for column in (self.names, self.heads, self.taken)
        )
        return replace(self, names=names, heads=heads, taken=taken)


def list_edf(folder: str | Path, prefix: str) -> list[str]:
    """Names of the EDF files in a folder that begin with `prefix`, numbers in number order.

    Raises
    ------
    DataError
        The folder does not exist or has no such file; the message names similar ones.
    """
    try:
        every = [path.name for path in Path(folder).iterdir()]
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"the folder {folder} cannot be read ({reason})") from error
    edf = [name for name in every if name.endswith((".edf", ".edf.gz"))]
    names = [name for name in edf if name.startswith(prefix)]
    if not names:
        raise DataError(f"no file {prefix}*.edf or {prefix}*.edf.gz in {folder}: {_similar(edf)}")
    return sorted(names, key=_natural)


def read_heads(
    folder: str | Path,
    prefix: str,
    take: Callable[[dict[str, str]], T],
    *,
    skip_damaged: bool = False,
    show: bool = True,
) -> EdfFiles[T]:
    """Read the headers of all files with a prefix, and check that their images are whole.

    Parameters
    ----------
    folder, prefix
        Where the files are, and how their names begin.
    take
        What to keep of a header; a DataError from it counts the file as damaged, once it
        accepted a first one.
    skip_damaged
        Leave damaged files out, with a warning, where the default is an error.
    show
        Show a progress bar.

    Raises
    ------
    DataError
        All damaged files at once, each with the reason.
    """
    names = list_edf(folder, prefix)
    reader = HeadReader()
    good: list[tuple[str, EdfHead, T]] = []
    damaged: list[Damage] = []
    for name in track(names, "Reading headers", unit="file", show=show):
        try:
            head = reader.read(os.path.join(folder, name))  # noqa: PTH118 (as above)
            good.append((name, replace(head, text={}), take(head.text)))
        except UnknownMotorError as error:
            raise DataError(f"{folder}: {error}") from error
        except DataError as error:
            damaged.append((name, str(error)))
    good, odd = _split_by_layout(good)
    place = {name: number for number, name in enumerate(names)}
    left_out = sorted(damaged + odd, key=lambda item: place[item[0]])
    _report_damage(Path(folder), left_out, len(names), skip_damaged and bool(good))
    first = good[0][1]
    return EdfFiles(
        folder=Path(folder),
        names=tuple(name for name, _, _ in good),
        heads=tuple(head for _, head, _ in good),
        taken=tuple(taken for _, _, taken in good),
        frame_shape=first.shape,
        dtype=first.stored.newbyteorder("="),
        left_out=tuple((str(Path(folder) / name), reason) for name, reason in left_out),
    )


def _split_by_layout(
    entries: list[tuple[str, EdfHead, T]],
) -> tuple[list[tuple[str, EdfHead, T]], list[Damage]]:
    """The files of the commonest shape and type, and the others with what is odd in them."""
    kinds = [_layout(head) for _, head, _ in entries]
    usual = Counter(kinds).most_common(1)[0][0] if kinds else ""
    odd = [
        (entry[0], f"holds {kind}, where most files hold {usual}")
        for entry, kind in zip(entries, kinds, strict=True)
        if kind != usual
    ]
    return [e for e, kind in zip(entries, kinds, strict=True) if kind == usual], odd


def _layout(head: EdfHead) -> str:
    return f"{head.shape[0]} x {head.shape[1]} pixels of {head.stored.newbyteorder('=').name}"


def _report_damage(folder: Path, damaged: list[Damage], count: int, skip_damaged: bool) -> None:
    """Warn of damaged files, or refuse them."""
    if not damaged:
        return
    message = f"{len(damaged)} of {count} files in {folder} are damaged: {list_damage(damaged)}"
    if not skip_damaged:
        raise DataError(message)
    warn(f"{message}. They are left out")


def _similar(names: Iterable[str]) -> str:
    """What else there is in a folder, grouped by the names without their numbers."""
    stems = Counter(re.sub(r"\d*\.edf(\.gz)?$", "", name) for name in names)
    if not stems:
        return "it has no EDF file at all"
    listed = [f"{stem}*.edf ({count} files)" for stem, count in stems.most_common(_NAMED)]
    return f"it has {', '.join(listed)}"


def _natural(name: str) -> list[tuple[int, str]]:
    """A key that sorts the numbers in names as numbers: scan_9 before scan_10."""
    parts = re.split(r"(\d+)", name)
    return [(int(part), "") if i % 2 else (0, part) for i, part in enumerate(parts)]
