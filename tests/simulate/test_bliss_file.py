from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest

from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError
from recon3d.readers.open import mean_background
from recon3d.scan.scan import open_scan
from recon3d.simulate import (
    SimulatedDetector,
    Steps,
    Truth,
    demo_plan,
    make_phantom,
    rocking_plan,
    simulate_scan,
    strain_plan,
    tilts_plan,
)
from recon3d.simulate.writers.bliss_scan import scan_title, simulate_bliss

PHANTOM = make_phantom("strained", 4.0, 0.03, 1)
DETECTOR = SimulatedDetector(seed=5, hot_pixels=3)


def small(plan, **changes):
    """Three projections of a few small frames."""
    mu, two_theta = replace(plan.mu, number=5), plan.two_theta
    gamma = replace(plan.gamma, number=3) if plan.gamma.number > 1 else plan.gamma
    if two_theta.number > 1:
        two_theta = replace(two_theta, number=3)
    size = {"rows": 40, "cols": 44, "magnification_pix_per_um": 4.0, "axis_offset_pix": 0.0}
    steps = {"mu": mu, "gamma": gamma, "two_theta": two_theta}
    return replace(plan, omega_deg=(0.0, 40.0, 100.0), **steps, **size, **changes)


PLANS = {
    "mosaicity": small(demo_plan()),
    "zigzag": small(demo_plan(), zigzag=True),
    "exact motors": small(demo_plan(), jitter_deg=0.0),
    "rocking": small(rocking_plan()),
    "tilts": small(tilts_plan()),
    "strain": small(strain_plan(), zigzag=True),
}


def write(folder, plan=PLANS["mosaicity"], **options):
    return simulate_bliss(folder, PHANTOM, plan, DETECTOR, show_progress=False, **options)


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_the_twins_are_the_same_scan(tmp_path, plan):
    simulate_scan(tmp_path / "edf", PHANTOM, plan, DETECTOR, show_progress=False)
    path = write(tmp_path / "bliss", plan)
    origin = {"phi0_deg": plan.phi0_deg, "chi0_deg": plan.chi0_deg, "show_progress": False}
    edf, bliss = open_scan(tmp_path / "edf", "topotomo_", **origin), open_scan(path, **origin)
    assert (bliss.kind, bliss.shape, bliss.dtype) == (edf.kind, edf.shape, edf.dtype)
    np.testing.assert_array_equal(bliss.slots, edf.slots)
    for k in range(bliss.shape[0]):
        np.testing.assert_array_equal(bliss.read_projection(k), edf.read_projection(k))
    for (name, ours), (_, theirs) in zip(bliss.motors.items(), edf.motors.items(), strict=True):
        # EDF headers keep eight digits.
        np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9, err_msg=name)
    for ours, theirs in zip(bliss.axes, edf.axes, strict=True):
        assert ours.name == theirs.name
        np.testing.assert_allclose(ours.values_deg, theirs.values_deg, atol=1e-6)
    for name in ("experiment.ini", "truth.h5"):
        assert (tmp_path / "bliss" / name).exists()
    assert (tmp_path / "bliss/experiment.ini").read_text() == (
        tmp_path / "edf/experiment.ini"
    ).read_text()


@pytest.mark.parametrize("external", [False, True])
def test_ways_of_keeping_frames(tmp_path, external):
    usual = open_scan(write(tmp_path / "usual"), show_progress=False)
    path = write(tmp_path / "other", external=external)
    other = open_scan(path, "pco_ff", show_progress=False)
    for k in range(usual.shape[0]):
        np.testing.assert_array_equal(other.read_projection(k), usual.read_projection(k))
    with h5py.File(path, "r") as file:
        frames = file["2.1/measurement/pco_ff"]
        assert frames.is_virtual == external
        assert frames == file["2.1/instrument/pco_ff/image"]
        if not external:
            assert frames.id.get_create_plist().get_nfilters() == 1
    parts = sorted(path.parent.glob("topotomo_scan*/*.h5"))
    assert len(parts) == (9 if external else 0)


def test_entries_look_like_those_of_the_beamline(tmp_path):
    plan = PLANS["exact motors"]
    with h5py.File(write(tmp_path, plan), "r") as file:
        assert list(file) == ["1.1", "2.1", "3.1"]
        entry = file["2.1"]
        instrument = entry["instrument"]
        assert entry["title"].asstr()[()] == scan_title(plan)
        assert entry["start_time"].asstr()[()] < entry["end_time"].asstr()[()]
        assert instrument["pco_ff/type"][()] == b"lima"
        assert instrument["positioners/ffpitch"][()] == b"ERR"
        assert instrument["positioners/omega"][()] == 40.0
        assert "omega" not in instrument
        assert instrument["mu/data"].shape == instrument["chi/value"].shape == (15,)
        parameters = instrument["fscan_parameters"]
        assert parameters["fast_motor"][()] == b"mu"
        assert parameters["fast_npoints"][()] * parameters["slow_npoints"][()] == plan.frames


def test_titles_name_the_motors():
    titles = {name: scan_title(plan).split() for name, plan in PLANS.items()}
    assert titles["rocking"][:2] == ["fscan", "mu"]
    assert [titles["tilts"][i] for i in (0, 1, 4, 5, 8)] == ["fscan2d", "phi", "3", "chi", "5"]
    assert [titles["strain"][i] for i in (0, 1, 4, 5, 8)] == ["fscan2d", "obpitch", "3", "mu", "5"]


def test_truth_experiment_and_background(tmp_path):
    write(tmp_path, dark_frames=4)
    truth = Truth.load(tmp_path / "truth.h5")
    assert (truth.plan, truth.detector) == (PLANS["mosaicity"], DETECTOR)
    assert Experiment.from_ini(tmp_path / "experiment.ini").path == tmp_path / "results"
    dark = mean_background(tmp_path / "background.h5")
    assert dark.shape == PLANS["mosaicity"].recorded_shape
    np.testing.assert_allclose(np.median(dark), DETECTOR.offset_counts, atol=5)


def test_files_are_not_overwritten_unless_asked(tmp_path):
    write(tmp_path, external=True)
    with pytest.raises(ParameterError, match=r"topotomo\.h5 is there already"):
        write(tmp_path)
    write(tmp_path, replace(PLANS["rocking"], omega_deg=(0.0, 1.0)), overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "experiment.ini",
        "topotomo.h5",
        "truth.h5",
    ]
    (tmp_path / "other_scan0001").mkdir()
    with pytest.raises(ParameterError, match="other_scan0001 is there already"):
        write(tmp_path, name="other", external=True)


@pytest.mark.parametrize("options", [{"name": "a/b"}, {"name": ""}])
def test_bad_options_are_refused(tmp_path, options):
    with pytest.raises(ParameterError):
        write(tmp_path, **options)


def test_no_current_is_written_where_none_is_recorded(tmp_path):
    detector = replace(DETECTOR, record_current=False)
    path = simulate_bliss(tmp_path, PHANTOM, PLANS["rocking"], detector, show_progress=False)
    assert np.isnan(open_scan(path, show_progress=False).motors.ring_current_ma).all()


def test_one_step_of_a_motor_has_no_range():
    assert Steps().number == 1
    assert scan_title(replace(PLANS["rocking"], mu=Steps())).split()[4] == "1"
