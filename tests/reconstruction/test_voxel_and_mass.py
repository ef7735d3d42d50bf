"""One voxel's evidence, the circle of the centre of mass, rough grains, and expected costs."""

import numpy as np
import pytest

from recon3d.analysis.misorientation import dice
from recon3d.cleaning.overview import glances_of_store
from recon3d.config.cleaning import Cleaning
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.backprojection import backproject_sample
from recon3d.reconstruction.model.scanned import fit_centre_of_mass, orientation_bins
from recon3d.reconstruction.preview import preview_grain
from recon3d.reconstruction.quality.reprojection import look_at_voxel
from recon3d.scan.scan import open_scan


def test_a_voxel_sees_what_backprojection_puts_there(planted):
    scan = planted("demo")
    model = build_model(scan.store, scan.experiment, 1)
    bins = orientation_bins(model, 0.016)
    point = (0.7, -0.4, 0.9)
    *_, evidence = look_at_voxel(model, bins, point)
    expected = backproject_sample(model, bins, np.array([point]))
    np.testing.assert_allclose(
        evidence.tilts, expected[0].reshape(bins.shape).sum(axis=2), rtol=1e-4, atol=1e-3
    )
    assert evidence.counts.shape == scan.store.shape[:2]
    assert evidence.counts.max() > 0
    sample = scan.truth.phantom.sample(*point)
    assert sample.density > 0
    true = (float(sample.a_deg), float(sample.b_deg))
    np.testing.assert_allclose(evidence.mean_deg, true, atol=0.02)


def test_a_voxel_beside_the_detector_sees_nothing(planted):
    scan = planted("demo")
    model = build_model(scan.store, scan.experiment, 1)
    first = next(look_at_voxel(model, orientation_bins(model, 0.032), (0.0, 900.0, 0.0)))
    assert np.isnan(first.counts).all()
    assert np.isnan(first.mean_deg).all()


def test_the_circle_is_found_in_spite_of_outliers():
    omega = np.arange(0, 180, 5.0)
    turn = np.radians(omega)
    mass = np.stack([40 + 2 * np.cos(turn), 51.3 + 5 * np.sin(turn)], axis=1)
    mass += np.random.default_rng(0).normal(0, 0.03, mass.shape)
    mass[[4, 20]] += (0, 9)
    mass[7] = np.nan
    fit = fit_centre_of_mass(omega, mass)
    assert fit.axis_pix == pytest.approx(51.3, abs=0.05)
    assert np.flatnonzero(fit.outlier).tolist() == [4, 20]


def test_too_short_a_turn_tells_nothing():
    omega = np.arange(0, 50, 5.0)
    fit = fit_centre_of_mass(omega, np.ones((10, 2)))
    assert np.isnan(fit.axis_pix)
    assert not fit.outlier.any()


def test_glances_find_the_centre_of_mass(planted):
    store = planted("demo").store
    glance = next(glances_of_store(store))
    image = store.read_summed(0).astype(float)
    rows, cols = np.indices(image.shape)
    expected = ((rows * image).sum() / image.sum(), (cols * image).sum() / image.sum())
    np.testing.assert_allclose(glance.centre_of_mass_pix, expected)
    assert glance.total == pytest.approx(image.sum(), rel=1e-5)


def preview_of(scan, first, **options):
    folder = scan.store.path.parent
    raw = open_scan(folder, "topotomo_", phi0_deg=-3.5, chi0_deg=1.2, show_progress=False)
    cleaning = Cleaning(framebg=6, binth=12, min_region_pix=40)
    part = raw.of_projections(np.arange(round(first * len(raw.omega_deg))))
    return preview_grain(part, cleaning, scan.experiment, **options)


def test_a_rough_grain_has_about_the_right_shape(planted):
    scan = planted("demo")
    grain = preview_of(scan, 1, projections=9, voxels=20)
    assert grain.volume.shape == (20, 20, 20)
    truth = scan.truth.sample_on(grain.volume)
    assert dice(grain.mask, truth.inside) > 0.85


def test_after_a_third_of_the_projections_volume_and_colours_are_about_right(planted):
    scan = planted("demo")
    grain = preview_of(scan, 1 / 3)
    truth = scan.truth.sample_on(grain.volume)
    assert grain.mask.sum() == pytest.approx(truth.inside.sum(), rel=0.2)
    both = grain.mask & truth.inside
    wrong = np.hypot(
        grain.orientation[both][:, 0] - truth.a_deg[both],
        grain.orientation[both][:, 1] - truth.b_deg[both],
    )
    half_step = float(np.diff(scan.truth.plan.mu.values_deg).min()) / 2
    assert np.mean(wrong < half_step) > 0.8
