"""The header of an EDF file: where the image starts, its layout, and its text.

fabio is the reader of record: it opens the first file of every layout that is met, and
its image must equal the one that is read here. All further files of that layout are read
without it, which is what makes a folder of 27,000 files bearable.
"""

from __future__ import annotations

import gzip
import io
import logging
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import fabio
import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError

_END = re.compile(rb"}\r?\n")
_BLANK = " \t\r\n\x00"
_NEXT_HEADER = re.compile(rb"\s*\{\r?\n")
_HEADER_FOR_IMAGE = re.compile(rb"\s*\{\r?\n[ -~]{6,}=")
_LOOK_BYTES = 64
_LIMIT_BYTES = 1 << 18
_SWAPPED_RATIO = 8.0
_ROWS_JUDGED = 128
_LAYOUT_KEYS = (
    *("dim_1", "dim_2", "dim_3", "datatype", "byteorder", "compression", "size"),
    *("edf_binaryfilename", "edf_binarysize"),
)


@dataclass(frozen=True)
class EdfHead:
    """What the header of one EDF file says.

    Parameters
    ----------
    text
        Values by key, the keys in lower case.
    offset
        Where the image starts, in bytes.
    shape
        Rows and columns of the image.
    stored
        Type of its pixels, in the byte order of the file.
    """

    text: dict[str, str]
    offset: int
    shape: tuple[int, int]
    stored: np.dtype[Any]

    @property
    def end(self) -> int:
        """Where the image ends, in bytes."""
        return self.offset + self.shape[0] * self.shape[1] * self.stored.itemsize


@contextmanager
def open_edf(path: str | Path) -> Iterator[BinaryIO]:
    """Open an EDF file, or one that gzip packed, for reading bytes.

    Raises
    ------
    DataError
        A packed file is damaged: it is unpacked to its end, so that its checksum is read.
    """
    if not str(path).endswith(".gz"):
        with open(path, "rb", buffering=0, opener=_no_waiting) as file:
            yield file
        return
    try:
        with open(path, "rb", opener=_no_waiting) as raw, gzip.open(raw) as packed:
            content = packed.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"cannot be unpacked, it is truncated or no gzip file ({error})") from error
    yield io.BytesIO(content)


def _no_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe that nobody writes to, too."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


class HeadReader:
    """Reads the headers of many EDF files; remembers the layouts that fabio confirmed."""

    def __init__(self) -> None:
        self._layouts: dict[tuple[str | None, ...], tuple[tuple[int, int], np.dtype[Any]]] = {}
        self._usual_bytes = 4096
        self._usual_order = ""

    def read(self, path: str | Path) -> EdfHead:
        """Read the header of one file and check that its image is all there.

        Raises
        ------
        DataError
            With the reason, but without the file's name.
        """
        try:
            with open_edf(path) as file:
                return self._read(file, path)
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})") from error

    def _read(self, file: BinaryIO, path: str | Path) -> EdfHead:
        length = file.seek(0, io.SEEK_END)
        text, offset = self._split(file, length)
        key = tuple(text.get(name) for name in _LAYOUT_KEYS)
        known = self._layouts.get(key)
        if known is None:
            refuse_unusual(text)
            refuse_odd_numbers(text)
        shape, stored = known or _layout_by_fabio(path)
        head = EdfHead(text, offset, shape, stored)
        if length < head.end:
            raise DataError(
                f"is truncated: {length} bytes, where the header asks for {head.end} "
                f"({shape[0]} x {shape[1]} pixels of {stored.name})"
            )
        if length > head.end:
            _refuse_second_frame(file, head.end)
        if known is None:
            _compare_with_fabio(file, head, path)
            self._layouts[key] = (shape, stored)
        # One file of another byte order than the others may only be labelled so.
        if known is None or stored.byteorder != self._usual_order:
            _refuse_swapped(file, head)
            self._usual_order = self._usual_order or stored.byteorder
        return head

    def _split(self, file: BinaryIO, length: int) -> tuple[dict[str, str], int]:
        """Text of the header by lower-case key, and where it ends in bytes."""
        if not length:
            raise DataError("is empty")
        file.seek(0)
        start = file.read(self._usual_bytes)
        if not start.lstrip().startswith(b"{"):
            raise DataError("is no EDF file: it does not start with a header in { }")
        end = _END.search(start)
        if end is None:
            start += file.read(_LIMIT_BYTES)
            end = _END.search(start)
        if end is None:
            raise DataError("has a header without an end, so it is truncated or no EDF file")
        if _HEADER_FOR_IMAGE.match(start, end.end()):
            raise DataError("holds a second header in place of its image: was a copy cut short?")
        self._usual_bytes = max(self._usual_bytes, end.end() + _LOOK_BYTES)
        return parse_header(start[: end.start()]), end.end()


def parse_header(block: bytes) -> dict[str, str]:
    """Values by lower-case key of a header block, from its `{` to before its `}`."""
    text = {}
    for line in block.decode("latin-1").partition("{")[2].split(";"):
        key, found, value = line.partition("=")
        if found:
            text[key.strip(_BLANK).lower()] = value.strip(_BLANK)
    return text


def read_pixels(file: BinaryIO, head: EdfHead, rows: slice, cols: slice) -> NDArray[Any]:
    """A part of an image, in native byte order.

    Parameters
    ----------
    file
        The open file; of it, the rows that are wanted are read, and no others.
    head
        Where its image is.
    rows, cols
        First row and column, and those after the last.

    Returns
    -------
    pixels, shape (rows, cols)

    Raises
    ------
    DataError
        The file ends before the last row.
    """
    native = head.stored.newbyteorder("=")
    return np.ascontiguousarray(_read_rows(file, head, rows)[:, cols], native)


def read_pixels_into(
    file: BinaryIO, head: EdfHead, rows: slice, cols: slice, out: NDArray[Any]
) -> None:
    """Write a part of an image into an array: as `read_pixels`, without a copy where it can be.

    Parameters
    ----------
    file, head, rows, cols
        As in `read_pixels`.
    out, shape (rows, cols)
        Where to write, of the native type of the pixels.

    Raises
    ------
    DataError
        The file ends before the last row.
    """
    whole_rows = cols.stop - cols.start == head.shape[1]
    if whole_rows and out.dtype == head.stored and out.flags.c_contiguous:
        _fill(file, head, rows, out)
    else:
        out[...] = _read_rows(file, head, rows)[:, cols]


def _read_rows(file: BinaryIO, head: EdfHead, rows: slice) -> NDArray[Any]:
    """Whole rows of an image, in the byte order of the file."""
    pixels = np.empty((rows.stop - rows.start, head.shape[1]), head.stored)
    _fill(file, head, rows, pixels)
    return pixels


def _fill(file: BinaryIO, head: EdfHead, rows: slice, pixels: NDArray[Any]) -> None:
    file.seek(head.offset + rows.start * pixels.strides[0])
    if file.readinto(pixels.data.cast("B")) < pixels.nbytes:  # type: ignore[attr-defined]
        raise DataError("ends before its last row: it was cut or is being written")


def _layout_by_fabio(path: str | Path) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape and stored type of the image of one file, from fabio."""
    try:
        with _quiet_fabio(), fabio.open(str(path)) as image:
            shape, dtype = tuple(image.shape), np.dtype(image.dtype)
            keys = {name.lower(): value for name, value in image.header.items()}
    except Exception as error:
        raise DataError(f"cannot be read by fabio ({error})") from error
    if len(shape) != 2 or not min(shape):
        raise DataError(f"holds an array of shape {shape}: expected one image of rows x columns")
    order = ">" if "High" in keys.get("byteorder", "") else "<"
    return (int(shape[0]), int(shape[1])), dtype.newbyteorder(order)


def _compare_with_fabio(file: BinaryIO, head: EdfHead, path: str | Path) -> None:
    """Make sure that the image read here is the one that fabio reads."""
    ours = read_pixels(file, head, slice(0, head.shape[0]), slice(0, head.shape[1]))
    try:
        with _quiet_fabio(), fabio.open(str(path)) as image:
            same = np.array_equal(ours, image.data, equal_nan=ours.dtype.kind == "f")
    except Exception as error:
        raise DataError(f"cannot be read by fabio ({error})") from error
    if not same:
        raise DataError(f"is read differently by fabio; {UNUSUAL}")


@contextmanager
def _quiet_fabio() -> Iterator[None]:
    """Keep fabio from printing what is raised as an error anyway."""
    logger = logging.getLogger("fabio")
    logger.addFilter(_nothing)
    children = [logging.getLogger(f"fabio.{name}") for name in ("edfimage", "openimage")]
    for child in children:
        child.addFilter(_nothing)
    try:
        yield
    finally:
        for quiet in (logger, *children):
            quiet.removeFilter(_nothing)


def _nothing(_: logging.LogRecord) -> bool:
    return False


def _refuse_swapped(file: BinaryIO, head: EdfHead) -> None:
    """Refuse counts that vary much less from pixel to pixel with their bytes swapped."""
    image = read_pixels(file, head, slice(0, head.shape[0]), slice(0, head.shape[1]))
    image = image[:: max(head.shape[0] // _ROWS_JUDGED, 1)]
    if image.dtype.kind not in "iu" or image.dtype.itemsize < 2 or min(image.shape) < 2:
        return
    images = (image, image.byteswap())
    rough, smooth = (float(np.median(np.abs(np.diff(i.astype(float))))) for i in images)
    if smooth > 0 and rough > _SWAPPED_RATIO * smooth:
        raise DataError(
            "seems to hold its bytes in the other order than ByteOrder = "
            f"{head.text.get('byteorder', 'none')} in its header says"
        )


def _refuse_second_frame(file: BinaryIO, end: int) -> None:
    file.seek(end)
    if _NEXT_HEADER.match(file.read(64)):
        raise DataError("holds more than one frame: expected one frame a file")


UNUSUAL = "write it anew as a plain EDF file"
_LARGEST_DIM = 1 << 20
_BYTE_ORDERS = ("LowByteFirst", "HighByteFirst")


def refuse_odd_numbers(text: dict[str, str]) -> None:
    """Refuse a header without a plausible number of pixels, their type or their byte order."""
    for name in ("dim_1", "dim_2"):
        value = text.get(name, "")
        if not (value.isascii() and value.isdigit() and 0 < int(value[:20]) < _LARGEST_DIM):
            raise DataError(f"has {name.capitalize()} = '{value[:20]}', no number of pixels")
    order = text.get("byteorder", "LowByteFirst")
    if order not in _BYTE_ORDERS:
        raise DataError(f"has ByteOrder = '{order[:20]}': expected {' or '.join(_BYTE_ORDERS)}")
    if not text.get("datatype"):
        raise DataError("does not name the DataType of its pixels")


def refuse_unusual(text: dict[str, str]) -> None:
    """Refuse images that are compressed, or in another file."""
    if not text.get("compression", "none").lower().startswith("no"):
        raise DataError(f"is compressed inside ({text['compression']}); {UNUSUAL}")
    if "edf_binaryfilename" in text:
        raise DataError(f"keeps its image in {text['edf_binaryfilename']}; {UNUSUAL}")
