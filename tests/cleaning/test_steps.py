"""Each step of cleaning alone: plain loops, planted truths, honest statistics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_cleaning import (
    plain_background,
    plain_dark,
    plain_flatten,
    plain_hot,
    plain_repair,
    replace_hot_pixels,
)
from scipy.ndimage import gaussian_filter

from recon3d.cleaning.calibration import Calibration, flat_field_gain
from recon3d.cleaning.kernels import frames as kernels
from recon3d.cleaning.steps import (
    as_counts,
    as_frame,
    counting_variance,
    dark_frame,
    frame_background,
    places_of,
    subtract_frame_background,
)
from recon3d.errors import ParameterError
from recon3d.readers.source import Roi


@pytest.mark.parametrize(
    ("recorded", "compiled"),
    [
        (">u2", "u2"),
        ("u1", "u2"),
        ("i1", "i4"),
        ("i2", "i4"),
        ("u4", "f8"),
        ("i8", "f8"),
        ("f2", "f4"),
        (">f8", "f8"),
    ],
)
def test_counts_of_every_type_are_those_of_a_type_that_loops_are_compiled_for(recorded, compiled):
    kind = np.dtype(recorded)
    about = np.finfo(kind) if kind.kind == "f" else np.iinfo(kind)
    frames = np.array([[[about.min, 0, 7, about.max]]], kind)
    found = as_counts(frames)
    assert found.dtype == compiled
    np.testing.assert_array_equal(found, frames)


def repair_pixels(frame, bad):
    repaired = as_frame(frame)
    kernels.repair_pixels(repaired, bad, places_of(bad))
    return repaired


def test_flat_field_and_repair_bring_back_an_even_scene():
    rng = np.random.default_rng(0)
    flat, bad = rng.uniform(0.5, 2, (40, 50)), rng.random((40, 50)) < 0.03
    flat[bad] = 0
    gain = flat_field_gain(flat, bad)
    assert gain[~bad].mean() != pytest.approx(1, abs=1e-3)
    recorded = 500 * flat / flat[~bad].mean()
    np.testing.assert_allclose(repair_pixels(recorded * gain, bad), 500, rtol=1e-5)


def test_bad_pixels_take_the_median_of_their_good_neighbours():
    rng = np.random.default_rng(1)
    frame, bad = rng.normal(100, 30, (20, 25)), rng.random((20, 25)) < 0.3
    bad[4:9, 6:11] = True
    repaired = repair_pixels(frame, bad)
    np.testing.assert_allclose(repaired, plain_repair(frame, bad), rtol=1e-6)
    assert repaired[6, 8] == 0


def test_flat_field_of_zero_is_refused_unless_marked_as_bad():
    flat = np.ones((5, 6))
    flat[3, 2] = 0
    with pytest.raises(ParameterError, match="row 3, column 2"):
        flat_field_gain(flat)
    assert np.isfinite(flat_field_gain(flat, flat == 0)).all()


def test_calibration_takes_whole_frames_and_regions_alike():
    whole = np.arange(30.0 * 40).reshape(30, 40)
    roi = Roi(row=5, col=7, rows=10, cols=12)
    by_whole = Calibration.for_roi(roi, (30, 40), background=whole)
    by_region = Calibration.for_roi(roi, (30, 40), background=whole[5:15, 7:19])
    np.testing.assert_array_equal(by_whole.background, by_region.background)
    with pytest.raises(ParameterError, match=r"\(9, 9\).*\(30, 40\).*\(10, 12\)"):
        Calibration.for_roi(roi, (30, 40), bad_pixels=np.zeros((9, 9)))


def test_unsigned_frames_do_not_wrap_around():
    frames = np.full((4, 6, 6), 100, np.uint16)
    frames[0], frames[1] = 120, 130
    frames[2, 0, 0] = 90
    dark = dark_frame(frames)
    assert dark is not None
    assert dark.dtype == np.float32
    np.testing.assert_array_equal(dark, frames[[2, 3]].mean(axis=0))


def test_dark_frame_is_the_mean_of_the_two_weakest_with_any_counts():
    rng = np.random.default_rng(2)
    frames = rng.integers(80, 400, (7, 8, 9)).astype(np.uint16)
    frames[3] = 0
    valid = np.array([True, True, False, True, True, True, True])
    frames[2] = 1
    np.testing.assert_allclose(dark_frame(frames, valid), plain_dark(frames, valid), rtol=1e-6)


def test_the_weakest_frames_are_found_without_the_bad_pixels():
    frames = np.full((3, 5, 5), 100, np.uint16)
    frames[0, 2, 2], frames[1] = 60000, 110
    frames[2] = 105
    bad = np.zeros((5, 5), bool)
    bad[2, 2] = True
    np.testing.assert_array_equal(dark_frame(frames), frames[[1, 2]].mean(axis=0))
    for recorded in (frames, frames.astype(">u2")):
        np.testing.assert_array_equal(dark_frame(recorded, bad=bad), frames[[0, 2]].mean(axis=0))


def test_no_dark_frame_is_made_of_fewer_than_three():
    frames = np.full((5, 4, 4), 9, np.uint16)
    assert dark_frame(frames, np.array([True, True, False, False, False])) is None
    frames[1:] = 0
    assert dark_frame(frames) is None


# Hot pixels.


def _grain_frame(rng, pedestal=100.0, peak=400.0, blur=1.0):
    """A speckled grain with sharp corners on a pedestal, Poisson noise, pedestal subtracted."""
    scene = np.zeros((90, 100))
    scene[20:60, 25:70] = peak
    scene[30:80, 55:62] = 0.5 * peak
    scene *= rng.exponential(1.0, scene.shape) ** 0.7
    expected = gaussian_filter(scene, blur)
    recorded = rng.poisson(expected + pedestal)
    dark = rng.poisson(pedestal, (2, *scene.shape)).mean(axis=0)
    return np.clip(recorded - dark, 0, None), dark


@pytest.mark.parametrize(
    ("pedestal", "peak"), [(0, 1), (0, 30), (100, 100), (100, 1000), (5, 5000)]
)
def test_true_signal_is_left_alone_in_its_rims_and_speckle(pedestal, peak):
    rng = np.random.default_rng(5)
    for _ in range(5):
        frame, dark = _grain_frame(rng, pedestal, peak)
        variance = counting_variance(dark.astype(np.float32), np.ones_like(dark), 2)
        cleaned = replace_hot_pixels(frame, 8, variance=variance)
        np.testing.assert_array_equal(cleaned, frame.astype(np.float32))


@pytest.mark.parametrize("counts", [400, 3000, 65000])
def test_hot_pixels_beside_the_grain_and_in_it_go(counts):
    rng = np.random.default_rng(6)
    row, col = np.mgrid[:90, :100]
    scene = 300.0 * (np.hypot(row - 45, col - 50) < 25)
    scene = gaussian_filter(scene, 1.5)
    frame = np.clip(rng.poisson(scene + 100) - rng.poisson(100, (2, 90, 100)).mean(0), 0, None)
    alone, pair = [(5, 7), (80, 90), (45, 50), (40, 60), (0, 50)], [(60, 10), (60, 11)]
    at = tuple(np.transpose(alone + pair))
    hot = frame.copy()
    hot[at] += counts
    cleaned = replace_hot_pixels(hot, 8, variance=151)
    np.testing.assert_array_less(np.abs(cleaned[at] - scene[at]), 5 * np.sqrt(scene[at] + 150))
    rest = np.ones(frame.shape, bool)
    rest[at] = False
    np.testing.assert_array_equal(cleaned[rest], frame[rest].astype(np.float32))


def test_any_number_of_hot_pixels_goes():
    frame = np.full((90, 80), 10.0)
    frame[1:-1:3, 1:-1:3] = np.arange(30 * 26).reshape(30, 26) + 5000
    np.testing.assert_array_equal(replace_hot_pixels(frame, 8), 10)


def test_a_limit_removes_what_no_frame_can_hold():
    frame = np.full((8, 9), 10.0)
    frame[3:6, 4:6] = 70000
    assert replace_hot_pixels(frame, 8).max() == 70000
    frame[3:6, 4:6] = 10
    frame[3, 4] = frame[0, 0] = 70000
    np.testing.assert_array_equal(replace_hot_pixels(frame, 0, limit=60000), 10)


@settings(max_examples=100, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    rows=st.integers(2, 16),
    cols=st.integers(2, 16),
    levels=st.sampled_from([(0, 1), (0, 0, 0, 0, 5), (0, 0, 3, 50, 500)]),
    sigmas=st.sampled_from([0.0, 1.0, 1.5, 8.0]),
    limit=st.sampled_from([None, 400.0]),
)
def test_hot_pixels_are_those_of_plain_loops(seed, rows, cols, levels, sigmas, limit):
    rng = np.random.default_rng(seed)
    frame = rng.poisson(rng.choice(levels, (rows, cols))) * 1.0
    variance = rng.integers(0, 9, (rows, cols)) + 0.37
    expected, _ = plain_hot(frame, sigmas, limit, variance.astype(np.float32).astype(float))
    found = replace_hot_pixels(frame, sigmas, limit, variance)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_spot_of_four_pixels_goes_and_lines_and_larger_spots_stay():
    frame = np.random.default_rng(0).normal(100, 3, (30, 30))
    frame[5:7, 5:7] += 900
    cleaned = replace_hot_pixels(frame, 8, variance=9.0)
    assert cleaned[5:7, 5:7].max() < 115
    for kept in (np.s_[20:22, 3:20], np.s_[3:20, 20:22], np.s_[12:15, 12:15]):
        line = frame.copy()
        line[kept] += 900
        assert (replace_hot_pixels(line, 8, variance=9.0)[kept] > 900).mean() > 0.8


def test_the_quick_look_at_the_neighbours_misses_no_hot_pixel():
    frame = np.zeros((5, 5))
    frame[1:4, 1:4] = [[0, 2, 0], [2, 7.5, 2], [0, 2, 0]]
    expected, hot = plain_hot(frame, 2.0, None, np.full((5, 5), 8.0))
    assert hot[2, 2]
    np.testing.assert_allclose(replace_hot_pixels(frame, 2.0, variance=8.0), expected)


def test_the_noise_of_the_dark_frame_counts_too():
    pedestal, gain = np.full((3, 3), 100, np.float32), np.full((3, 3), 2, np.float32)
    np.testing.assert_allclose(counting_variance(pedestal, gain, 2), 1 + 4 * 150)
    np.testing.assert_allclose(counting_variance(pedestal, gain, None), 1 + 4 * 100)
    np.testing.assert_allclose(counting_variance(-pedestal, gain, 2), 1)


# The frame's own background.


@pytest.mark.parametrize(("shape", "framebg"), [((40, 60), 20 - 1), ((41, 47), 10), ((50, 33), 7)])
def test_frame_background_is_that_of_plain_loops(shape, framebg):
    frame = np.random.default_rng(8).uniform(0, 100, shape)
    found = frame_background(frame, framebg)
    np.testing.assert_allclose(found, plain_background(frame, framebg), rtol=1e-4, atol=1e-4)
    flattened = subtract_frame_background(frame, framebg)
    np.testing.assert_allclose(flattened, plain_flatten(frame, framebg), rtol=1e-4, atol=1e-4)


@settings(max_examples=50, deadline=None)
@given(
    slope=st.floats(-2, 2),
    framebg=st.integers(1, 19),
    cols=st.integers(42, 60),
    seed=st.integers(0, 1000),
)
def test_lines_along_the_rows_are_removed_exactly(slope, framebg, cols, seed):
    rows = 50
    band = np.random.default_rng(seed).uniform(150, 300, cols)[np.arange(cols) // framebg]
    background = band + slope * np.arange(rows)[:, None]
    frame = background.copy()
    frame[20:30, 20:22] += 500
    expected = np.zeros(frame.shape)
    expected[20:30, 20:22] = 500
    result = subtract_frame_background(frame, framebg)
    np.testing.assert_allclose(result, expected, atol=2e-3)


def test_framebg_of_zero_leaves_the_frame_and_too_wide_a_cornice_is_refused():
    frame = np.random.default_rng(9).uniform(0, 9, (40, 50)).astype(np.float32)
    np.testing.assert_array_equal(subtract_frame_background(frame, 0), frame)
    with pytest.raises(ParameterError, match=r"framebg is 20.*40 x 50.*at most 19"):
        subtract_frame_background(frame, 20)
    assert subtract_frame_background(frame, 19).shape == (40, 50)
