"""Grains planted on a finer grid come back, from every kind of scan."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.files.grain import Grain
from recon3d.reconstruction.run import reconstruct


def run(planted, **settings):
    experiment = planted.experiment.with_settings(**settings)
    return reconstruct(planted.store, experiment, show_progress=False)


@pytest.fixture(scope="module")
def of_demo(planted):
    """The grain of a scan of some handedness by a method, all else as it is for a user."""
    return cache(
        lambda handedness, method: run(planted("demo", handedness=handedness), method=method)
    )


@pytest.mark.parametrize("handedness", [1, -1])
def test_backprojection_in_the_sample_frame_beats_fixed_angles(planted, of_demo, handedness):
    scan = planted("demo", handedness=handedness)
    sample = of_demo(handedness, "backprojection")
    lab = run(scan, method="backprojection", frame="lab")
    assert sample.provenance["handedness"] == handedness
    assert scan.compare(sample).median_mdeg < 14
    assert scan.compare(lab).median_mdeg > 3 * scan.compare(sample).median_mdeg
    assert scan.compare(sample).dice > 0.9


@pytest.mark.parametrize("handedness", [1, -1])
def test_iteration_finds_shape_and_orientation_without_tuning(planted, of_demo, handedness):
    scan = planted("demo", handedness=handedness)
    grain = of_demo(handedness, "iterative")
    found = scan.compare(grain)
    assert found.median_mdeg < 3
    assert found.dice > 0.95
    planted_voxels = scan.truth.sample_on(grain.volume).occupancy.sum()
    assert grain.mask.sum() == pytest.approx(planted_voxels, rel=0.03)
    assert np.all(np.diff(grain.residual) < 0)
    inner = grain.completeness > 0.99
    assert np.median(grain.occupancy[inner & grain.mask]) == pytest.approx(1, abs=0.1)


def test_what_was_found_is_right_and_recorded(planted, of_demo):
    scan = planted("demo", handedness=-1)
    provenance = of_demo(-1, "backprojection").provenance
    assert provenance["rotation_center"] == pytest.approx(scan.truth.rotation_center_pix, abs=0.3)
    assert provenance["turning_center"] == pytest.approx(scan.truth.turning_center_deg, abs=2e-3)
    assert provenance["effective_bins_minus"] < provenance["effective_bins_plus"]
    assert provenance["M"] == 4
    assert provenance["base_tilt_sense"] == 1


def test_tilts_above_the_rotation(planted):
    scan = planted("tilts")
    with pytest.warns(Recon3DWarning, match="handedness"):
        grain = run(scan, handedness=0)
    found = scan.compare(grain)
    assert found.median_mdeg < 5
    assert found.dice > 0.95


def test_an_off_centre_region_of_a_larger_detector(planted):
    grain = run(planted("off-centre"), method="backprojection")
    found = planted("off-centre").compare(grain)
    assert found.median_mdeg < 14
    assert found.dice > 0.8


def test_a_transposed_and_reversed_detector_of_unequal_sides(planted):
    scan = planted("demo", handedness=-1, transpose=True, flip="rows", cols=70)
    grain = run(scan, method="backprojection", handedness=-1)
    found = scan.compare(grain)
    assert found.median_mdeg < 14
    assert found.dice > 0.9
    assert grain.provenance["rotation_center"] == pytest.approx(
        scan.truth.rotation_center_pix, abs=0.3
    )


def test_what_is_given_is_used(planted):
    scan = planted("demo", handedness=-1)
    given = replace(
        scan.experiment, detector=replace(scan.experiment.detector, rotation_center_pix=30.25)
    )
    given = given.with_settings(
        method="backprojection", handedness=1, turning_center_deg=(0.01, 0.02)
    )
    provenance = reconstruct(scan.store, given, show_progress=False).provenance
    assert provenance["rotation_center"] == 30.25
    assert provenance["handedness"] == 1
    assert list(provenance["turning_center"]) == [0.01, 0.02]


def test_a_backprojection_in_parts_is_the_same(planted):
    scan = planted("demo", handedness=-1)
    experiment = scan.experiment.with_settings(method="backprojection", handedness=-1)
    whole = reconstruct(scan.store, experiment, show_progress=False)
    parts = reconstruct(scan.store, experiment, memory_gib=0.004, show_progress=False)
    assert np.array_equal(whole.orientation, parts.orientation, equal_nan=True)
    assert np.array_equal(whole.completeness, parts.completeness)


def test_excluded_projections_are_left_out(planted):
    scan = planted("demo", handedness=-1)
    omega = scan.store.omega_deg
    grain = run(scan, handedness=-1, omega_exclude=tuple(omega[1:4]), iterations=1)
    assert len(grain.projections["residual"]) == len(omega) - 3
    with pytest.raises(DataError, match="no projection is left"):
        run(scan, omega_exclude=tuple(omega))


def test_an_angle_between_projections_excludes_nothing_silently(planted):
    scan = planted("demo", handedness=-1)
    with pytest.raises(ParameterError, match="nearest one is at"):
        run(scan, omega_exclude=(13.0,))


def test_two_halves_predict_the_error(planted, of_demo):
    scan = planted("demo", handedness=-1)
    grain = of_demo(-1, "iterative")
    found = scan.compare(grain).median_mdeg
    assert found / 2 < grain.provenance["precision_mdeg"] < 2 * found
    assert 1e3 * 2 * grain.volume.voxel_um[0] <= grain.provenance["resolution_nm"] < 3000
    assert grain.provenance["shape_check_dice"] > 0.95
    assert grain.curves["fsc"][0] == pytest.approx(1, abs=0.01)


def test_a_box_that_cuts_the_grain_gives_a_warning(planted):
    scan = planted("demo", handedness=-1)
    small = replace(scan.experiment.volume, size_um=(5.0, 14.0, 14.0), shape=(10, 28, 28))
    experiment = replace(scan.experiment, volume=small).with_settings(
        handedness=-1, align="none", split_half=False, iterations=2
    )
    with pytest.warns(Recon3DWarning, match="border of the volume along x"):
        reconstruct(scan.store, experiment, show_progress=False)


def test_strain_and_orientation_of_a_strain_scan(planted):
    scan = planted("strain", grain="strained", omega_deg=tuple(range(0, 180, 12)))
    grain = run(scan, align="none", split_half=False, two_theta_width_deg=0.007, bin_deg=0.028)
    truth = scan.truth.sample_on(grain.volume)
    both = truth.inside & grain.mask
    assert np.median(np.abs(grain.strain - truth.strain)[both]) < 2.5e-5
    assert scan.compare(grain).dice > 0.95


def test_strain_of_a_rocking_scan_comes_for_free(planted):
    scan = planted("rocking", grain="strained", omega_deg=tuple(range(0, 360, 12)))
    grain = run(scan, split_half=False)
    truth = scan.truth.sample_on(grain.volume)
    both = truth.inside & grain.mask
    # The mean shift of all voxels is the turning centre's: strain is from its mean.
    planted_strain = truth.strain - truth.strain[both].mean()
    error = np.median(np.abs(grain.strain - planted_strain)[both])
    assert error < 0.4 * np.median(np.abs(planted_strain[both]))
    assert np.corrcoef(grain.strain[both], planted_strain[both])[0, 1] > 0.85
    assert scan.compare(grain).median_mdeg < 6


def test_what_the_fit_says_of_every_projection_and_pixel(planted, of_demo):
    scan = planted("demo", handedness=-1)
    grain = of_demo(-1, "iterative")
    shape = scan.store.shape
    assert grain.projections["sum_residual"].shape == (shape[0],)
    assert 0 < grain.provenance["sum_residual"] < 0.2
    residual = grain.images["residual"]
    assert residual.shape == shape[2:]
    middle = residual[28:36, 28:36]
    assert 0 < np.nanmedian(middle) < 0.4
    assert Grain.load(save(grain, scan)).images["residual"] == pytest.approx(residual, nan_ok=True)


def save(grain, scan):
    path = scan.store.path.with_name("grain.h5")
    grain.save(path)
    return path


def test_a_report_follows_every_pass_of_the_fit(planted):
    scan = planted("demo", handedness=-1)
    told = []
    experiment = scan.experiment.with_settings(handedness=-1, iterations=2, split_half=False)
    grain = reconstruct(
        scan.store, experiment, show_progress=False, report=lambda *news: told.append(news)
    )
    begun = [stage for stage, number, *_ in told if number == 0]
    assert begun == ["alignment", "iteration", "refinement"]
    told = [news for news in told if news[1] > 0]
    assert [(stage, number) for stage, number, *_ in told] == [("iteration", 1), ("iteration", 2)]
    assert [residual for _, _, residual, _ in told] == pytest.approx(list(grain.residual))
    grown = told[-1][3]
    assert grown[..., 0] == pytest.approx(grain.occupancy)
    # Before the refinement an orientation is a bin: within a step of what it will be.
    away = np.linalg.norm((grown[..., 1:] - grain.orientation)[grain.mask], axis=-1)
    assert np.median(away) < 0.02


def test_impossible_requests_are_refused(planted):
    scan = planted("demo", handedness=-1)
    with pytest.raises(ParameterError, match="sample frame only"):
        run(scan, method="iterative", frame="lab")
    with pytest.raises(ParameterError, match="GiB"):
        reconstruct(scan.store, scan.experiment, memory_gib=1e-3, show_progress=False)
    elsewhere = replace(
        scan.experiment, volume=replace(scan.experiment.volume, position_um=(0.0, 60.0, 0.0))
    )
    with pytest.raises(DataError, match="grain_pos"):
        reconstruct(scan.store, elsewhere, show_progress=False)
