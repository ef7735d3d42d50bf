"""Runs of bins: the same projections as of whole volumes, and nothing outside of them."""

import numba
import numpy as np
import pytest

from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.projection.weights import BinRuns, cut_tails

VOXELS, BINS, FRAMES = 90, 37, 6


@pytest.fixture
def planted():
    """An operator, a volume of which every voxel has a run of bins, and where the runs are."""
    rng = np.random.default_rng(5)
    affine = np.hstack([rng.normal(0, 1, (2, 3)), [[9.0], [11.0]]])
    pixels = IlluminatedPixels.from_mask(rng.random((18, 22)) > 0.1)
    weights = rng.random((FRAMES, BINS)).astype(np.float32)
    operator = FrameOperator(
        Projector(rng.uniform(-6, 6, (VOXELS, 3)), (1.0,) * 3), affine, pixels, weights
    )
    ends = np.sort(rng.integers(0, BINS + 1, (VOXELS, 2)), axis=1)
    inside = (np.arange(BINS) >= ends[:, :1]) & (np.arange(BINS) < ends[:, 1:])
    volume = np.where(inside, rng.uniform(1, 2, inside.shape), 0).astype(np.float32)
    return operator, volume, inside


def packed(volume):
    runs = BinRuns.of(volume)
    runs.take(volume)
    return runs


def test_runs_hold_what_is_not_zero(planted):
    _, volume, inside = planted
    runs = packed(volume)
    assert runs.share == pytest.approx(inside.mean())
    np.testing.assert_array_equal(runs.values, volume[inside])
    again = np.ones_like(volume)
    runs.add_to(again)
    np.testing.assert_array_equal(again, volume + 1)


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("most_bytes", [1 << 28, 4 * 400 * 10])
def test_projections_of_runs_are_those_of_volumes(planted, monkeypatch, most_bytes, threads):
    monkeypatch.setattr("recon3d.projection.operator.MOST_BYTES", most_bytes)
    operator, volume, inside = planted
    before = numba.get_num_threads()
    numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
    try:
        runs = packed(volume)
        frames = operator.forward(runs)
        np.testing.assert_allclose(frames, operator.forward(volume), rtol=1e-5)
        steps, whole = runs.empty(), np.zeros_like(volume)
        operator.adjoint(frames, steps)
        operator.adjoint(frames, whole)
    finally:
        numba.set_num_threads(before)
    np.testing.assert_allclose(steps.values, whole[inside], rtol=1e-5)
    # < A f, A f > = < f, A' A f >, which nothing outside of the runs has a part in.
    assert (frames.astype(float) ** 2).sum() == pytest.approx(
        (steps.values.astype(float) * runs.values).sum(), rel=1e-5
    )


def test_tails_are_cut_on_both_sides_only():
    volume = np.array([[1, 0.5, 8, 0.2, 8, 2, 1], [0, 0, 3, 0, 0, 0, 0.2]], np.float32)
    cut_tails(volume, np.float32(0.125))
    np.testing.assert_array_equal(
        volume, np.array([[0, 0, 8, 0.2, 8, 2, 0], [0, 0, 3, 0, 0, 0, 0]], np.float32)
    )
    dark = np.zeros((2, 3), np.float32)
    cut_tails(dark, np.float32(0.125))
    assert packed(dark).values.size == 0
