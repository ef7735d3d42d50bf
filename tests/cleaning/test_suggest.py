"""Region, rim and threshold are suggested as one choice that keeps the signal."""

from dataclasses import replace

import numpy as np
import pytest

import recon3d as r3
from recon3d.cleaning.light import (
    LEAST_KEPT,
    box_around,
    look_for_light,
    plane_below,
    share_outside,
    whole_frames,
)
from recon3d.cleaning.pipeline import clean
from recon3d.cleaning.suggest import suggest
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, ParameterError
from recon3d.readers.source import Roi


def quiet(scan, cleaning=None, **options):
    return suggest(scan, cleaning, show_progress=False, **options)


def with_light(scan, rows, cols, counts=300.0, seed=3, slope=0.0):
    """Whole frames with a lit rectangle in those frames of a projection that have a grain."""
    rng = np.random.default_rng(seed)
    shape = scan.source.frames.shape
    mean = np.full(shape, 30.0) + slope * np.linspace(0, 1, shape[1])[:, None]
    lit = np.isin(np.arange(shape[0]) % 9, (3, 4, 7))
    mean[lit, rows[0] : rows[1], cols[0] : cols[1]] += counts
    frames = (rng.poisson(mean) + 60).astype(np.uint16)
    return whole_frames(replace(scan, source=replace(scan.source, frames=frames)))


def test_box_and_rim_leave_room_for_the_light(scan):
    found = quiet(with_light(scan, (25, 41), (28, 52)))
    box = found.box
    assert 4 <= found.framebg <= 25 - box.row
    assert box.row + box.rows - found.framebg >= 41
    assert box.col + found.framebg <= 28
    assert box.col + box.cols - found.framebg >= 52
    assert found.kept_share >= LEAST_KEPT
    # Poisson noise of 30 counts, and that of the mean of two dark frames; 3 times.
    assert found.noise == pytest.approx(np.sqrt(45), rel=0.1)
    assert found.binth == pytest.approx(3 * found.noise, rel=0.01)
    assert Roi.around(found.poi, found.imgsize) == box


def test_a_grain_that_fills_the_detector_has_no_rim(scan):
    found = quiet(with_light(scan, (1, 60), (0, 69)))
    assert found.box == Roi.whole((60, 70))
    assert found.framebg == 0
    assert "no rim is free" in found.reasons[1]


def test_faint_light_is_kept_by_a_lower_threshold(scan):
    found = quiet(with_light(scan, (20, 44), (20, 56), counts=19.0))
    assert found.kept_share >= LEAST_KEPT
    assert found.binth <= 2.51 * found.noise


def test_damaged_frames_are_left_out_while_there_are_others(scan):
    whole = with_light(scan, (25, 41), (28, 52))
    frames = whole.source.frames.astype(np.float32)
    frames[[0, 4, 13], 30, 40] = np.nan
    holed = replace(whole, source=replace(whole.source, frames=frames))
    found, sought = quiet(holed), quiet(whole)
    assert found.box == sought.box
    assert found.noise == pytest.approx(sought.noise, rel=0.1)
    frames[:9, 30, 40] = np.inf
    with pytest.raises(DataError, match=r"frame_0000.edf holds 1 counts that are not finite"):
        quiet(replace(whole, source=replace(whole.source, frames=frames)))


def test_what_is_given_is_kept(scan):
    planted = with_light(scan, (25, 41), (28, 52))
    assert quiet(planted, Cleaning(framebg=3)).framebg == 3
    assert quiet(planted, Cleaning(binth=40.0)).binth == 40
    assert quiet(planted, poi=(40, 33), imgsize=(50, 44)).box == Roi(11, 15, 44, 50)
    assert quiet(planted.crop((40, 33), (50, 44))).box == Roi(11, 15, 44, 50)
    sized = quiet(planted, imgsize=(40, 36))
    assert sized.imgsize == (40, 36)
    assert sized.box.row < 25
    centred = quiet(planted, poi=(38, 32))
    assert centred.poi == (38, 32)
    assert centred.box.col < 28
    with pytest.raises(ParameterError, match="IMGSIZE 90 is more than the frame's 70"):
        quiet(planted, imgsize=(90, 20))


def test_a_given_rim_that_eats_the_grain_is_judged(scan):
    planted = with_light(scan, (25, 41), (28, 52))
    found = quiet(planted, Cleaning(framebg=16), poi=(40, 33), imgsize=(50, 44))
    assert found.kept_share < 0.7


def test_nothing_is_suggested_that_loses_signal(scan):
    planted = with_light(scan, (25, 41), (28, 52))
    with pytest.raises(DataError, match="no framebg and binth were found that keep 98 %"):
        quiet(planted, Cleaning(min_region_pix=2000))


def test_without_light_nothing_is_suggested(scan):
    with pytest.raises(DataError, match="nothing in the 4 projections looked at stands"):
        quiet(with_light(scan, (0, 0), (0, 0)))


def test_slopes_hot_pixels_and_zingers_are_no_light(scan):
    planted = with_light(scan, (25, 41), (28, 52), slope=40.0)
    frames = planted.source.frames
    rng = np.random.default_rng(1)
    for frame in frames:
        frame.flat[rng.integers(0, frame.size, 6)] += 4000
    frames[:, 5, 5] += 2000
    found = quiet(planted)
    assert found.box.row >= 5
    assert found.box.col >= 5
    assert found.framebg >= 4


def test_clean_fills_in_what_was_not_chosen(scan, tmp_path):
    planted = with_light(scan, (25, 41), (28, 52))
    store = clean(planted, Cleaning(), tmp_path / "scan.h5", show_progress=False)
    kept = store.provenance
    assert kept["cleaning"]["framebg"] == kept["suggested"]["framebg"] >= 4
    assert kept["cleaning"]["binth"] == kept["suggested"]["binth"]
    assert kept["suggested"]["kept_share"] >= LEAST_KEPT
    assert len(kept["suggested"]["reasons"]) == 4
    light = store.read_projection(0)[3] > 0
    assert light[26:40, 29:51].all()


def test_it_is_public(scan):
    found = r3.suggest(with_light(scan, (25, 41), (28, 52)), show_progress=False)
    assert isinstance(found, r3.Suggestion)


def test_light_is_found_and_the_share_outside_of_a_region(scan):
    *_, light = look_for_light(with_light(scan, (20, 40), (20, 60)), 0)
    assert (light.signal[21:39, 21:59] > 0).all()
    assert not (light.signal[:17] > 0).any()
    assert share_outside([light], Roi(0, 0, 60, 40))[0] == pytest.approx(0.5, abs=0.03)
    assert share_outside([light._replace(signal=0 * light.signal)], Roi(0, 0, 5, 5)) == [0]


def test_a_plane_is_found_under_a_lit_disk():
    rng = np.random.default_rng(0)
    row, col = np.mgrid[:60, :80]
    plane = 20 + 0.3 * row - 0.1 * col
    image = plane + rng.normal(0, 2, plane.shape) + 200.0 * (np.hypot(row - 30, col - 40) < 20)
    np.testing.assert_allclose(plane_below(image.astype(np.float32), 2.0), plane, atol=1.0)


@pytest.mark.parametrize(
    ("row", "box", "framebg"),
    [
        # Light 20 rows high, 12 pixels to spare on each side: about the detector's middle row (100)
        # where its own is up to 3 rows off, else about itself.
        (87, Roi(75, 28, 50, 36), 8),
        (94, Roi(82, 28, 44, 36), 8),
        # Six free rows, less two, are the narrowest rim that serves.
        (6, Roi(0, 28, 38, 36), 4),
        (5, Roi(0, 28, 37, 36), 0),
    ],
)
def test_the_box_about_the_light_on_a_wide_frame(row, box, framebg):
    found = box_around(Roi(row, 40, 20, 12), (200, 90), Cleaning(), None, None)
    assert found[:2] == (box, framebg)
