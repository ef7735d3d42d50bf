"""The mask: against plain sets of pixels, and against scipy and scikit-image."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from plain_cleaning import plain_mask
from scipy import ndimage
from skimage.morphology import disk

from recon3d.cleaning.kernels import masks as mask_kernels
from recon3d.cleaning.steps import signal_mask

frames = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12),
    elements=st.sampled_from([0.0, 5.0, 20.0]),
)


@settings(max_examples=80, deadline=None)
@given(
    frame=frames,
    min_region=st.integers(0, 12),
    radius=st.integers(0, 3),
    fill=st.booleans(),
)
def test_mask_is_that_of_plain_sets_of_pixels(frame, min_region, radius, fill):
    mask = signal_mask(frame, 12, min_region, radius, fill)
    np.testing.assert_array_equal(mask, plain_mask(frame, 12, min_region, radius, fill))


def _whole_frame_mask(frame, binth, min_region, radius):
    """The same by scipy on the whole frame in a wide dark rim."""
    illuminated = ndimage.binary_fill_holes(np.pad(frame > binth, 2 * radius + 2))
    illuminated = ndimage.binary_fill_holes(ndimage.binary_closing(illuminated, disk(radius)))
    labels, _ = ndimage.label(illuminated, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    rim = 2 * radius + 2
    return (sizes >= min_region)[labels][rim:-rim, rim:-rim] & illuminated[rim:-rim, rim:-rim]


@pytest.mark.parametrize("density", [0.02, 0.2, 0.45, 0.6])
@pytest.mark.parametrize("radius", [1, 2])
def test_work_in_the_lit_box_gives_the_whole_frame_s_mask(density, radius):
    rng = np.random.default_rng(7)
    frame = np.zeros((80, 70), np.float32)
    frame[11:60, 5:50] = (rng.random((49, 45)) < density) * 30
    expected = _whole_frame_mask(frame, 12, 20, radius)
    np.testing.assert_array_equal(signal_mask(frame, 12, 20, radius), expected)
    masked = frame.copy()
    mask_kernels.mask_frame(masked, 12.0, 20, radius, True)
    np.testing.assert_array_equal(masked, np.where(expected, frame, 0))


@pytest.mark.parametrize("min_region", [2, 15, 60, 400, 10**9])
def test_regions_of_any_winding_are_measured_whole(min_region):
    """Combs, rings and spirals, which a search from above meets in several pieces."""
    illuminated = np.zeros((60, 60), bool)
    illuminated[2:20:2, 3:30], illuminated[2:19, 29] = True, True  # a comb, joined at its right end
    illuminated[25:40, 2:20:3], illuminated[39, 2:18] = (
        True,
        True,
    )  # a comb that is joined at its feet
    for step in range(0, 12, 3):
        illuminated[25 + step, 25 + step : 55 - step] = illuminated[
            54 - step, 25 + step : 55 - step
        ] = True
        illuminated[25 + step : 55 - step, 25 + step] = illuminated[
            25 + step : 55 - step, 54 - step
        ] = True
    illuminated[44:58, 2:16] |= np.eye(14, dtype=bool) | np.eye(14, dtype=bool)[::-1]
    labels, _ = ndimage.label(illuminated, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    expected = (sizes >= min_region)[labels] & illuminated
    mask = signal_mask(20.0 * illuminated, 12, min_region, 0, False)
    np.testing.assert_array_equal(mask, expected)
    filled = signal_mask(20.0 * illuminated, 12, 0, 0, True)
    np.testing.assert_array_equal(filled, ndimage.binary_fill_holes(illuminated))
    maze = signal_mask(20.0 * ~illuminated[1:-1, 1:-1], 12, 0, 0, True)
    np.testing.assert_array_equal(maze, ndimage.binary_fill_holes(~illuminated[1:-1, 1:-1]))


def test_mask_moves_with_the_signal():
    rng = np.random.default_rng(3)
    patch = (rng.random((20, 20)) < 0.5) * 40.0
    first, second = np.zeros((60, 60)), np.zeros((60, 60))
    first[0:20, 0:20], second[31:51, 40:60] = patch, patch
    moved = np.roll(signal_mask(first, 12, 10), (31, 40), axis=(0, 1))
    np.testing.assert_array_equal(signal_mask(second, 12, 10), moved)


def test_a_grain_at_the_edge_is_not_worn_away():
    frame = np.full((30, 40), 50.0)
    assert signal_mask(frame, 12).all()


def test_a_ring_is_filled_even_with_a_gap_that_closing_bridges():
    row, col = np.mgrid[:60, :60]
    radius = np.hypot(row - 30, col - 30)
    frame = np.where((radius > 14) & (radius < 18), 100.0, 0.0)
    frame[30, 40:] = 0
    assert not signal_mask(frame, 12, close_radius_pix=0)[30, 30]
    assert signal_mask(frame, 12)[30, 30]
    assert not signal_mask(frame, 12, fill_holes=False)[30, 30]


@pytest.mark.parametrize(("side", "kept"), [(9, False), (10, True)])
def test_regions_are_kept_from_100_pixels_on(side, kept):
    frame = np.zeros((40, 40))
    frame[5 : 5 + side, 8 : 8 + side] = 30
    frame[30, 30] = 1000
    mask = signal_mask(frame, 12)
    assert mask.sum() == (side * side if kept else 0)


def test_corners_join_regions_and_do_not_let_a_hole_out():
    frame = np.zeros((20, 20))
    frame[2:5, 2:5], frame[5:8, 5:8] = 30, 30
    assert signal_mask(frame, 12, 18, close_radius_pix=0).sum() == 18
    diamond = np.zeros((9, 9))
    row, col = np.mgrid[:9, :9]
    diamond[abs(row - 4) + abs(col - 4) == 3] = 30
    assert signal_mask(diamond, 12, 0, close_radius_pix=0)[4, 4]


def test_nothing_above_the_threshold_is_no_mask():
    assert not signal_mask(np.full((30, 30), 12.0), 12).any()
    assert not signal_mask(np.zeros((30, 30)), 0).any()


def test_compiled_morphology_equals_its_python():
    rng = np.random.default_rng(11)
    frame = ((rng.random((24, 21)) < 0.4) * 30).astype(np.float32)
    compiled = mask_kernels.box_mask(frame, 12.0, 5, 1, True)
    plain = np.pad((frame > 12).astype(np.uint8), 4)
    mask_kernels.fill_holes.py_func(plain)
    mask_kernels.close_with_disk.py_func(plain, 1)
    mask_kernels.fill_holes.py_func(plain)
    mask_kernels.drop_small_regions.py_func(plain, 5)
    np.testing.assert_array_equal(compiled, plain[4:-4, 4:-4])
    assert mask_kernels.illuminated_box.py_func(frame, 12.0) == mask_kernels.illuminated_box(
        frame, 12.0
    )
