"""A bit that flips on the disk, anywhere in an own file, is told or changes nothing."""

import numpy as np
import pytest
from store_files import make_frames, write

from recon3d.errors import DataError
from recon3d.files.grain import Grain
from recon3d.files.store import open_store

STEP = 151


def numbers(values):
    return {name: value for name, value in values.items() if not isinstance(value, str)}


def of_grain(path):
    grain = Grain.load(path)
    return [grain.volume, numbers(grain.provenance), grain.residual, *grain.arrays().values()]


def of_store(path):
    store = open_store(path)
    projections = [store.read_projection(k) for k in range(store.shape[0])]
    kept = [store.omega_deg, store.valid, store.integrated, *vars(store.motors).values()]
    return [*projections, *kept, numbers(store.provenance)]


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
