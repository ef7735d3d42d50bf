"""Values of an .ini that have nothing to do with the scan are refused before any work."""

import time
from dataclasses import replace

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.errors import DataError, ParameterError
from recon3d.reconstruction.model.checks import check_before, require_memory, require_plausible
from recon3d.reconstruction.run import reconstruct


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"turning_center_deg": (10.0, 0.0)}, r"μ_c = 10° lies far outside the scan, -0\.\d+ to"),
        ({"turning_center_deg": (0.0, -45.0)}, "γ_c = -45° lies far outside"),
        ({"turning_center_deg": (1e30, 0.0)}, "found from the data"),
        ({"rocking_width_deg": 1e30}, "rocking_width is 1e.30°: expected a standard deviation"),
        ({"rocking_width_deg": 1e-6}, "rocking_width is 1e-06°"),
        ({"rolling_width_deg": 1e-5}, "rolling_width is 1e-05°"),
        ({"two_theta_width_deg": 1e9}, "two_theta_width"),
        ({"bin_deg": 1e-5}, "orientation bins, where 100000 are the most"),
        ({"bin_deg": 5.0}, "the scan covers only"),
    ],
)
def test_settings_far_outside_the_scan(planted, changes, message):
    scan = planted("demo")
    experiment = scan.experiment.with_settings(**changes)
    begin = time.perf_counter()
    for work in (require_plausible, reconstruct):
        with pytest.raises(ParameterError, match=message) as caught:
            work(scan.store, experiment)
    assert time.perf_counter() - begin < 2
    assert len(str(caught.value)) < 250


@pytest.mark.parametrize(
    ("part", "changes", "message"),
    [
        ("crystal", {"wavelength_angstrom": 1e-6}, "Bragg angle of 1.*°: expected 0.1 to 89°"),
        ("crystal", {"unit_cell": (1e5, 1e5, 1e5, 90, 90, 90)}, "Bragg angle"),
        ("detector", {"magnification_pix_per_um": 1e-300}, "pixels on the detector"),
        ("volume", {"size_um": (1e-30,) * 3}, "pixels on the detector: are both right"),
        ("volume", {"size_um": (1e9, 1.0, 1.0)}, "makes voxels of"),
    ],
)
def test_scales_that_cannot_be(planted, part, changes, message):
    scan = planted("demo")
    changed = replace(getattr(scan.experiment, part), **changes)
    with pytest.raises(ParameterError, match=message):
        reconstruct(scan.store, replace(scan.experiment, **{part: changed}))


def test_what_a_scan_may_well_be_passes(planted):
    scan = planted("demo")
    span = np.nanmax(scan.store.motors.base_tilt_deg) - np.nanmin(scan.store.motors.base_tilt_deg)
    off_centre = {"turning_center_deg": (0.9 * span, -0.9 * span)}
    for changes in ({}, off_centre, {"rolling_width_deg": 300.0}, {"bin_deg": span / 200}):
        require_plausible(scan.store, scan.experiment.with_settings(**changes))


def test_where_rolling_was_not_scanned_its_centre_is_free_unless_a_width_is_given(planted):
    scan = planted("rocking")
    aside = scan.experiment.with_settings(turning_center_deg=(0.0, 3.0), rolling_width_deg=None)
    require_plausible(scan.store, aside)
    narrow = aside.with_settings(rolling_width_deg=0.05)
    with pytest.raises(ParameterError, match="γ_c = 3°"):
        require_plausible(scan.store, narrow)


def test_a_memory_limit_counts(monkeypatch):
    volume = Volume((0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (300, 300, 300))
    monkeypatch.setattr("resource.getrlimit", lambda _: (1 << 30, 1 << 30))
    with pytest.raises(ParameterError, match=r"at least 2\.01 GiB, and 1 are there"):
        require_memory(volume)
    monkeypatch.setattr("resource.getrlimit", lambda _: (4 << 30, 4 << 30))
    require_memory(volume)


def test_centres_of_another_region_than_the_suggested_one_are_refused(planted):
    scan = planted("demo")
    detector = replace(scan.experiment.detector, rotation_center_pix=40.0)
    experiment = replace(scan.experiment, detector=detector)
    said = {"getdata": {"poi": "None", "imgsize": "None"}, "suggested": {"framebg": 8}}
    suggested = replace(scan.store, provenance=scan.store.provenance | said)
    with pytest.raises(ParameterError, match="rotation_center of the"):
        check_before(suggested, experiment)
    check_before(suggested, scan.experiment)
    said["getdata"] = {"poi": "48,48", "imgsize": "80,80"}
    check_before(replace(suggested, provenance=scan.store.provenance | said), experiment)


def test_a_grain_of_one_voxel_is_refused(planted):
    scan = planted("demo")
    single = replace(scan.experiment, volume=replace(scan.experiment.volume, shape=(1, 1, 1)))
    with pytest.raises(DataError, match="one voxel wide along x and z"):
        reconstruct(scan.store, single, show_progress=False)
