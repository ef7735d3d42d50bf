"""Misorientation, differences and surfaces of planted grains."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.analysis.misorientation import (
    boundaries,
    grain_difference,
    kernel_average_misorientation,
)
from recon3d.analysis.surface import coarsened, cut_level, shape_at, step_for, surface_of
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError


def stepped(axis, shape=(6, 5, 4)):
    """A step of (0.03, 0.04), 0.05 degrees in all, half-way along an axis."""
    tilts = np.zeros((*shape, 2), np.float32)
    place = (slice(None),) * axis + (slice(shape[axis] // 2, None),)
    tilts[place] = (0.03, 0.04)
    return tilts


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_planted_step_shows_on_both_sides_of_it_only(axis):
    average = np.moveaxis(kernel_average_misorientation(stepped(axis)), axis, 0)
    at = len(average) // 2
    assert np.all(average[: at - 1] == 0)
    assert np.all(average[at + 1 :] == 0)
    for layer in (average[at - 1], average[at]):
        # An inner voxel has six neighbours, one of them across the step.
        assert layer[1, 1] == pytest.approx(0.05 / 6, rel=1e-5)
        assert (layer > 0).all()
    found = np.moveaxis(boundaries(stepped(axis), 0.049), axis, 0)
    assert np.flatnonzero(found.all(axis=(1, 2))).tolist() == [at - 1, at]
    assert found.sum() == 2 * found[0].size
    assert not boundaries(stepped(axis), 0.051).any()


def test_the_average_is_that_of_a_plain_loop_with_unknown_voxels_left_out():
    rng = np.random.default_rng(3)
    tilts = rng.normal(size=(4, 5, 3, 2)).astype(np.float32)
    tilts[rng.random((4, 5, 3)) < 0.4] = np.nan
    average = kernel_average_misorientation(tilts)
    for index in np.ndindex(4, 5, 3):
        steps = []
        for axis, sign in ((0, 1), (0, -1), (1, 1), (1, -1), (2, 1), (2, -1)):
            other = list(index)
            other[axis] += sign
            if 0 <= other[axis] < tilts.shape[axis]:
                steps.append(np.hypot(*(tilts[tuple(other)] - tilts[index])))
        steps = [step for step in steps if np.isfinite(step)]
        expected = np.mean(steps) if steps else np.nan
        np.testing.assert_allclose(average[index], expected, rtol=1e-5)


def test_an_angle_of_zero_is_refused():
    with pytest.raises(ParameterError, match="angle_deg is 0: expected a number > 0"):
        boundaries(stepped(0), 0)


def test_the_difference_of_two_grains(grain_factory):
    first = grain_factory()
    mask = first.mask.copy()
    mask[1, 1, 0], mask[0, 0, 0] = False, True
    second = grain_factory(mask=mask, orientation=first.orientation + np.float32([0.03, 0.04]))
    result = grain_difference(first, second)
    both = first.mask & mask
    np.testing.assert_allclose(result.misorientation_deg[both], 0.05, rtol=1e-4)
    assert np.isnan(result.misorientation_deg[~both]).all()
    assert result.membership[1, 1, 0] == 1
    assert result.membership[0, 0, 0] == 2
    assert (result.membership == 3).sum() == both.sum()
    assert result.offset_deg == pytest.approx((0.03, 0.04), rel=1e-3)
    aligned = grain_difference(first, second, align=True)
    assert np.nanmax(aligned.misorientation_deg) < 1e-5


@pytest.mark.parametrize(
    ("volume", "key"),
    [
        (Volume((1.0, -2.0, 3.0), (10.0, 6.0, 3.0), (5, 4, 2)), "grain_steps"),
        (Volume((1.5, -2.0, 3.0), (10.0, 6.0, 3.0), (5, 4, 3)), "grain_pos"),
        (Volume((1.0, -2.0, 3.0), (10.0, 6.0, 4.0), (5, 4, 3)), "grain_dim"),
    ],
)
def test_grains_on_other_voxels_cannot_be_compared(grain_factory, volume, key):
    other = grain_factory(volume.shape)
    other = type(other)(**{**other.__dict__, "volume": volume})
    with pytest.raises(ParameterError, match=key):
        grain_difference(grain_factory(), other)


def test_the_surface_of_a_ball_lies_on_it():
    index = np.indices((30, 30, 30)) - 14.5
    radius = np.sqrt((index**2).sum(axis=0))
    ball = radius < 10
    surface = surface_of(ball, ball)
    distance = np.linalg.norm(surface.vertices - 14.5, axis=1)
    assert np.abs(distance - 10).max() < 0.8
    gap = np.linalg.norm(surface.voxels - surface.vertices, axis=1)
    assert gap.max() < 1.2
    assert ball[tuple(surface.voxels.T)].all()
    closed = np.sort(surface.faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    assert (np.unique(closed, axis=0, return_counts=True)[1] == 2).all()


def test_a_shape_at_the_border_and_a_lone_voxel_have_surfaces_and_nothing_has_none():
    full = np.ones((4, 5, 6), bool)
    surface = surface_of(full, full)
    np.testing.assert_allclose(surface.vertices.max(axis=0), [3.5, 4.5, 5.5], atol=0.1)
    lone = np.zeros((5, 5, 5), bool)
    lone[2, 3, 1] = True
    np.testing.assert_allclose(surface_of(lone, lone).vertices.mean(axis=0), [2, 3, 1], atol=0.05)
    assert len(surface_of(~full, full).faces) == 0


def test_the_level_is_cut_as_the_reconstruction_does(grain_factory):
    occupancy = np.zeros((9, 9, 9), np.float32)
    occupancy[2:7, 2:7, 2:7] = 1
    volume = Volume((0.0, 0.0, 0.0), (9.0, 9.0, 9.0), (9, 9, 9))
    grain = grain_factory((9, 9, 9), occupancy=occupancy)
    grain = type(grain)(**{**grain.__dict__, "volume": volume})
    assert cut_level(grain) == ("occupancy", 0.5)
    inner = np.zeros_like(occupancy, bool)
    inner[3:6, 3:6, 3:6] = True
    assert (shape_at(grain, 0.9) >= inner).all()
    assert (shape_at(grain, 0.5) <= (occupancy > 0)).all()
    assert shape_at(grain, None) is grain.mask
    by_share = {"method": "backprojection", "completeness_cutoff": 0.7}
    assert cut_level(grain_factory(provenance=by_share)) == ("completeness", 0.7)


@given(st.tuples(*[st.integers(1, 40)] * 3), st.integers(1, 500))
def test_a_coarser_grain_is_as_small_as_asked(shape, largest):
    step = step_for(Volume((0, 0, 0), (1, 1, 1), shape), largest)
    assert np.prod([-(-n // step) for n in shape]) <= largest


def test_voxels_of_a_coarser_grain_lie_where_they_did(grain_factory):
    grain = grain_factory((7, 6, 4))
    half = coarsened(grain, 2)
    assert half.volume.shape == (3, 3, 2)
    for axis in range(3):
        kept = grain.volume.axis_um(axis)[1::2]
        np.testing.assert_allclose(half.volume.axis_um(axis), kept)
    np.testing.assert_array_equal(half.occupancy, grain.occupancy[1::2, 1::2, 1::2])
    assert coarsened(grain, 1) is grain
