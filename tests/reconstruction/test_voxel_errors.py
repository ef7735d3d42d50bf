"""The errors that a grain claims, held against those that it has."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.projection.operator import voxel_centres_um
from recon3d.projection.weights import OrientationBins
from recon3d.reconstruction.fit.backprojection import VoxelPeaks
from recon3d.reconstruction.quality import errors
from recon3d.reconstruction.run import reconstruct
from recon3d.reconstruction.task import Found


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
    assert more.mean() > 0.88
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
    monkeypatch.setattr(errors, "gamma_scanned", lambda _: True)
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
    monkeypatch.setattr(errors, "gamma_scanned", lambda _: False)
    assert errors.with_distributions(found, fit).second_share is None


def box(n=9):
    """A task of n³ voxels of 1 µm, a step of 32 mdeg in μ and γ."""
    volume = Volume((0.0, 0.0, 0.0), (float(n),) * 3, (n, n, n))
    omega = np.arange(0.0, 180.0, 1.0)
    model = SimpleNamespace(
        turning=SimpleNamespace(handedness=-1),
        store=SimpleNamespace(axes=(), omega_deg=omega),
        course=np.linspace(-0.5, 0.5, omega.size),
        centre_drift_deg=(0.0, 0.0),
    )
    return SimpleNamespace(
        volume=volume,
        points_um=voxel_centres_um(volume),
        inside=np.arange(n**3),
        model=model,
        bent=None,
        experiment=None,
        dark=0.0,
    )


@pytest.mark.parametrize(
    ("dark", "gamma", "strain", "factor"),
    [
        (0.0, True, None, 1),
        (0.4, True, None, 2.6),
        (0.0, False, None, 1.7),
        (0.0, False, "two_theta", 1.7 * errors.WITH_STRAIN),
    ],
)
def test_counting_adds_more_where_less_is_told(monkeypatch, dark, gamma, strain, factor):
    """A grain of one orientation: nothing but counting, 1 mdeg, makes it wrong."""
    task, everywhere = box(), np.ones(729, bool)
    task.dark = dark
    flat = np.zeros(729)
    counted = np.full((729, 3), 0.001)
    monkeypatch.setattr(errors, "_of_two_halves", lambda *_: (counted, 0 * counted))
    monkeypatch.setattr(errors, "gamma_scanned", lambda _: gamma)
    monkeypatch.setattr(errors, "strain_axis", lambda _: strain)
    monkeypatch.setattr(errors, "bend_left", lambda *_: (0.0, 0.0))
    monkeypatch.setattr(errors, "free_widths", lambda *_: ())
    monkeypatch.setattr(errors, "setting_steps_deg", lambda _: (0.0, 0.0))
    found = Found(task, flat, everywhere, VoxelPeaks(*[flat] * 5, flat.astype(int)), flat)
    told = errors.with_errors(found, None).errors_deg
    np.testing.assert_allclose(told, np.tile(errors.OF_COUNTING * factor * 0.001, (729, 1)))


def test_a_threshold_that_cuts_true_counts_adds_a_part_of_a_step(monkeypatch):
    """At half of a bright pixel 0.5 / 16 of 32 mdeg, 1.0 mdeg, beside the 0.2 mdeg of any model."""
    task, everywhere, flat = box(), np.ones(729, bool), np.zeros(729)
    task.dark = 0.5
    monkeypatch.setattr(errors, "_of_two_halves", lambda *_: np.zeros((2, 729, 3)))
    monkeypatch.setattr(errors, "gamma_scanned", lambda _: True)
    monkeypatch.setattr(errors, "setting_steps_deg", lambda _: (0.032, 0.032))
    found = Found(task, flat, everywhere, VoxelPeaks(*[flat] * 5, flat.astype(int)), flat)
    told = errors.with_errors(found, None).errors_deg[:, :2]
    np.testing.assert_allclose(1e3 * told, np.hypot(1.0, 0.208))


@pytest.mark.parametrize(("gamma", "bent"), [(False, False), (True, True), (True, False)])
def test_a_bend_that_the_frames_still_ask_for_counts(monkeypatch, gamma, bent):
    """a errs with x and b with z, together by √(3² + (4 · 1)²) = 5 mdeg at a typical voxel."""
    task, everywhere = box(), np.ones(729, bool)
    task.bent = bent
    monkeypatch.setattr(errors, "gamma_scanned", lambda _: gamma)
    monkeypatch.setattr(errors, "bend_left", lambda *_: (0.003, 0.001))
    monkeypatch.setattr(errors, "free_widths", lambda *_: ())
    told = np.sqrt(errors._of_whole_grain(task, None, everywhere))
    told_of_all = 0.0 if gamma and not bent else 0.005
    assert np.sqrt((told**2).sum(axis=1).mean()) == pytest.approx(told_of_all)
    expected = told[:, 0].max() * np.abs(task.points_um[:, 0])
    np.testing.assert_allclose(told[:, 0] * 4, expected, atol=1e-15)


def test_a_drift_found_from_mu_alone_counts_as_the_tilt_it_looks_like():
    """Over half a turn a line from -1/2 to 1/2 is most like -4/π² cos ω."""
    model = box().model
    model.centre_drift_deg = (0.02, 0.0)
    tilt = errors._tilt_like_drift(model)
    np.testing.assert_allclose(tilt, [-4 / np.pi**2 * 0.02, 0], atol=2e-4)


def test_voxels_that_differ_from_those_around_them_claim_more(monkeypatch):
    task, everywhere = box(), np.ones(729, bool)
    counted = np.full((729, 3), 0.001)
    monkeypatch.setattr(errors, "_of_two_halves", lambda *_: (counted, 0 * counted))
    monkeypatch.setattr(errors, "gamma_scanned", lambda _: True)
    monkeypatch.setattr(errors, "setting_steps_deg", lambda _: (0.032, 0.032))
    a = np.where(task.points_um[:, 0] > 0, 0.05, 0.0)
    flat = np.zeros(729)
    found = Found(
        task, flat, everywhere, VoxelPeaks(flat, a, flat, flat, flat, flat.astype(int)), flat
    )
    told = errors.with_errors(found, None).errors_deg[:, 0]
    at_step, far = (told.reshape(9, 9, 9)[x, 4, 4] for x in (5, 8))
    assert at_step > 5 * far
    second = replace(found, second_share=np.where(task.points_um[:, 1] > 0, 0.3, 0.0))
    second = replace(second, peaks=replace(second.peaks, spread_deg=flat + 0.03))
    pulled = errors.with_errors(second, None).errors_deg[:, 0]
    more = np.where(task.points_um[:, 1] > 0, errors.OF_SECOND * 0.3 * 0.03, 0.0)
    np.testing.assert_allclose(pulled**2 - told**2, more**2, atol=1e-12)
