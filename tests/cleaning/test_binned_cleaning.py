"""Cleaning of frames whose pixels are summed as they are read."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.counts import CountTally
from recon3d.cleaning.frame_preview import FramePreview
from recon3d.cleaning.light import whole_frames
from recon3d.cleaning.overview import GrowingOverview, glances_of_store
from recon3d.cleaning.pipeline import clean
from recon3d.cleaning.suggest import suggest
from recon3d.config.cleaning import Cleaning
from recon3d.errors import ParameterError, Recon3DWarning
from recon3d.readers.source import Binning, Roi

CLEANING = Cleaning(framebg=8, binth=20, min_region_pix=60)


def run(scan, tmp_path, cleaning=CLEANING, name="scan.h5", **options):
    return clean(scan, cleaning, tmp_path / name, show_progress=False, **options)


def binned_by_hand(scan, bins):
    """A scan of which the source itself has binned frames, from the corner of the ROI on."""
    roi, binning = scan.roi, Binning(*bins)
    cut = scan.source.frames[:, roi.row : roi.row + roi.rows, roi.col : roi.col + roi.cols]
    frames = np.array([binning.sums(frame) for frame in cut])
    return replace(
        scan, source=replace(scan.source, frames=frames), roi=Roi.whole(frames.shape[1:])
    )


def test_cleaning_parameters_follow_the_bins():
    cleaning = Cleaning(
        framebg=21, binth=12.5, min_region_pix=100, hot_limit=5000, close_radius_pix=3
    )
    assert cleaning.for_bins(1, 1) is cleaning
    own = cleaning.for_bins(2, 2)
    assert (own.framebg, own.binth, own.min_region_pix) == (10, 50.0, 25)
    assert (own.hot_limit, own.close_radius_pix) == (20000, 2)
    assert own.hot_pixels == cleaning.hot_pixels
    assert (own.dark, own.normalize, own.fill_holes) == (True, "auto", True)
    long = cleaning.for_bins(3, 1)
    assert (long.framebg, long.binth, long.min_region_pix) == (7, 37.5, 34)
    assert replace(cleaning, framebg=1).for_bins(4, 4).framebg == 1
    assert replace(cleaning, framebg=0, close_radius_pix=0).for_bins(4, 4).framebg == 0
    assert replace(cleaning, close_radius_pix=0).for_bins(2, 2).close_radius_pix == 0


@pytest.mark.parametrize("bins", [(2, 2), (3, 3), (2, 1)])
def test_frames_binned_on_read_are_cleaned_as_binned_frames(scan, tmp_path, bins):
    scan = scan.crop((36, 31), (51, 49))
    rng = np.random.default_rng(0)
    background = rng.uniform(10, 20, scan.source.frame_shape)
    store = run(scan.binned(*bins), tmp_path, background=background)
    by_hand = binned_by_hand(scan, bins)
    cut = background[scan.roi.row :, scan.roi.col :][: scan.roi.rows, : scan.roi.cols]
    own = CLEANING.for_bins(*bins)
    summed = Binning(*bins).sums(cut.astype(np.float32))
    other = run(by_hand, tmp_path, own, "other.h5", background=summed)
    assert store.shape == other.shape
    assert (store.integrated > 0).sum() == 12
    for k in range(4):
        np.testing.assert_array_equal(store.read_projection(k), other.read_projection(k))


def test_what_was_binned_and_dropped_is_kept(scan, tmp_path):
    store = run(scan.crop((36, 31), (51, 49)).binned(2), tmp_path)
    kept = store.provenance
    assert kept["binning"] == {"rows": 2, "cols": 2, "rows_dropped": 1, "cols_dropped": 1}
    assert kept["cleaning"]["binth"] == 20
    assert kept["cleaning_of_bins"]["binth"] == 80
    assert kept["cleaning_of_bins"]["min_region_pix"] == 15
    assert (store.roi.rows, store.roi.cols) == (49, 51)
    assert store.shape[2:] == (24, 25)


def test_signal_is_that_of_the_unbinned_scan(scan, tmp_path):
    plain = run(scan, tmp_path)
    binned = run(scan.binned(2), tmp_path, name="binned.h5")
    illuminated = plain.integrated > 0
    assert ((binned.integrated > 0) == illuminated).all()
    np.testing.assert_allclose(
        binned.integrated[illuminated], plain.integrated[illuminated], rtol=0.05
    )


def with_frames(scan, frames):
    return replace(scan, source=replace(scan.source, frames=frames))


def test_saturation_is_judged_before_binning(scan, tmp_path):
    frames = scan.source.frames.copy()
    frames[4, 25:29, 30:35] = 65535
    frames[:, 30, 40] = 65535
    told = []
    for bins, name in ((1, "a.h5"), (2, "b.h5")):
        with pytest.warns(Recon3DWarning, match="1 frames are saturated: 20 of") as caught:
            store = run(with_frames(scan, frames).binned(bins), tmp_path, name=name)
        told.append([str(one.message) for one in caught if "saturated" in str(one.message)])
        assert store.provenance["saturated_pixels"] == 20
    assert told[0] == told[1]


def test_wrapped_counts_are_mended_before_binning(scan, tmp_path):
    signed = scan.source.frames.astype(np.int32) - 95
    wrapped = signed.astype(np.uint16)
    assert (wrapped > 60000).sum() > 1000
    with pytest.warns(Recon3DWarning, match="negative ones that wrapped"):
        store = run(with_frames(scan, wrapped).binned(2), tmp_path)
    expected = run(with_frames(scan, signed).binned(2), tmp_path, name="other.h5")
    for k in range(4):
        np.testing.assert_array_equal(store.read_projection(k), expected.read_projection(k))
    roi = scan.roi
    inside = wrapped[:, roi.row : roi.row + roi.rows, roi.col : roi.col + roi.cols]
    assert store.provenance["wrapped_pixels"] == (inside >= 60000).sum()


def plain_verdict(frames):
    """The definitions in words, on all frames at once: wrapped pixels, and saturated frames."""
    top = int(frames.max())
    high, full = frames >= 60000, frames == 65535
    hot = high.all(axis=0)
    spread = (high & ~hot).sum()
    between = ((frames >= 32768) & ~high & ~hot).sum()
    if spread - (full & ~hot).sum() >= 10 and between <= 0.1 * spread:
        return int(high.sum()), {}
    if top not in (4095, 16383, 65535):
        return 0, {}
    at_top = frames == top
    if len(frames) > 2:
        at_top &= ~at_top.all(axis=0)
    counts = at_top.sum(axis=(1, 2))
    return 0, {k: int(n) for k, n in enumerate(counts) if n >= 10}


COUNTS = st.sampled_from([0, 7, 4095, 16383, 30000, 33000, 59999, 60000, 65000, 65534, 65535])


@given(
    frames=arrays(
        "uint16",
        st.tuples(st.integers(1, 4), st.integers(4, 6), st.integers(4, 6)),
        elements=COUNTS,
    ),
    limit=st.sampled_from([0, 4095, 16383, 65535]),
    hot=st.booleans(),
)
def test_a_tally_frame_by_frame_says_what_all_frames_say(frames, limit, hot):
    frames = np.where(frames > limit, 5, frames).astype(np.uint16) if limit else frames
    if hot:
        frames[:, 1, 1:3] = 65535
    tally = CountTally()
    for number, frame in enumerate(frames):
        tally.look(number, frame)
    assert (tally.wrapped, tally.saturated) == plain_verdict(frames)


def test_what_is_at_the_largest_count_in_every_frame_is_not_saturated():
    tally = CountTally()
    for number in range(4):
        frame = np.full((6, 7), 40, np.uint16)
        frame[0, :3] = 65535
        if number == 2:
            frame[3:5, :6] = 65535
        tally.look(number, frame)
    assert tally.saturated == {2: 12}


def test_a_flat_field_of_uneven_pixels_is_taken_out_of_bins():
    rng = np.random.default_rng(3)
    answer = rng.uniform(0.5, 2, (20, 24))
    calibration = Calibration.for_roi(
        Roi.whole((20, 24)), (20, 24), flat_field=answer, binning=Binning(2, 3)
    )
    even = Binning(2, 3).sums(100 * answer) * calibration.gain
    np.testing.assert_allclose(even, 600 * answer.mean(), rtol=1e-6)


def test_a_bin_with_a_bad_pixel_is_bad():
    bad = np.zeros((9, 8), bool)
    bad[2, 3] = bad[8, 7] = True
    calibration = Calibration.for_roi(
        Roi.whole((9, 8)), (9, 8), bad_pixels=bad, binning=Binning(2, 2)
    )
    np.testing.assert_array_equal(np.argwhere(calibration.bad), [[1, 1]])
    board = np.indices((9, 8)).sum(axis=0) % 2
    with pytest.raises(ParameterError, match="a pixel in every bin"):
        Calibration.for_roi(Roi.whole((9, 8)), (9, 8), bad_pixels=board, binning=Binning(2, 2))


def test_single_frames_are_those_of_the_cleaned_scan(scan, tmp_path):
    scan = scan.binned(2)
    store, preview = run(scan, tmp_path), FramePreview(scan)
    for k in (3, 0, 2):
        preview.prepare(k, CLEANING)
        assert preview.is_exact(k, CLEANING)
        expected = store.read_projection(k)
        assert expected.any()
        for frame in range(9):
            after = preview.steps(k, frame, CLEANING).after
            np.testing.assert_allclose(after, expected[frame], rtol=1e-4, atol=1e-3)


def test_suggestions_are_for_pixels_of_the_detector(scan):
    free = replace(CLEANING, framebg=None, binth=None)
    plain, binned = (
        suggest(whole_frames(scan).binned(bins), free, show_progress=False) for bins in (1, 2)
    )
    assert (binned.box, binned.framebg) == (plain.box, plain.framebg)
    # The noise of a bin of 4 pixels is twice that of a pixel, and its counts are four times.
    assert binned.binth == pytest.approx(plain.binth / 2, rel=0.25)


def test_projections_at_a_glance_are_in_pixels_of_the_detector(scan, tmp_path):
    plain = list(glances_of_store(run(scan, tmp_path)))
    binned = list(glances_of_store(run(scan.binned(2), tmp_path, name="binned.h5")))
    growing = list(GrowingOverview(CLEANING).extend(scan.binned(2)))
    assert binned[0].bin_pix == (2, 2)
    for one, other, grown in zip(plain, binned, growing, strict=True):
        np.testing.assert_allclose(other.centre_of_mass_pix, one.centre_of_mass_pix, atol=0.15)
        np.testing.assert_allclose(grown.centre_of_mass_pix, other.centre_of_mass_pix, atol=1e-6)


def test_whole_frames_are_not_binned(scan):
    whole = whole_frames(scan.binned(3))
    assert whole.shape[2:] == scan.source.frame_shape
