"""The errors that a grain claims, held against those that it has."""

from types import SimpleNamespace

import numpy as np
import pytest

from recon3d.projection.bins import OrientationBins
from recon3d.reconstruction.fit.backprojection import VoxelPeaks
from recon3d.reconstruction.fit.task import Found
from recon3d.reconstruction.quality import errors
from recon3d.reconstruction.run import reconstruct


@pytest.fixture(scope="module")
def grain_and_truth(planted):
    scan = planted("demo")
    grain = reconstruct(scan.store, scan.experiment, show_progress=False)
    return grain, scan.truth.sample_on(grain.volume)


def difference(grain, truth):
    """Errors of (a, b), and those claimed, of the voxels of the grain, (voxels, 2)."""
    both = grain.mask & truth.inside
    true = np.stack([truth.a_deg, truth.b_deg], axis=-1)
    return (grain.orientation - true)[both], grain.orientation_error[both]


def test_two_thirds_of_the_voxels_are_within_one_sigma(grain_and_truth):
    grain, truth = grain_and_truth
    both = grain.mask & truth.inside
    wrong = np.stack(
        [grain.orientation[..., 0] - truth.a_deg, grain.orientation[..., 1] - truth.b_deg]
    )
    ratio = np.abs(wrong / np.moveaxis(grain.orientation_error, -1, 0))[:, both]
    assert 0.55 < (ratio < 1).mean() < 0.80
    assert 0.85 < (ratio < 2).mean() < 0.99


def test_large_errors_claim_to_be_large(grain_and_truth):
    grain, truth = grain_and_truth
    both = grain.mask & truth.inside
    wrong = np.hypot(
        grain.orientation[..., 0] - truth.a_deg, grain.orientation[..., 1] - truth.b_deg
    )
    wrong, claimed = wrong[both], np.hypot(*np.moveaxis(grain.orientation_error, -1, 0))[both]
    bad = wrong > 3 * np.median(wrong)
    more = claimed[bad][:, None] > claimed[~bad][None]
    assert more.mean() > 0.8
    assert grain.provenance["precision_mdeg"] == pytest.approx(
        1e3 * np.median(np.hypot(*grain.orientation_error[grain.mask].T)), rel=1e-4
    )


def test_errors_are_known_in_the_mask_alone(grain_and_truth):
    grain, _ = grain_and_truth
    assert np.isfinite(grain.orientation_error[grain.mask]).all()
    assert np.isnan(grain.orientation_error[~grain.mask]).all()
    assert np.nanmedian(grain.quality) > 0.8
    assert np.nanmax(grain.quality) <= 1


def test_the_spread_is_that_of_the_whole_distribution(monkeypatch):
    """35 and 65 %, 64 mdeg apart: √(0.35 · 0.65) · 64 = 30.5 mdeg, and a second peak of 35 %."""
    monkeypatch.setattr(errors, "setting_steps_deg", lambda _: (0.032, 0.032))
    axis = 0.016 * np.arange(-4, 5)
    bins = OrientationBins(axis, axis, np.zeros(1))
    volume = np.zeros((2, bins.size), np.float32)
    volume[0].reshape(9, 9)[2, 4], volume[0].reshape(9, 9)[6, 4] = 35, 65
    volume[1].reshape(9, 9)[4, 4] = 10
    a = np.array([axis[6], axis[4]])
    peaks = VoxelPeaks(
        volume.sum(axis=1), a, np.zeros(2), np.zeros(2), np.zeros(2), np.zeros(2, int)
    )
    task = SimpleNamespace(bins=bins, model=SimpleNamespace(store=None))
    fit = SimpleNamespace(volume=volume, columns=np.arange(bins.size))
    found = Found(task, np.ones(2), np.ones(2, bool), peaks, np.ones(2))
    told = errors.with_distributions(found, fit)
    assert 1e3 * told.peaks.spread_deg == pytest.approx([64 * np.sqrt(0.35 * 0.65), 0], abs=0.01)
    assert told.second_share == pytest.approx([0.35, 0])
