"""Doubts of a cleaned scan: a grain that is cut, a rectangle for a mask, counts that fall."""

import h5py
import numpy as np
import pytest

from recon3d.cleaning.getdata import getdata
from recon3d.cleaning.light import RegionWatch, doubts_of_scan
from recon3d.config.cleaning import Cleaning
from recon3d.config.getdata import GetData
from recon3d.errors import Recon3DWarning
from recon3d.simulate.lesson import simulate_lesson


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("region") / "frames"
    return folder, *simulate_lesson(folder, show_progress=False)


def disk(row=25, col=25, radius=10, counts=100.0):
    rows, cols = np.mgrid[:50, :50]
    return np.where((rows - row) ** 2 + (cols - col) ** 2 < radius**2, counts, 0).astype("f4")


def doubts(images, framebg=5, kept=1.0):
    watch = RegionWatch(framebg)
    for k, image in enumerate(images):
        watch.look(10.0 * k, image)
    return watch.doubts(kept)


def test_a_whole_grain_is_not_in_doubt():
    # 34 is the last row whose disk of radius 10 ends before the rim of 5 pixels begins.
    assert doubts([disk(row) for row in (25, 30, 34, 30, 25)]) == ()
    assert doubts([np.zeros((50, 50), "f4")] * 6) == ()


def test_a_grain_at_the_rim_is_cut():
    cut = [disk(row)[:] for row in (25, 30, 36, 38, 25)]
    for image in cut:
        image[45:] = 0
    (doubt,) = doubts(cut)
    assert "(bottom) in 2 of 5 projections, first at ω = 20°" in doubt
    assert "narrower framebg" in doubt
    # Without a rim, and with a region that ends with the frame, only the grain can be moved.
    (doubt,) = doubts([disk(row) for row in (25, 25, 42, 44, 25)], framebg=0)
    assert "(bottom) in 2 of 5" in doubt
    assert "where the detector ends there, move the grain" in doubt


def test_a_rectangle_for_a_mask_is_said_to_be_one():
    full = np.zeros((50, 50), "f4")
    full[5:-5, 5:-5] = 40
    (doubt,) = doubts([full] * 6)
    assert "rectangle" in doubt


def test_counts_that_fall_are_told_and_a_single_dark_projection_is_not():
    counts = [100.0] * 7 + [60, 50, 55, 60]
    (doubt,) = doubts([disk(counts=one) for one in counts])
    assert "fall to 55% of the usual" in doubt
    assert doubts([disk(counts=one) for one in [100.0] * 4 + [10] + [100.0] * 4]) == ()


def test_projections_with_nothing_in_them_are_told():
    dark = np.zeros((50, 50), "f4")
    (doubt,) = doubts([disk(), dark, disk(), dark, disk()])
    assert "2 of 5 projections have nothing above binth, first at ω = 10°" in doubt


def test_signal_that_is_lost_is_told():
    (doubt,) = doubts([disk()] * 3, kept=0.785)
    assert doubt.startswith("78.5%")
    assert doubts([disk()] * 3, kept=float("nan")) == ()


@pytest.mark.parametrize(
    ("size", "framebg", "expected"),
    [((84, 72), 6, ""), ((50, 44), 6, "touches the edge"), ((60, 54), 20, "of the signal above")],
)
def test_the_doubts_of_a_scan_are_kept_with_it(simulated, tmp_path, size, framebg, expected):
    folder, phi0, chi0 = simulated
    plan = GetData(
        str(folder),
        "topotomo_",
        poi=(52, 42),
        imgsize=size,
        outputpath=str(tmp_path),
        phi0=phi0,
        chi0=chi0,
        cleaning=Cleaning(framebg, 15.0, 40),
    )
    if expected:
        with pytest.warns(Recon3DWarning, match=expected):
            store = getdata(plan, show_progress=False)
    else:
        store = getdata(plan, show_progress=False)
    assert any(expected in doubt for doubt in store.doubts) == bool(expected)
    assert store.doubts == doubts_of_scan(store)
    with h5py.File(store.path, locking=False) as file:
        assert tuple(file.attrs["doubts"]) == store.doubts
