"""A bit that flips on the disk, anywhere in an own file, is told or changes nothing."""

from dataclasses import replace

import h5py
import numpy as np
import pytest
from store_files import make_frames, write, writer

from recon3d.errors import DataError
from recon3d.files.grain import Grain
from recon3d.files.store import open_store

STEP = 151


def of_grain(path):
    grain = Grain.load(path)
    return [grain.volume, grain.provenance, grain.doubts, grain.residual, *grain.arrays().values()]


def of_store(path):
    store = open_store(path)
    projections = [store.read_projection(k) for k in range(store.shape[0])]
    kept = [store.omega_deg, store.valid, store.integrated, *vars(store.motors).values()]
    return [*projections, *kept, store.provenance, store.doubts, store.left_out]


def same(one, other):
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    return one == other


@pytest.mark.parametrize("read", [of_grain, of_store])
def test_a_flipped_bit_is_told_or_changes_nothing(read, tmp_path, grain):
    path = tmp_path / "file.h5"
    if read is of_grain:
        grain.save(path)
    else:
        write(path, make_frames())
    whole, kept = path.read_bytes(), read(path)
    told = 0
    for at in range(0, len(whole), STEP):
        flipped = bytearray(whole)
        flipped[at] ^= 1 << at % 8
        path.write_bytes(flipped)
        try:
            found = read(path)
        except DataError:
            told += 1
        else:
            assert all(map(same, kept, found)), at
    assert told > 20


TEXTS = {
    of_grain: (b"doubted for a reason", b"a method's name"),
    of_store: (b"left out for a reason", b"a program's name", b"doubted for a reason"),
}


@pytest.mark.parametrize("read", [of_grain, of_store])
def test_a_flipped_bit_of_text_is_told(read, tmp_path, grain):
    path = tmp_path / "file.h5"
    if read is of_grain:
        known = grain.provenance | {"method": "a method's name"}
        replace(grain, doubts=("doubted for a reason",), provenance=known).save(path)
    else:
        with writer(path, provenance={"made": "a program's name"}) as store:
            for k, frames in enumerate(make_frames()):
                store.write(k, frames)
            store.leave_out(["left out for a reason"])
            store.doubt(["doubted for a reason"])
    whole = path.read_bytes()
    read(path)
    for text in TEXTS[read]:
        assert text in whole
        flipped = bytearray(whole)
        start = -1
        while (start := whole.find(text, start + 1)) >= 0:
            flipped[start + 3] ^= 2
        path.write_bytes(flipped)
        with pytest.raises(DataError, match=r"not what was written|damaged"):
            read(path)


def test_somebody_may_add_an_attribute(tmp_path, grain):
    grain.save(path := tmp_path / "grain.h5")
    with h5py.File(path, "r+") as file:
        file.attrs["comment"] = "the large one"
    assert Grain.load(path).provenance["comment"] == "the large one"
