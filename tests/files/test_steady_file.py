"""A file that takes every write, and settles with the disk later."""

import errno
import os

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d.files.hdf5 import OwnFile
from recon3d.files.steady_file import SteadyFile

PIECES = st.lists(st.tuples(st.integers(0, 60), st.binary(min_size=1, max_size=20)), min_size=1)


class Disk:
    """Fails from one write to another."""

    def __init__(self, steady, begin, end):
        self._write, self._count, self._begin, self._end = steady._write_at, 0, begin, end

    def __call__(self, place, piece):
        self._count += 1
        if self._begin <= self._count < self._end:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._write(place, piece)


@settings(max_examples=60)
@given(pieces=PIECES, begin=st.integers(1, 9), length=st.integers(0, 1))
def test_what_is_read_back_is_what_was_written(tmp_path_factory, pieces, begin, length):
    path = tmp_path_factory.mktemp("steady") / "file"
    steady, expected = SteadyFile(path), bytearray()
    steady._write_at = Disk(steady, begin, begin + length)
    for place, piece in pieces:
        expected += bytes(max(place + len(piece) - len(expected), 0))
        expected[place : place + len(piece)] = piece
        steady.seek(place)
        assert steady.write(piece) == len(piece)
    steady.seek(0)
    assert steady.read(len(expected) + 5) == expected + bytes(5)
    steady.settle()
    steady.close()
    assert path.read_bytes() == expected


def test_it_says_so_while_the_disk_stays_full(tmp_path):
    steady = SteadyFile(tmp_path / "file")
    steady._write_at = Disk(steady, 1, 10**6)
    steady.write(b"abc")
    for _ in range(2):
        with pytest.raises(OSError, match="No space left"):
            steady.settle()


@pytest.mark.parametrize("begin", [1, 2, 5, 20, 50])
def test_hdf5_notices_nothing(tmp_path, capfd, begin):
    steady = SteadyFile(tmp_path / "file.h5")
    steady._write_at = Disk(steady, begin, begin + 1)
    with OwnFile(steady) as file:
        for number in range(40):
            stored = file.create_dataset(
                f"group/{number}", data=np.full((9, 9), number), chunks=(3, 9)
            )
            stored.attrs["number"] = number
            assert (stored[4] == number).all()
    steady.settle()
    steady.close()
    with h5py.File(tmp_path / "file.h5") as file:
        assert all((file[f"group/{number}"][()] == number).all() for number in range(40))
    assert capfd.readouterr().err == ""
