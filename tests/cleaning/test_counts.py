"""Counts that are none are told from those that are."""

import numpy as np
import pytest

from recon3d.cleaning.counts import CountTally, CountWatch, lost_in_peaks
from recon3d.errors import Recon3DWarning


def peak(height, width=6.0):
    rows, cols = np.mgrid[-20:21, -20:21]
    return height * np.exp(-(rows**2 + cols**2) / (2 * width**2))


def test_peaks_past_16_bits_are_told():
    true = np.rint(peak(80_000))
    wrapped = true.astype(np.int64).astype(np.uint16)
    assert lost_in_peaks(wrapped) == (true > 65535).sum() > 10
    tally, watch = CountTally(), CountWatch()
    tally.look(0, wrapped)
    watch.take(tally, str)
    assert watch.provenance()["lost_pixels"] == (true > 65535).sum()
    with pytest.warns(Recon3DWarning, match="passed 65535 and began again at 0"):
        watch.tell()


@pytest.mark.parametrize("height", [30_000, 65_000, 65_535, 300_000])
def test_peaks_that_end_at_the_largest_count_are_not(height):
    assert lost_in_peaks(np.minimum(peak(height), 65535).astype(np.uint16)) == 0


def test_dark_middles_of_rings_and_dead_pixels_are_not():
    ring = np.rint(64_000 * np.exp(-((np.hypot(*np.mgrid[-20:21, -20:21]) - 12) ** 2) / 8))
    assert lost_in_peaks(ring.astype(np.uint16)) == 0
    dead = np.full((30, 30), 62_000, np.uint16)
    dead[12, 12:15] = 0
    assert lost_in_peaks(dead) == 0


def look_at(*frames):
    tally, watch = CountTally(), CountWatch()
    for number, frame in enumerate(frames):
        tally.look(number, frame)
    watch.take(tally, str)
    return watch


@pytest.mark.parametrize(("pixels", "told"), [(9, False), (10, True)])
def test_a_gap_in_some_projections_alone_is_told(pixels, told):
    lit = np.random.default_rng(0).integers(90, 110, (3, 20, 20)).astype(np.uint32)
    gap = lit.copy()
    gap[:, 5, :pixels] = 2**32 - 1
    watch = look_at(*lit)
    watch.add(look_at(*gap))
    assert (watch.stuck_pixels, watch.stuck_projections) == ((pixels, 1) if told else (0, 0))
    assert watch.saturated_frames == []
    if told:
        with pytest.warns(Recon3DWarning, match="10 pixels are at the detector's largest count"):
            watch.tell()


def test_a_peak_that_is_cut_off_in_some_frames_is_no_gap():
    frames = np.full((3, 20, 20), 100, np.uint32)
    frames[:2, 5:9, 5:9] = 2**32 - 1
    watch = look_at(*frames)
    assert watch.stuck_pixels == 0
    assert watch.saturated_frames == ["0", "1"]


def test_negative_counts_that_wrapped_are_not_peaks():
    frames = np.random.default_rng(0).normal(0, 5, (4, 60, 60)).astype(np.int64).astype(np.uint16)
    tally, watch = CountTally(), CountWatch()
    for number, frame in enumerate(frames):
        tally.look(number, frame)
    watch.take(tally, str)
    assert watch.wrapped_pixels > 4000
    assert watch.lost_pixels == 0
