"""Pixels without a value, and pixels that never change, are found, masked, counted and said."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.cleaning.counts import find_silent_pixels
from recon3d.cleaning.frame_preview import FramePreview
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, Recon3DWarning

CLEANING = Cleaning(framebg=6, binth=12, min_region_pix=20)


def with_frames(scan, change, dtype=None):
    """The scan with frames of another type, changed by a function."""
    frames = scan.source.frames.astype(dtype or scan.source.frames.dtype)
    change(frames)
    return replace(scan, source=replace(scan.source, frames=frames, read_log=[]))


def gap(value):
    def change(frames):
        frames[:, :, 40:43] = value

    return change


@pytest.mark.parametrize(
    ("dtype", "value"),
    [
        (np.uint32, 2**32 - 1),
        (np.uint32, 65535),
        (np.uint16, 65535),
        (np.int32, -1),
        (np.int32, 2**31 - 1),
        (np.float32, np.nan),
        (np.float32, np.inf),
        (np.float32, -1),
    ],
)
def test_a_module_gap_is_found(scan, dtype, value):
    found = find_silent_pixels(with_frames(scan, gap(value), dtype))
    expected = np.zeros((48, 50), bool)
    expected[:, 30:33] = True
    np.testing.assert_array_equal(found.without_value, expected)
    assert not found.constant.any()


def test_a_module_gap_is_masked_counted_and_said(scan, tmp_path):
    given = with_frames(scan, gap(65535))
    with pytest.warns(Recon3DWarning, match=r"144 pixels without a value.*row 6, column 40"):
        store = clean(given, CLEANING, tmp_path / "gap.h5", show_progress=False)
    assert store.provenance["pixels_without_value"] == 3 * 48
    assert store.provenance["pixels_constant"] == 0
    bad = np.zeros((60, 70), bool)
    bad[:, 40:43] = True
    known = clean(scan, CLEANING, tmp_path / "known.h5", bad_pixels=bad, show_progress=False)
    for k in range(4):
        np.testing.assert_array_equal(store.read_projection(k), known.read_projection(k))


def test_a_mask_that_is_given_leaves_nothing_to_be_said(scan, tmp_path, recwarn):
    given = with_frames(scan, gap(np.nan), np.float32)
    bad = np.zeros((60, 70), bool)
    bad[:, 40:43] = True
    store = clean(given, CLEANING, tmp_path / "s.h5", bad_pixels=bad, show_progress=False)
    assert store.provenance["pixels_without_value"] == 0
    assert not [w for w in recwarn if "without a value" in str(w.message)]


def test_nan_in_one_frame_is_damage(scan, tmp_path):
    def change(frames):
        frames[:, 20, 20] = np.nan
        frames[13, 30, 30] = np.nan

    given = with_frames(scan, change, np.float32)
    with (
        pytest.warns(Recon3DWarning, match="1 pixel without a value"),
        pytest.raises(DataError, match=r"1 of 36 frames are damaged: frame_0013\.edf"),
    ):
        clean(given, CLEANING, tmp_path / "s.h5", show_progress=False)


@pytest.mark.parametrize("value", [0, 4095])
def test_a_dead_column_is_masked(scan, tmp_path, value):
    def change(frames):
        frames[:, :, 35] = value
        frames[:, 20, 50] = value

    given = with_frames(scan, change)
    with pytest.warns(Recon3DWarning, match=r"49 pixels that never change.*column 35"):
        store = clean(given, CLEANING, tmp_path / "s.h5", show_progress=False)
    assert store.provenance["pixels_constant"] == 49
    # The grain crosses the column: what it lost is taken from its neighbours.
    assert store.read_projection(0)[3, 24, 25] > 100


def test_a_saturated_spot_is_no_gap(scan):
    def change(frames):
        frames[3::9, 25:36, 30:41] = 65535

    found = find_silent_pixels(with_frames(scan, change))
    assert not found.mask.any()


def test_few_photons_are_no_dead_pixels(scan):
    def change(frames):
        frames[...] = np.random.default_rng(1).poisson(0.08, frames.shape)

    found = find_silent_pixels(with_frames(scan, change))
    assert not found.mask.any()


def test_a_region_without_any_value_is_refused(scan):
    def change(frames):
        frames[...] = 65535

    with pytest.raises(DataError, match="no pixel of the region of 48 x 50 pixels from row 6"):
        find_silent_pixels(with_frames(scan, change))


def test_bins_with_a_silent_pixel_are_bad(scan):
    given = with_frames(scan, gap(np.nan), np.float32).binned(2)
    preview = FramePreview(given)
    # Columns 40 to 42 of the frame are 30 to 32 of the region, and so in bins 15 and 16.
    assert np.flatnonzero(preview.calibration.bad.any(axis=0)).tolist() == [15, 16]
    assert np.isfinite(preview.raw(0, 3)).all()


def test_at_most_a_sample_is_read(scan):
    find_silent_pixels(scan)
    assert 20 < len(scan.source.read_log) <= 32
