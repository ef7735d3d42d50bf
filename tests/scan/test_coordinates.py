"""Motor positions that jitter fall into the groups that were meant."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recon3d.scan.coordinates import _is_exact, _is_outliers, groupings, split_at


def group_positions(values, step=None):
    """Centres of the likeliest groups, and the group of each reading."""
    found = groupings(np.ravel(np.asarray(values, float)), step)[0]
    return found.centres, found.index.reshape(np.shape(values))


def mosaicity_readings(projections, count, sigma, seed=0):
    """The readings of the slow motor of a count x count mosaicity scan, and what was meant."""
    index = np.tile(np.repeat(np.arange(count), count), projections)
    random = np.random.default_rng(seed)
    return (index - count // 2) * 0.032 + random.normal(0, sigma, index.size), index


@pytest.mark.parametrize("sigma", [0, 1e-6, 1e-4, 0.001, 0.0015, 0.002])
@pytest.mark.parametrize(("projections", "count"), [(36, 7), (226, 11), (2, 11)])
def test_steps_of_a_mosaicity_scan(projections, count, sigma):
    values, index = mosaicity_readings(projections, count, sigma)
    centres, found = group_positions(values)
    np.testing.assert_array_equal(found, index)
    np.testing.assert_allclose(centres, (np.arange(count) - count // 2) * 0.032, atol=0.0015)


@pytest.mark.parametrize("sigma", [0.001, 0.0015])
@pytest.mark.parametrize("seed", range(40))
def test_a_single_projection(sigma, seed):
    values, index = mosaicity_readings(1, 7, sigma, seed)
    np.testing.assert_array_equal(group_positions(values)[1], index)


@pytest.mark.parametrize("digits", [3, 4, 5])
@pytest.mark.parametrize("projections", [36, 226])
def test_rounded_jitter_makes_no_groups_of_its_own(digits, projections):
    values, index = mosaicity_readings(projections, 7, 0.0015)
    rounded = values.round(digits)
    assert np.unique(rounded).size > 7
    np.testing.assert_array_equal(group_positions(rounded)[1], index)


def test_a_scan_that_was_copied_keeps_its_groups():
    values, index = mosaicity_readings(36, 7, 0.001)
    found = group_positions(np.concatenate([values, values]))[1]
    np.testing.assert_array_equal(found, np.concatenate([index, index]))


@settings(max_examples=300, deadline=None)
@given(
    steps=st.lists(st.floats(0.01, 0.1), min_size=1, max_size=12),
    counts=st.lists(st.integers(5, 40), min_size=13, max_size=13),
    seed=st.integers(0, 10_000),
    start=st.floats(-30, 30),
)
def test_groups_are_found_whatever_their_steps(steps, counts, seed, start):
    random = np.random.default_rng(seed)
    meant = start + np.concatenate([[0], np.cumsum(steps)])
    index = np.repeat(np.arange(meant.size), counts[: meant.size])
    random.shuffle(index)
    values = meant[index] + random.uniform(-1, 1, index.size) * min(steps) / 60
    centres, found = group_positions(values)
    np.testing.assert_array_equal(found, index)
    for group, centre in enumerate(centres):
        assert centre == pytest.approx(values[index == group].mean(), abs=1e-9)


@given(
    positions=st.lists(st.integers(-100, 100), min_size=2, max_size=15, unique=True),
    repeats=st.integers(3, 30),
    step=st.sampled_from([0.001, 0.032, 0.1, 0.25]),
)
def test_exact_positions_are_exact_groups(positions, repeats, step):
    meant = np.sort(positions) * step
    centres, index = group_positions(np.tile(meant, repeats))
    np.testing.assert_allclose(centres, meant, atol=1e-9)
    np.testing.assert_array_equal(index, np.tile(np.arange(len(positions)), repeats))


@given(
    values=st.lists(st.floats(-180, 180), min_size=1, max_size=40),
    seed=st.integers(0, 1000),
)
def test_order_does_not_matter_and_groups_are_ordered(values, seed):
    values = np.array(values).round(3)
    centres, index = group_positions(values)
    order = np.random.default_rng(seed).permutation(values.size)
    again, shuffled = group_positions(values[order])
    np.testing.assert_allclose(centres, again)
    np.testing.assert_array_equal(index[order], shuffled)
    assert np.all(np.diff(centres) > 0)
    np.testing.assert_array_equal(np.unique(index), np.arange(centres.size))
    assert np.all(np.diff(index[np.argsort(values, kind="stable")]) >= 0)


@pytest.mark.parametrize("count", [50, 121, 1764, 27346])
@pytest.mark.parametrize("outlier", [None, 5, 10, 15])
def test_jitter_alone_is_one_group(count, outlier):
    values = 10.4341 + np.random.default_rng(1).normal(0, 0.001, count)
    if outlier:
        values[count // 3] = 10.4341 + outlier * 0.001
    centres, index = group_positions(values)
    assert centres == pytest.approx([values.mean()])
    assert not index.any()


def test_a_scan_that_stopped_leaves_small_groups():
    values, index = mosaicity_readings(1, 7, 0.001)
    for stop in (8, 15, 22, 45):
        np.testing.assert_array_equal(group_positions(values[:stop])[1], index[:stop])
    first = np.concatenate([np.zeros(49), [0.8]])
    np.testing.assert_array_equal(group_positions(first)[0], [0, 0.8])


@pytest.mark.parametrize(("gap", "groups"), [(5.9, 1), (6.1, 2)])
def test_a_gap_is_clear_from_three_times_the_largest_within(gap, groups):
    # Ten readings: a jump of jitter alone is allowed 1 + 10 / 10 = 2 times as much. Spacings of
    # 1 within two groups of five, so the gap between them is clear from 2 x 3 = 6 on.
    readings = 1e-3 * np.concatenate([np.arange(5.0), 4 + gap + np.arange(5.0)])
    assert group_positions(readings)[0].size == groups


def test_few_readings():
    np.testing.assert_array_equal(group_positions([3.5])[0], [3.5])
    centres, index = group_positions([-0.0, 0.0, -0.0])
    assert (centres.tolist(), index.tolist()) == ([0.0], [0, 0, 0])
    assert not np.signbit(centres[0])
    np.testing.assert_allclose(group_positions([0.1 + 0.2, 0.3])[0], [0.3])
    np.testing.assert_array_equal(group_positions([0.1, 0.0, 0.5, 0.6])[1], [1, 0, 2, 3])


def test_a_jittered_rocking_scan_has_a_group_for_every_frame():
    values = np.arange(31) * 0.01 + np.random.default_rng(0).normal(0, 0.0005, 31)
    np.testing.assert_array_equal(group_positions(values)[1], np.arange(31))


def test_rotation_with_a_gap():
    meant = np.concatenate([np.arange(0, 50, 0.8), np.arange(130, 180, 0.8)])
    index = np.repeat(np.arange(meant.size), 9)
    values = meant[index] + np.random.default_rng(0).normal(0, 0.002, index.size)
    np.testing.assert_array_equal(group_positions(values)[1], index)


def test_shape_is_kept():
    values = np.array([[0.0, 0.1], [0.1, 0.0], [0.0, 0.1]])
    np.testing.assert_array_equal(group_positions(values)[1], [[0, 1], [1, 0], [0, 1]])


def test_step_chooses_between_two_readings_of_the_same_motor():
    pairs = np.repeat([0.0, 0.002, 0.032, 0.034, 0.064, 0.066], 20)
    values = pairs + np.random.default_rng(0).normal(0, 0.0001, pairs.size)
    assert group_positions(values, step=0.032)[0].size == 3
    wrong = mosaicity_readings(36, 7, 0.001)[0]
    assert group_positions(wrong, step=0.1)[0].size == 7


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_every_grouping_is_clear_and_one_is_a_single_group(values):
    found = groupings(np.array(values))
    assert any(grouping.count == 1 for grouping in found)
    assert all(grouping.is_clear for grouping in found)


def test_visits_of_a_real_scan_leave_7_of_93_positions(real_data):
    """The file counts the visits of 93 sorted positions, but not where they were.

    So the visits are real, and the positions are made up: each belongs to the one of 7
    equally visited settings that its place among the visits says, and jitters.
    """
    counts = np.load(real_data("al_2017_voxel.npy"))
    visits = (counts > 0).sum(axis=(0, 2))
    assert visits.size == 93
    meant = np.minimum(np.cumsum(visits) * 7 // (visits.sum() + 1), 6)
    random = np.random.default_rng(0)
    positions = np.sort((meant - 3) * 0.032 + random.normal(0, 0.0012, 93))
    centres, index = group_positions(np.repeat(positions, np.maximum(visits, 1)))
    assert centres.size == 7
    np.testing.assert_array_equal(index, np.repeat(meant, np.maximum(visits, 1)))


@pytest.mark.parametrize(("rare", "exact"), [(2, True), (3, False)])
def test_a_quarter_of_exact_positions_may_be_rare(rare, exact):
    values = np.repeat(np.arange(8.0), [6] * (8 - rare) + [1] * rare)
    assert _is_exact(split_at(values, 0.5)) is exact


@pytest.mark.parametrize(
    ("readings", "strays", "outliers"),
    [(9, 1, True), (8, 2, False), (98, 2, False), (198, 2, True)],
)
def test_a_stray_reading_or_two_in_two_hundred_are_outliers(readings, strays, outliers):
    jitter = np.where(np.arange(readings) % 2, 1.0, -1.0)
    values = np.concatenate([jitter, np.full(strays, 9.0)])
    assert _is_outliers(split_at(values, 5.0)) is outliers
