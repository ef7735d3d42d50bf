"""All steps together on one projection, against plain loops and planted truths."""

from dataclasses import replace

import numpy as np
import pytest
from one_projection import clean_projection
from plain_cleaning import plain_background, plain_clean
from scipy.ndimage import gaussian_filter

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.frame_preview import steps_of
from recon3d.cleaning.kernels import frames as kernels
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import (
    subtract_projection,
    work_on_projection,
)
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.readers.source import Roi

SHAPE = (52, 47)


def make_projection(rng, frames=9, dtype=np.uint16):
    """Some dark frames, some with a grain, on an offset; hot pixels everywhere."""
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    raw = rng.poisson(60, (frames, *SHAPE)) + (col // 7 + 0.2 * row)
    for number in range(2, frames, 2):
        centre = rng.uniform(20, 28, 2)
        grain = np.hypot(row - centre[0], col - centre[1]) < 9
        raw[number] += rng.poisson(gaussian_filter(200.0 * grain, 1))
        raw[number, rng.integers(0, SHAPE[0], 3), rng.integers(0, SHAPE[1], 3)] = 4000
    return raw.astype(dtype)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32, ">u2"])
@pytest.mark.parametrize(
    "cleaning",
    [
        Cleaning(framebg=7, binth=30, normalize="current"),
        Cleaning(framebg=5, binth=80, min_region_pix=9, dark=False, normalize="none"),
        Cleaning(framebg=0, binth=25, min_region_pix=40, hot_pixels=0, close_radius_pix=2),
        Cleaning(framebg=10, binth=20, min_region_pix=1, hot_limit=900.0, fill_holes=False),
    ],
)
def test_all_steps_are_those_of_plain_loops(cleaning, dtype):
    rng = np.random.default_rng(17)
    raw, valid = make_projection(rng, dtype=dtype), np.ones(9, bool)
    valid[4] = False
    currents = np.linspace(200, 180, 9)
    background = rng.uniform(20, 30, SHAPE).astype(np.float32)
    flat, bad = rng.uniform(0.8, 1.2, SHAPE), rng.random(SHAPE) < 0.01
    calibration = Calibration.for_roi(Roi(0, 0, *SHAPE), SHAPE, background, flat, bad)
    if cleaning.normalize == "auto":
        currents = np.full(9, np.nan)
    found = clean_projection(raw, valid, currents, cleaning, calibration=calibration)
    expected = plain_clean(raw, valid, currents, cleaning, background, flat, bad)
    assert (expected.reshape(9, -1).max(axis=1) > 0).sum() >= 3
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=2e-3)
    assert found.dtype == np.float32
    assert not found[4].any()


def test_a_planted_grain_comes_back_and_dark_frames_are_empty():
    rng = np.random.default_rng(3)
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    grain = np.hypot(row - 26, col - 23) < 10
    raw = rng.poisson(20, (8, *SHAPE)) + 100
    raw[5] += rng.poisson(400.0 * grain)
    cleaned = clean_projection(
        raw.astype(np.uint16), np.ones(8, bool), np.full(8, np.nan), Cleaning(framebg=8, binth=60)
    )
    np.testing.assert_array_equal(cleaned[5] > 0, grain)
    assert cleaned[5].sum() == pytest.approx(400 * grain.sum(), rel=0.02)
    assert not np.delete(cleaned, 5, axis=0).any()


def test_frames_weaker_than_the_dark_do_not_wrap_around():
    raw = np.full((5, *SHAPE), 100, np.uint16)
    raw[:, 20:35, 15:30] = np.array([3, 3, 5, 2, 4])[:, None, None]
    raw[:, 0, 0] = 9000
    background = np.full(SHAPE, 300.0, np.float32)
    calibration = Calibration.for_roi(Roi(0, 0, *SHAPE), SHAPE, background)
    for dark in (True, False):
        cleaning = Cleaning(framebg=6, binth=10, dark=dark)
        frames = clean_projection(
            raw, np.ones(5, bool), np.full(5, 200.0), cleaning, calibration=calibration
        )
        assert not frames.any()


def test_a_decaying_beam_is_brought_back_by_its_current_and_by_its_total():
    rng = np.random.default_rng(4)
    row, col = np.mgrid[: SHAPE[0], : SHAPE[1]]
    grain = 800.0 * (np.hypot(row - 26, col - 23) < 10)
    cleaning = Cleaning(framebg=8, binth=40)
    for known in (True, False):
        normalizer, totals = Normalizer("auto"), []
        for beam in (1.0, 0.8, 0.55):
            raw = rng.poisson(100, (6, *SHAPE))
            raw[3] += rng.poisson(beam * grain)
            currents = np.full(6, 200 * beam if known else np.nan)
            done = work_on_projection(
                raw, np.ones(6, bool), currents, cleaning, Calibration.none(SHAPE), normalizer
            )
            totals.append(done.sums.sum())
        assert totals == pytest.approx([totals[0]] * 3, rel=0.02 if known else 0.05)


def test_hot_pixels_do_not_count_as_beam():
    rng = np.random.default_rng(4)
    raw = make_projection(rng)
    hotter = raw.copy()
    hotter[4::2, 20, 3] = 65000
    normalizer, cleaning = Normalizer("total"), Cleaning(framebg=7, binth=30)
    for frames in (raw, hotter):
        arguments = (np.ones(9, bool), np.full(9, np.nan), cleaning, Calibration.none(SHAPE))
        cleaned = work_on_projection(frames, *arguments, normalizer).frames
    alone = clean_projection(raw, np.ones(9, bool), np.full(9, np.nan), cleaning)
    np.testing.assert_allclose(cleaned, alone, rtol=2e-3, atol=0.1)


def test_what_is_replaced_and_dropped_is_counted():
    raw = np.full((6, *SHAPE), 100, np.uint16)
    raw[3, 15:30, 15:30] += 500  # the grain
    raw[3, 40:44, 8:10] += 500  # a speck of 8 pixels, too small to be the grain
    raw[4, 12:15, 30:32] += 500  # one of 6 pixels, in a frame without the grain
    raw[[3, 4, 5], [40, 35, 20], [30, 20, 35]] = 9000  # three hot pixels
    arguments = (np.ones(6, bool), np.full(6, 200.0))
    calibration, normalizer = Calibration.none(SHAPE), Normalizer("none")
    cleaning = Cleaning(framebg=3, binth=30, min_region_pix=12)
    done = work_on_projection(raw, *arguments, cleaning, calibration, normalizer)
    assert (done.hot_pixels, done.dropped_pixels) == (3, 14)
    assert np.count_nonzero(done.frames) == 15 * 15
    every = replace(cleaning, hot_pixels=0, min_region_pix=1)
    done = work_on_projection(raw, *arguments, every, calibration, normalizer)
    assert (done.hot_pixels, done.dropped_pixels) == (0, 0)


@pytest.mark.parametrize(("excess", "hot"), [(90, False), (105, True)])
def test_the_limit_of_hot_pixels_is_that_of_the_counts_under_the_dark_frame(excess, hot):
    raw = np.full((4, *SHAPE), 100, np.uint16)
    raw[3, 20, 20] += excess
    cleaning = Cleaning(framebg=0, binth=1, min_region_pix=1, close_radius_pix=0)
    cleaned = clean_projection(raw, np.ones(4, bool), np.full(4, 200.0), cleaning)
    assert cleaned[3, 20, 20] == (0 if hot else excess)


def test_too_few_frames_for_a_dark_one_are_told():
    rng = np.random.default_rng(5)
    raw = make_projection(rng, frames=3)
    cleaning, currents = Cleaning(framebg=7, binth=30), np.full(3, 200.0)
    valid = np.array([True, False, True])
    with pytest.warns(Recon3DWarning, match="fewer than 3"):
        frames = clean_projection(raw, valid, currents, cleaning)
    without = Cleaning(framebg=7, binth=30, dark=False)
    np.testing.assert_array_equal(frames, clean_projection(raw, valid, currents, without))


def test_the_steps_of_a_frame_lead_to_the_cleaned_frame():
    rng = np.random.default_rng(6)
    raw, valid, currents = make_projection(rng), np.ones(9, bool), np.linspace(200, 180, 9)
    cleaning = Cleaning(framebg=7, binth=30)
    start = subtract_projection(
        raw, valid, currents, cleaning, Calibration.none(SHAPE), Normalizer()
    )
    factor = float(start.factors[6])
    steps = steps_of(raw[6], start.frames[6], start.pedestal, factor, cleaning)
    np.testing.assert_array_equal(steps.before, raw[6])
    np.testing.assert_allclose(steps.after, clean_projection(raw, valid, currents, cleaning)[6])
    np.testing.assert_array_equal(steps.after, np.where(steps.mask, steps.unmasked, 0))
    assert steps.factor == pytest.approx(currents.mean() / currents[6])
    counts = np.clip(raw[6] - steps.pedestal, 0, None) * steps.factor
    quiet = counts.copy()
    quiet[counts > 1500] = np.nan
    line = plain_background(np.nan_to_num(quiet, nan=10.0), 7)
    np.testing.assert_allclose(steps.background, line, atol=1)


def test_frames_of_zeros_stay_zeros():
    raw = np.zeros((4, *SHAPE), np.uint16)
    with pytest.warns(Recon3DWarning):
        frames = clean_projection(
            raw, np.ones(4, bool), np.full(4, np.nan), Cleaning(framebg=20, binth=12)
        )
    assert not frames.any()


def test_counts_that_are_no_numbers_and_unfit_shapes_are_refused():
    raw = np.ones((4, *SHAPE), np.float32)
    arguments = (np.ones(4, bool), np.full(4, np.nan), Cleaning(framebg=20, binth=12))
    raw[2, 3, 4] = np.nan
    with pytest.raises(DataError, match="not finite"):
        clean_projection(raw, *arguments)
    with pytest.raises(ParameterError, match="framebg"):
        clean_projection(raw[:, :30], *arguments)
    with pytest.raises(ParameterError, match="calibration"):
        clean_projection(raw, *arguments, calibration=Calibration.none((9, 9)))


def test_compiled_loops_equal_their_python():
    rng = np.random.default_rng(8)
    frame = rng.poisson(30, (20, 22)).astype(np.float32)
    frame[7, 9] = 900
    bad = rng.random(frame.shape) < 0.05
    ones = np.ones(frame.shape, np.float32)
    results = []
    for pick in (lambda kernel: kernel, lambda kernel: kernel.py_func):
        counts = np.empty_like(frame)
        pick(kernels.subtract_and_clip)(frame, 25 * ones, ones, bad, np.argwhere(bad), counts)
        thresholds = kernels.hot_thresholds(ones, 5.0, np.inf)
        pick(kernels.replace_hot_pixels)(counts, ones, *thresholds, 5.0, np.inf)
        pick(kernels.subtract_cornice_lines)(counts, 4)
        results.append(counts)
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-5)
