"""Frames that hold one count in every pixel, as those of a file that was never filled."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from bliss_files import add_entry

import recon3d as r3
from recon3d.errors import Recon3DWarning

CLEANING = r3.Cleaning(framebg=0, binth=20, min_region_pix=9, normalize="none")


def scan_with(path: Path, frame: int, count: int, *, offset: float) -> r3.Scan:
    """Two projections of five frames, a square of 400 counts in three of them; one is replaced."""
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for number in (1, 2):
            frames = rng.poisson(offset, (5, 24, 24)).astype(np.uint16)
            frames[1:4, 8:16, 8:16] += 400
            if number == 2:
                frames[frame] = count
            mu = {"mu": np.arange(5) / 10}
            still = {"omega": 60.0 * number, "chi": 0.5, "phi": 0.0}
            add_entry(file, number, frames, lists=mu, scalars=still)
    return r3.open_scan(path, show_progress=False)


@pytest.mark.parametrize("count", [0, 65535])
def test_an_empty_frame_is_left_out_and_said(tmp_path, count):
    scan = scan_with(tmp_path / "raw.h5", 2, count, offset=100)
    said = rf"1 frames are left out: .*entry 2.1, frame 2 holds {count} in every pixel, where o"
    with pytest.warns(Recon3DWarning, match=said):
        store = r3.clean(scan, CLEANING, tmp_path / "scan.h5", show_progress=False)
    assert store.valid.sum(axis=1).tolist() == [5, 4]
    assert not store.valid[1, 2]
    assert "was it ever written?" in store.left_out[0]
    whole = store.read_projection(0)[1].sum()
    assert store.read_projection(1)[1].sum() == pytest.approx(whole, rel=0.02)


def test_a_dark_frame_without_noise_is_a_frame(tmp_path):
    scan = scan_with(tmp_path / "raw.h5", 0, 7, offset=0)
    assert r3.clean(scan, CLEANING, tmp_path / "scan.h5", show_progress=False).valid.all()


def test_a_dark_frame_of_a_photon_counter_is_a_frame(tmp_path, recwarn):
    scan = scan_with(tmp_path / "raw.h5", 0, 0, offset=0.01)
    store = r3.clean(scan, CLEANING, tmp_path / "scan.h5", show_progress=False)
    assert store.valid.all()
    assert not [w for w in recwarn if "left out" in str(w.message)]
