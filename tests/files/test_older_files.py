"""Files that version 0.1 wrote, kept beside this test, still open and hold what they held."""

from pathlib import Path

import numpy as np
from store_files import arguments, make_frames

from recon3d.files.grain import Grain
from recon3d.files.store import open_store

DATA = Path(__file__).parent / "data"
SHAPE = (2, 8, 4, 6)


def test_a_cleaned_scan():
    store, given = open_store(DATA / "scan_0_1.h5"), arguments(SHAPE)
    frames = make_frames(shape=SHAPE)
    frames[given["slots"] < 0] = 0
    assert store.shape == SHAPE
    for k in range(2):
        np.testing.assert_array_equal(store[k], frames[k])
    np.testing.assert_array_equal(store.valid, given["slots"] >= 0)
    np.testing.assert_array_equal(store.motors.chi_deg, given["motors"].chi_deg)
    assert store.provenance["nested"] == {"a": [1, None]}
    assert store.left_out == []


def test_a_grain():
    grain = Grain.load(DATA / "grain_0_1.h5")
    rng = np.random.default_rng(3)
    mask = rng.random((3, 4, 5)) > 0.5
    orientation = rng.normal(size=(3, 4, 5, 2)).astype(np.float32)
    np.testing.assert_array_equal(grain.mask, mask)
    np.testing.assert_array_equal(grain.orientation[mask], orientation[mask])
    assert np.isnan(grain.orientation[~mask]).all()
    np.testing.assert_array_equal(grain.residual, [0.5, 0.2])
    assert grain.provenance["iterations"] == 3
    assert grain.volume.size_um == (3, 4, 5)
