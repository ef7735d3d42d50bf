"""Bins that nothing fills are closed, and that changes nothing."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.backprojection import find_peaks
from recon3d.reconstruction.fit.frames import take_pixels
from recon3d.reconstruction.fit.iterative import IterativeFit, ProjectionCache
from recon3d.reconstruction.model.scan_model import IlluminatedFrames
from recon3d.runtime.communicator import ALONE

GEOMETRY = ProjectionGeometry(10.0, 1.0, 8.0, 8.0)
OMEGA = np.arange(0, 180, 15.0)
BINS = OrientationBins(np.arange(-6, 7) * 0.01, np.array([0.0]), np.zeros(1))
GRID = np.stack(np.meshgrid(*[np.arange(-2, 3.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
ALL = IlluminatedPixels.from_mask(np.ones((17, 17), bool))


@dataclass
class WideScan:
    """Frames at more settings than the grain has orientations."""

    volume: np.ndarray
    projections: np.ndarray = field(default_factory=lambda: np.arange(len(OMEGA)))
    suspected: frozenset[int] = frozenset()
    communicator = ALONE

    def affine(self, projection):
        return GEOMETRY.affine(OMEGA[projection])

    def weights(self, projection, bins):  # noqa: ARG002 (as of a scan)
        a_deg = bins[0]
        return np.exp(-0.5 * ((BINS.a_deg[:, None] - a_deg) / 0.008) ** 2).astype(np.float32)

    def illuminated_frames(self, projection):
        frames = self.frames(projection)
        return IlluminatedFrames(np.arange(len(frames)), frames)

    def frames(self, projection):
        weights = self.weights(projection, BINS.centres_deg())
        operator = FrameOperator(Projector(GRID), self.affine(projection), ALL, weights)
        frames = operator.forward(self.volume)[:-1].T
        return np.ascontiguousarray(frames.reshape(-1, 17, 17), np.float32)

    def total_counts(self):
        return sum(float(self.frames(int(k)).sum()) for k in self.projections)


@pytest.fixture
def scan():
    volume = np.zeros((len(GRID), BINS.size), np.float32)
    near = np.abs(GRID).max(axis=1) < 2
    volume[near & (GRID[:, 0] < 0), 5] = 100
    volume[near & (GRID[:, 0] >= 0), 7] = 100
    return WideScan(volume)


def fitted(scan, passes, *, close_after=None):
    fit = IterativeFit(scan, BINS, GRID, (0, 0, 0), threshold=0, subset_size=2)
    for number in range(1, passes + 1):
        fit.run_pass("fit")
        if number == close_after:
            fit.close_empty_bins()
    return fit


def test_the_fit_goes_on_with_the_filled_bins_as_if_the_others_were_there(scan):
    whole, closed = fitted(scan, 12), fitted(scan, 12, close_after=3)
    assert {5, 7} <= set(closed.columns) < set(range(BINS.size))
    assert closed.volume.shape == (len(GRID), closed.columns.size)
    assert closed.residuals[-1] == pytest.approx(whole.residuals[-1], rel=0.05)
    of_all = find_peaks(whole.volume, BINS, 1)
    of_filled = find_peaks(closed.volume, BINS, 1, closed.columns)
    near = np.abs(GRID).max(axis=1) < 2
    np.testing.assert_array_equal(of_filled.bins[near], of_all.bins[near])
    np.testing.assert_allclose(of_filled.a_deg[near], of_all.a_deg[near], atol=2e-4)


def test_packed_distributions_are_fitted_like_whole_ones(scan, monkeypatch):
    monkeypatch.setattr("recon3d.reconstruction.fit.iterative.LEAST_OF_LARGEST", 0.1)
    fits = []
    for worth in (0.0, 1.0):
        monkeypatch.setattr("recon3d.reconstruction.fit.iterative.WORTH_PACKING", worth)
        fits.append(fitted(scan, 6, close_after=3))
    whole, packed = fits
    assert (packed.volume == 0).mean() > 0.2
    np.testing.assert_array_equal(packed.columns, whole.columns)
    np.testing.assert_allclose(packed.volume, whole.volume, rtol=1e-4)
    np.testing.assert_allclose(packed.residuals, whole.residuals, rtol=1e-5)


def test_peaks_are_told_of_closed_bins(scan):
    fit = fitted(scan, 4)
    fit.keep_bins(np.array([2, 5, 6, 7, 11]))
    expanded = np.zeros((len(GRID), BINS.size), np.float32)
    expanded[:, fit.columns] = fit.volume
    held, full = find_peaks(fit.volume, BINS, 1, fit.columns), find_peaks(expanded, BINS, 1)
    for name, values in vars(full).items():
        np.testing.assert_array_equal(getattr(held, name), values, err_msg=name)


@pytest.mark.parametrize(("most_bytes", "kept"), [(1 << 20, True), (0, False)])
def test_projections_are_kept_where_there_is_room(scan, most_bytes, kept):
    projector = Projector(GRID)
    cache = ProjectionCache(scan, projector, BINS.centres_deg(), len(OMEGA), most_bytes)
    first, again = (cache.pixels(3, (17, 17)) for _ in range(2))
    assert (first is again) == kept
    np.testing.assert_array_equal(first.mask, projector.covered_pixels(scan.affine(3), (17, 17)))


@pytest.mark.parametrize(("short", "kept"), [(0, [True, True, False]), (1, [True, False, False])])
def test_what_is_kept_takes_its_room(scan, short, kept):
    # A number of 4 bytes for each of 17 x 17 pixels and their border, and 32 bytes for each of
    # those where a voxel falls.
    projector = Projector(GRID)
    room = sum(
        4 * 19 * 19 + 32 * int(projector.covered_pixels(scan.affine(k), (17, 17)).sum())
        for k in (0, 1)
    )
    cache = ProjectionCache(scan, projector, BINS.centres_deg(), len(OMEGA), room - short)
    first = [cache.pixels(k, (17, 17)) for k in (0, 1, 2)]
    assert [cache.pixels(k, (17, 17)) is one for k, one in enumerate(first)] == kept


@pytest.mark.parametrize(("most_bytes", "kept"), [(1 << 20, True), (1000, False)])
def test_frames_are_kept_where_those_of_all_projections_fit(scan, monkeypatch, most_bytes, kept):
    monkeypatch.setattr("recon3d.reconstruction.fit.iterative.MOST_IMAGE_BYTES", most_bytes)
    cache = ProjectionCache(scan, Projector(GRID), BINS.centres_deg(), len(OMEGA))
    first, again = cache.read(3), cache.read(3)
    assert (first is again) == kept
    assert again.projection == 3
    np.testing.assert_array_equal(again.images, again.pixels.gather(scan.frames(3)))


def test_frames_in_which_nothing_is_measured_or_predicted_are_left_out():
    frames = np.zeros((6, 17, 17), np.float32)
    frames[[1, 3]] = np.random.default_rng(4).random((2, 17, 17))
    illuminated = IlluminatedFrames(np.array([1, 3]), frames[[1, 3]])
    images = take_pixels(7, illuminated, ALL, np.arange(6) == 2)
    assert images.projection == 7
    assert images.shown.tolist() == [False, True, True, True, False, False]
    assert np.array_equal(images.images, ALL.gather(frames[1:4]))
