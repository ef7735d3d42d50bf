"""A file that never fails HDF5 in the middle of its work: what the disk refuses is told later."""

from __future__ import annotations

import os
from pathlib import Path


class SteadyFile:
    """A new file for HDF5 to write to, which takes every write.

    Where HDF5 is told of a full disk while it closes a file it prints errors of its own, and can
    crash the process. So what cannot be written is kept in memory, and so is all that comes
    after it, until `settle` writes it or says why that is impossible.

    Parameters
    ----------
    path
        The file; an older one is replaced.
    """

    def __init__(self, path: Path) -> None:
        self._file = path.open("w+b", buffering=0)
        self._kept: list[tuple[int, bytes]] = []
        self._place, self._size = 0, 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place in the file."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """The place in the file."""
        return self._place

    def read(self, size: int) -> bytes:
        """Read from the place, with zeros beyond the end of the file."""
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Fill a buffer from the place, with zeros beyond the end of the file."""
        view, start = memoryview(buffer).cast("B"), self._place
        self._file.seek(start)
        done = 0
        while done < len(view) and (count := self._file.readinto(view[done:])):
            done += count
        view[done:] = bytes(len(view) - done)
        for offset, piece in self._kept:
            first, last = max(offset, start), min(offset + len(piece), start + len(view))
            if first < last:
                view[first - start : last - start] = piece[first - offset : last - offset]
        self._place += len(view)
        return len(view)

    def write(self, data: bytes | memoryview) -> int:
        """Write at the place, or keep what cannot be written."""
        piece = memoryview(data).cast("B")
        if self._kept or not self._is_written(piece):
            self._kept.append((self._place, bytes(piece)))
        self._place += len(piece)
        self._size = max(self._size, self._place)
        return len(piece)

    def truncate(self, size: int) -> int:
        """Set the size of the file, as far as that is possible."""
        self._size = size
        try:
            return self._file.truncate(size)
        except OSError:
            self._kept.append((size, b""))
            return size

    def flush(self) -> None:
        """Nothing waits to be written but what could not be."""

    def settle(self) -> None:
        """Write what could not be written before.

        Raises
        ------
        OSError
            It still cannot be; the reason is that of the disk.
        """
        for offset, piece in self._kept:
            self._write_at(offset, memoryview(piece))
        if self._kept:
            self._file.truncate(self._size)
        self._kept.clear()

    def close(self) -> None:
        """Close the file; what was not settled is lost."""
        self._file.close()

    def _is_written(self, piece: memoryview) -> bool:
        try:
            self._write_at(self._place, piece)
        except OSError:
            return False
        return True

    def _write_at(self, place: int, piece: memoryview) -> None:
        self._file.seek(place)
        while piece:
            piece = piece[self._file.write(piece) :]
