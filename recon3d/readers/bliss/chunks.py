"""Damaged bitshuffle chunks, found before they crash the decompressor."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py

BITSHUFFLE = 32008
FLETCHER32 = h5py.h5z.FILTER_FLETCHER32
_COMPRESSORS = (2, 3)
"""LZ4 and zstd: of these the filter believes the lengths that a chunk gives its blocks."""


def require_sound_chunks(stored: h5py.Dataset, selection: tuple[slice, ...]) -> None:
    """Refuse, by an OSError, bitshuffle chunks whose block lengths lead beyond their end.

    The filter follows them wherever they lead, which ends the process. `selection`: one slice an
    axis. Chunks with a checksum are left to HDF5, which compares it first.
    """
    place = _bitshuffle_place(stored)
    if place is None:
        return
    chunk_bytes = stored.dtype.itemsize
    for edge in stored.chunks:
        chunk_bytes *= edge
    for part in stored.iter_chunks(selection):
        corner = tuple(s.start - s.start % n for s, n in zip(part, stored.chunks, strict=True))
        if stored.id.get_chunk_info_by_coord(corner).byte_offset is None:
            continue  # never written: HDF5 gives the fill value
        unfiltered, content = stored.id.read_direct_chunk(corner)
        if not unfiltered >> place & 1:
            name = f"the chunk at {corner} of {Path(stored.file.filename).name}"
            _require_sound(content, chunk_bytes, stored.dtype.itemsize, name)


def _bitshuffle_place(stored: h5py.Dataset) -> int | None:
    """Where in the dataset's filters an unsafe bitshuffle stands; None where it does not."""
    if stored.chunks is None:
        return None
    filters = stored.id.get_create_plist()
    known = [filters.get_filter(i) for i in range(filters.get_nfilters())]
    for place, (code, _, options, _) in enumerate(known):
        checked = any(later[0] == FLETCHER32 for later in known[place + 1 :])
        if code == BITSHUFFLE and len(options) > 4 and options[4] in _COMPRESSORS and not checked:
            return place
    return None


def _require_sound(content: bytes, chunk_bytes: int, itemsize: int, name: str) -> None:
    """Follow the lengths of a chunk's blocks, as the filter will, to the end of the chunk.

    A chunk begins with its size and that of a block, unpacked, in bytes; before each block
    stands its packed length. What fills no block of eight values stands at the end as it is.
    """
    damaged = OSError(f"{name} is damaged: the lengths of its blocks cannot be")
    if len(content) < 12:
        raise damaged
    size, block_bytes = struct.unpack_from(">QI", content)
    block = block_bytes // itemsize
    if size != chunk_bytes or block < 8 or block % 8:
        raise damaged
    whole, rest = divmod(size // itemsize, block)
    at, end = 12, len(content) - (rest % 8) * itemsize
    for _ in range(whole + (rest >= 8)):
        if at + 4 > end:
            raise damaged
        at += 4 + int.from_bytes(content[at : at + 4], "big")
    if at > end:
        raise damaged
