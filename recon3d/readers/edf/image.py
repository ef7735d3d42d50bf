"""One EDF image: what its header says, where it lies in its file, and its pixels.

Plain images are read here: fabio fills what a truncated file lacks with zeros, takes no file
without a ByteOrder, and its quick reading of regions supposes headers of one length. What is
packed inside the file, or kept in a second one, is left to fabio.
"""

from __future__ import annotations

import bz2
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

import numpy as np
from fabio.edfimage import DATA_TYPES, EdfImage
from numpy.typing import NDArray

from recon3d.errors import DataError

_END = re.compile(rb"}\r?\n")
_HEADER = re.compile(rb"[\s\x00]*\{\s*\n[ -~\t]{2,}=")
_BLANK = " \t\r\n\x00"
_LOOK_BYTES = 64
_LIMIT_BYTES = 1 << 24
_LARGEST_DIM = 1 << 20
_SWAPPED_RATIO = 8.0
_ROWS_JUDGED = 128
_TYPES = {name.lower(): np.dtype(stored) for name, stored in DATA_TYPES.items()}
_OF_ONE_BLOCK = ("size", "image", "headerid")


@dataclass(frozen=True)
class EdfHead:
    """What the header of one EDF file says."""

    text: dict[str, str]  # values by key, the keys in lower case
    offset: int  # where the image starts, in bytes
    shape: tuple[int, int]  # rows and columns of the image
    stored: np.dtype[Any]  # type of its pixels, in the byte order of the file
    by_fabio: bool = False  # whether fabio has to read the image

    @property
    def end(self) -> int:
        """Where the image ends, in bytes."""
        return self.offset + self.shape[0] * self.shape[1] * self.stored.itemsize

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, in native byte order."""
        return self.stored.newbyteorder("=")


@contextmanager
def open_edf(path: str | Path) -> Iterator[BinaryIO]:
    """Open an EDF file for reading bytes; one that gzip or bzip2 packed is unpacked to its end."""

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | getattr(os, "O_NONBLOCK", 0))  # not to wait at a pipe

    with open(path, "rb", buffering=0, opener=opener) as file:
        start = file.read(3)
        if start.startswith(b"\x1f\x8b") or start == b"BZh":
            unpack = bz2.decompress if start == b"BZh" else gzip.decompress
            try:
                content = unpack(start + file.read())
            except (EOFError, OSError, ValueError, zlib.error) as error:
                raise DataError(
                    f"cannot be unpacked, it is truncated or damaged ({error})"
                ) from error
            yield io.BytesIO(content)
        else:
            yield file


class HeadReader:
    """Reads the headers of many EDF files of one kind."""

    def __init__(self) -> None:
        self.without_order = 0
        """How many files did not name the byte order of their pixels."""
        self._layouts: set[tuple[tuple[int, int], str]] = set()
        self._usual_bytes = 4096

    def read(self, path: str | Path) -> EdfHead:
        """Read the header of one file and check that its image is all there.

        Raises a DataError with the reason, but without the file's name.
        """
        try:
            with open_edf(path) as file:
                head = self._read(file)
            if not head.by_fabio:
                return head
            image = _read_by_fabio(path)
            return EdfHead(head.text, 0, image.shape, image.dtype, by_fabio=True)
        except OSError as error:
            raise DataError(explain_unreadable(path, error)) from error

    def _read(self, file: BinaryIO) -> EdfHead:
        length = file.seek(0, io.SEEK_END)
        if not length:
            raise DataError("is empty")
        text, offset = self._find_image(file)
        packed = not text.get("compression", "none").lower().startswith("no")
        if packed or "edf_binaryfilename" in text:
            return EdfHead(text, offset, (0, 0), np.dtype(np.uint8), by_fabio=True)
        head = EdfHead(text, offset, *_layout(text))
        if length < head.end:
            raise DataError(
                f"is truncated: {length} bytes, where the header asks for {head.end} "
                f"({head.shape[0]} x {head.shape[1]} pixels of {head.stored.name})"
            )
        if "datatype" not in text and length != head.end:
            raise DataError("does not name the DataType of its pixels")
        self.without_order += "byteorder" not in text and head.stored.itemsize > 1
        self._refuse_second_image(file, head, length)
        layout = (head.shape, head.stored.str)
        if layout not in self._layouts:  # one file of another byte order may only be labelled so
            _refuse_swapped(file, head)
            self._layouts.add(layout)
        return head

    def _find_image(self, file: BinaryIO) -> tuple[dict[str, str], int]:
        """The header of the image, with the keys of general blocks before it, and its end."""
        common, place = dict[str, str](), 0
        while True:
            text, place, behind = self._read_block(file, place)
            if "dim_1" in text and not _HEADER.match(behind):
                return {**common, **text}, place
            default = "edf_dataformatversion" in text or text.get("edf_binarysize") == "0"
            if "dim_1" in text and not default:
                raise DataError("holds a second header in place of its image")
            place += _bytes_in(text)
            general = {k: v for k, v in text.items() if not k.startswith("edf_")}
            common.update({k: v for k, v in general.items() if k not in _OF_ONE_BLOCK})

    def _read_block(self, file: BinaryIO, place: int) -> tuple[dict[str, str], int, bytes]:
        """Text of one header by lower-case key, where it ends, and what stands there."""
        file.seek(place)
        start = file.read(self._usual_bytes)
        if not start.lstrip(b" \t\r\n\0").startswith(b"{"):
            raise DataError(
                "holds no image: its header names no Dim_1"
                if place
                else "is no EDF file: it does not start with a header in { }"
            )
        end = _END.search(start)
        if end is None:
            start += file.read(_LIMIT_BYTES)
            end = _END.search(start)
        if end is None:
            raise DataError("has a header without an end, so it is truncated or no EDF file")
        self._usual_bytes = max(self._usual_bytes, end.end() + _LOOK_BYTES)
        text = {}
        for line in start[: end.start()].decode("latin-1").partition("{")[2].split(";"):
            key, found, value = line.partition("=")
            if found:
                text[key.strip(_BLANK).lower()] = value.strip(_BLANK)
        return text, place + end.end(), start[end.end() : end.end() + _LOOK_BYTES]

    def _refuse_second_image(self, file: BinaryIO, head: EdfHead, length: int) -> None:
        """Refuse a second image; a block of its errors, or without an image, may follow."""
        if length <= head.end:
            return
        for start in {head.end, max(head.end, head.offset + _bytes_in(head.text))}:
            file.seek(start)
            if not _HEADER.match(file.read(_LOOK_BYTES)):
                continue
            text, _, _ = self._read_block(file, start)
            if "dim_1" in text and "error" not in text.get("edf_datablockid", "").lower():
                raise DataError("holds more than one frame: expected one frame a file")


def _bytes_in(text: dict[str, str]) -> int:
    """How many bytes follow a header, as it says; 0 where it does not."""
    size = text.get("edf_binarysize", text.get("size", ""))
    return int(size) if _is_whole(size) else 0


def read_into(path: str | Path, head: EdfHead, rows: slice, cols: slice, out: NDArray[Any]) -> None:
    """Write some rows and columns of an image into an array of the native type of the pixels.

    A DataError names a file that cannot be read, or ends before the last row.
    """
    try:
        if head.by_fabio:
            out[...] = _read_by_fabio(path)[rows, cols]
            return
        with open_edf(path) as file:
            whole_rows = cols.stop - cols.start == head.shape[1]
            if whole_rows and out.dtype == head.stored and out.flags.c_contiguous:
                _fill(file, head, rows, out)
            else:
                out[...] = _read_rows(file, head, rows)[:, cols]
    except DataError as error:
        raise DataError(f"{path} {error}") from error
    except OSError as error:
        raise DataError(f"{path} {explain_unreadable(path, error)}") from error


def read_whole(path: str | Path, head: EdfHead) -> NDArray[Any]:
    """All pixels of an image, shape (rows, cols), in native byte order; else as `read_into`."""
    pixels = np.empty(head.shape, head.dtype)
    read_into(path, head, slice(0, head.shape[0]), slice(0, head.shape[1]), pixels)
    return pixels


def explain_unreadable(path: str | Path, error: OSError) -> str:
    """Why a file cannot be read, in words that follow its name."""
    path = Path(path)
    if path.is_symlink() and not path.exists():
        return f"is a link to {path.readlink()}, which is not there"
    return f"cannot be read ({error.strerror or error})"


def _read_rows(file: BinaryIO, head: EdfHead, rows: slice) -> NDArray[Any]:
    """Whole rows of an image, in the byte order of the file."""
    pixels = np.empty((rows.stop - rows.start, head.shape[1]), head.stored)
    _fill(file, head, rows, pixels)
    return pixels


def _fill(file: BinaryIO, head: EdfHead, rows: slice, pixels: NDArray[Any]) -> None:
    file.seek(head.offset + rows.start * pixels.strides[0])
    if file.readinto(pixels.data.cast("B")) < pixels.nbytes:  # type: ignore[attr-defined]
        raise DataError("ends before its last row: it was cut or is being written")


def _layout(text: dict[str, str]) -> tuple[tuple[int, int], np.dtype[Any]]:
    """Shape of an image, and the type of its pixels in the byte order of the file."""
    ranks = [int(key[4:]) for key in text if key.startswith("dim_") and key[4:].isdecimal()]
    dims = [_dimension(text, f"dim_{rank}") for rank in range(1, min(max(2, *ranks), 9) + 1)]
    shape = dims[1::-1] if all(n == 1 for n in dims[2:]) else [n for n in dims[::-1] if n > 1]
    if len(shape) != 2:
        named = " x ".join(str(n) for n in dims)
        raise DataError(f"holds an array of {named} (Dim_1 x Dim_2 x ...): expected one image")
    name = text.get("datatype", "UnsignedShort")
    stored = _TYPES.get(name.lower())
    if stored is None or stored.itemsize > 8:
        raise DataError(f"has DataType = '{name[:30]}', which is not known")
    order = re.sub("[^a-z]", "", text.get("byteorder", "low").lower())
    for start, sign in (("low", "<"), ("little", "<"), ("high", ">"), ("big", ">")):
        if order.startswith(start):
            return (shape[0], shape[1]), stored.newbyteorder(sign)
    raise DataError(
        f"has ByteOrder = '{text['byteorder'][:20]}': expected LowByteFirst or HighByteFirst"
    )


def _dimension(text: dict[str, str], key: str) -> int:
    value = text.get(key, "1" if key > "dim_2" else "")
    whole = value.removesuffix(".0")
    if not (_is_whole(whole) and 0 < int(whole) < _LARGEST_DIM):
        raise DataError(f"has {key.capitalize()} = '{value[:20]}', no number of pixels")
    return int(whole)


def _is_whole(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 19


def _refuse_swapped(file: BinaryIO, head: EdfHead) -> None:
    """Refuse counts that vary much less from pixel to pixel with their bytes swapped."""
    image = _read_rows(file, head, slice(0, head.shape[0])).astype(head.dtype)
    image = image[:: max(head.shape[0] // _ROWS_JUDGED, 1)]
    if image.dtype.kind not in "iu" or image.dtype.itemsize < 2 or min(image.shape) < 2:
        return
    images = (image, image.byteswap())
    rough, smooth = (float(np.median(np.abs(np.diff(i.astype(float))))) for i in images)
    if not (smooth > 0 and rough > _SWAPPED_RATIO * smooth):
        return
    if "byteorder" not in head.text:
        raise DataError(
            "names no ByteOrder, and its bytes seem to be in the order HighByteFirst: add that "
            "to its header"
        )
    raise DataError(
        "seems to hold its bytes in the other order than ByteOrder = "
        f"{head.text['byteorder']} in its header says"
    )


def _read_by_fabio(path: str | Path) -> NDArray[Any]:
    """The image of a file as fabio reads it, (rows, cols), if it does not complain."""
    try:
        with _complaints_of_fabio() as complaints, EdfImage().read(str(path)) as opened:
            frames, image = opened.nframes, np.atleast_2d(np.squeeze(opened.data))
    except Exception as error:
        raise DataError(f"cannot be read by fabio ({error})") from error
    if complaints:
        raise DataError(f"is not whole, says fabio ({complaints[0]})")
    if frames != 1 or image.ndim != 2 or not image.size:
        raise DataError(f"holds {frames} frames of shape {image.shape}: expected one image")
    return image


@contextmanager
def _complaints_of_fabio() -> Iterator[list[str]]:
    """Collect what fabio only logs: errors, and any trouble in unpacking."""
    complaints: list[str] = []
    gravest = {"fabio.edfimage": logging.ERROR, "fabio.compression.compression": logging.WARNING}

    def collect(record: logging.LogRecord) -> bool:
        if record.levelno >= gravest[record.name]:
            complaints.append(record.getMessage())
        return False

    for name in gravest:
        logging.getLogger(name).addFilter(collect)
    try:
        yield complaints
    finally:
        for name in gravest:
            logging.getLogger(name).removeFilter(collect)
