"""A file of ours is whole or absent, whenever the disk fails, and that crashes no process."""

import errno
import os

import h5py
import numpy as np
import pytest

from recon3d.errors import DataError, OutputError
from recon3d.files import hdf5
from recon3d.files.hdf5 import create_own, named_errors


def fail_from(monkeypatch, first, number=errno.ENOSPC):
    """Let the disk fail for good from some write on; the list counts writes."""
    count, real = [], hdf5._Disk.put

    def put(disk, piece):
        count.append(len(piece))
        if len(count) > first:
            raise OSError(number, os.strerror(number))
        return real(disk, piece)

    monkeypatch.setattr(hdf5._Disk, "put", put)
    return count


def write(path, settle=False):
    with create_own(path) as file:
        for number in range(40):
            stored = file.create_dataset(f"g/{number}", data=np.full((9, 9), number), chunks=(3, 9))
            stored.attrs["number"] = number
            assert (stored[4] == number).all()
            if settle:
                file.settle()


def test_what_is_written_is_there(tmp_path):
    write(tmp_path / "file.h5")
    with h5py.File(tmp_path / "file.h5") as file:
        assert all((file[f"g/{number}"][()] == number).all() for number in range(40))


@pytest.mark.parametrize("settle", [False, True])
def test_wherever_the_disk_fails_that_is_told_and_no_more(tmp_path, monkeypatch, capfd, settle):
    path = tmp_path / "file.h5"
    with monkeypatch.context() as patch:
        total = fail_from(patch, 10**9)
        write(path, settle)
    older = path.read_bytes()
    assert len(total) > 20
    for first in range(0, len(total), max(1, len(total) // 15)):
        with monkeypatch.context() as patch:
            fail_from(patch, first)
            with pytest.raises(OutputError, match=r"file\.h5 cannot be written: the disk is full"):
                write(path, settle)
        assert path.read_bytes() == older
        assert [file.name for file in tmp_path.iterdir()] == ["file.h5"]
    assert capfd.readouterr().err == ""


def test_a_disk_that_takes_little_at_once_takes_all(tmp_path, monkeypatch):
    real = hdf5._Disk.put
    monkeypatch.setattr(hdf5._Disk, "put", lambda disk, piece: real(disk, piece[:100]))
    test_what_is_written_is_there(tmp_path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path):
    denied = PermissionError(errno.EACCES, "Unable to open file (unable to open file: name = ...)")
    with (
        pytest.raises(DataError, match=r"g\.h5: cannot be read \(permission denied\)$"),
        named_errors(tmp_path / "g.h5", "grain file"),
    ):
        raise denied
