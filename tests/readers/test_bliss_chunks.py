"""A flipped bit in a compressed chunk is an error that names the frame, and ends no process."""

from __future__ import annotations

import contextlib
import struct
import subprocess
import sys
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import pytest
from bliss_files import add_entry, external, topotomo
from store_files import make_frames, write

from recon3d.errors import DataError
from recon3d.files.store import open_store
from recon3d.readers.bliss.datasets import _require_sound_blocks
from recon3d.scan.scan import open_scan

ROWS = 96
"""Of square frames: two blocks of 4096 pixels, and a shorter one."""

READ_ALL = """
import sys
from recon3d.errors import DataError
from recon3d.scan.scan import open_scan
for path in sys.argv[1:]:
    try:
        open_scan(path, show_progress=False).read_projection(0)
        print("read")
    except DataError as error:
        print(error)
"""


def flip(path: Path, dataset: str, number: int, at: int, bit: int, out: Path) -> Path:
    """A copy of an HDF5 file with one bit of a chunk flipped."""
    with h5py.File(path, "r") as file:
        chunk = file[dataset].id.get_chunk_info(number)
    content = bytearray(path.read_bytes())
    content[chunk.byte_offset + at] ^= 1 << bit
    out.write_bytes(content)
    return out


def lengths(path: Path, dataset: str, number: int) -> list[int]:
    """Where in a chunk the lengths of its three blocks stand."""
    with h5py.File(path, "r") as file:
        stored = file[dataset].id
        _, content = stored.read_direct_chunk(stored.get_chunk_info(number).chunk_offset)
    found = [12]
    for _ in range(2):
        found.append(found[-1] + 4 + int.from_bytes(content[found[-1] : found[-1] + 4], "big"))
    return found


def scan(path: Path, compressor: str = "lz4", block: int = 0) -> Path:
    with h5py.File(path, "w") as file:
        frames = np.random.default_rng(0).poisson(50, (3, ROWS, ROWS)).astype("u2")
        stored = {"chunks": (1, ROWS, ROWS), **hdf5plugin.Bitshuffle(block, cname=compressor)}
        lists, scalars = {"mu": 0.1 * np.arange(3)}, {"omega": 0.0, "chi": 0.0, "phi": 0.0}
        add_entry(file, 1, frames, lists=lists, scalars=scalars, **stored)
    return path


@pytest.mark.parametrize("block", [8, 16])
def test_the_smallest_blocks_are_sound(tmp_path, block):
    opened = open_scan(scan(tmp_path / "scan.h5", block=block), show_progress=False)
    frames = np.random.default_rng(0).poisson(50, (3, ROWS, ROWS))
    np.testing.assert_array_equal(opened.read_projection(0), frames)


@pytest.mark.parametrize("compressor", ["lz4", "zstd"])
def test_wherever_the_sizes_are_wrong_the_frame_is_named(tmp_path, compressor):
    path = scan(tmp_path / "scan.h5", compressor)
    dataset = "1.1/instrument/pco_ff/image"
    places = [at + byte for at in lengths(path, dataset, 1) for byte in range(4)]
    wrong = [
        flip(path, dataset, 1, at, 7 if at % 4 == 0 else 5, tmp_path / f"{at}.h5")
        for at in (*range(12), *places)
    ]
    found = subprocess.run(
        [sys.executable, "-c", READ_ALL, *map(str, wrong)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stderr
    told = found.stdout.splitlines()
    for file, line in zip(wrong, told, strict=True):
        assert f"{file}, entry 1.1, frame 1 cannot be read: its frames are" in line
        assert len(line) < 500


def test_in_a_file_that_a_virtual_dataset_points_to(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        lists, scalars = {"mu": 0.1 * np.arange(4)}, {"omega": 0.0, "chi": 0.0, "phi": 0.0}
        entry = add_entry(file, 1, None, lists=lists, scalars=scalars)
        frames = np.random.default_rng(0).poisson(50, (4, ROWS, ROWS)).astype("u2")
        parts = external(tmp_path, entry, frames, 2)
    np.testing.assert_array_equal(
        open_scan(tmp_path / "scan.h5", show_progress=False).read_projection(0), frames
    )
    flip(parts[1], "entry/data", 0, 13, 6, parts[1])
    with pytest.raises(DataError, match=r"entry 1\.1, frame 2 cannot be read.*pco_ff_0001"):
        open_scan(tmp_path / "scan.h5", show_progress=False).read_projection(0)


def test_chunks_that_were_stored_as_they_are_can_be_read(tmp_path):
    frames = np.arange(2 * 64, dtype="u2").reshape(2, 8, 8)
    path = topotomo(tmp_path / "scan.h5", omega=(0.0,), mu=(0.0, 0.1))
    with h5py.File(path, "r+") as file:
        del file["1.1/instrument/pco_ff/image"]
        stored = file.create_dataset(
            "1.1/instrument/pco_ff/image", (2, 8, 8), "u2", chunks=(1, 8, 8),
            **hdf5plugin.Bitshuffle(cname="lz4"),
        )  # fmt: skip
        for number in range(2):
            stored.id.write_direct_chunk((number, 0, 0), frames[number].tobytes(), filter_mask=1)
    np.testing.assert_array_equal(open_scan(path, show_progress=False).read_projection(0), frames)


def test_any_flipped_bit_of_a_cleaned_scan_names_its_projection(tmp_path):
    path = write(tmp_path / "scan.h5", make_frames()).path
    with h5py.File(path, "r") as file:
        size = file["entry/data/frames"].id.get_chunk_info(1).size
    for at in (0, 9, 13, size // 3, size // 2, size - 1):
        wrong = flip(path, "entry/data/frames", 1, at, at % 8, tmp_path / "wrong.h5")
        store = open_store(wrong)
        store.read_projection(0)
        with pytest.raises(DataError, match=r"wrong\.h5: projection 1 cannot be read"):
            store.read_projection(1)
        with pytest.raises(DataError, match="projection 1"):
            store.read_pixel(1, 3, 4)


def test_and_of_one_without_checksums(tmp_path):
    older = Path(__file__).parents[1] / "files/data/scan_0_1.h5"
    wrong = flip(older, "entry/data/frames", 1, 12, 6, tmp_path / "wrong.h5")
    with pytest.raises(DataError, match="projection 1 cannot be read"):
        open_store(wrong).read_projection(1)
    wrong = flip(older, "entry/data/summed", 1, 12, 6, tmp_path / "wrong.h5")
    with pytest.raises(DataError, match="the summed projections cannot be read"):
        _ = open_store(wrong).summed


@pytest.mark.parametrize(
    ("block", "lengths", "sound"),
    [(8, (3, 5), True), (16, (9,), True), (4, (3,) * 4, False), (12, (3, 3), False)],
)
def test_lengths_of_a_chunk_worked_out_by_hand(block, lengths, sound):
    # 16 numbers of two bytes: blocks hold eight or a multiple of it.
    content = struct.pack(">QI", 32, 2 * block)
    content += b"".join(struct.pack(">I", length) + bytes(length) for length in lengths)
    reading = contextlib.nullcontext() if sound else pytest.raises(OSError, match="a is damaged")
    with reading:
        _require_sound_blocks(content, 32, 2, "a")
    if sound:
        with pytest.raises(OSError, match="a is damaged"):
            _require_sound_blocks(content[:-1], 32, 2, "a")
