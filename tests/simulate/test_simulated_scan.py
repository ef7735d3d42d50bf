"""Folders that `simulate_scan` writes, read back by fabio and by the project's own readers."""

from __future__ import annotations

from dataclasses import replace

import fabio
import numpy as np
import pytest

from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError
from recon3d.scan.scan import open_scan
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import PLANS, demo_plan, off_centre_plan
from recon3d.simulate.scan_plan import as_recorded, true_motors
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import (
    ScanHeader,
    simulate_scan,
    simulated_projections,
    write_edf,
)
from recon3d.simulate.writers.experiment_ini import roi_center_and_size

CLEAN = SimulatedDetector(
    poisson=False,
    readout_noise_counts=0.0,
    offset_gradient_counts=(0.0, 0.0),
    hot_pixels=0,
    zingers=0.0,
    beam_decay=0.0,
)


@pytest.fixture
def folder(tmp_path, small_plan, small_phantom):
    out = tmp_path / "run"
    assert simulate_scan(out, small_phantom, small_plan, show_progress=False) == out
    return out


def readings(header, kind: str) -> dict[str, float]:
    names, values = header[f"{kind}_mne"].split(), header[f"{kind}_pos"].split()
    assert len(names) == len(values)
    return dict(zip(names, map(float, values), strict=True))


def test_fabio_reads_every_frame(folder, small_plan):
    paths = sorted(folder.glob("*.edf"))
    assert [path.name for path in paths] == [f"topotomo_{n:04d}.edf" for n in range(45)]
    for path in paths:
        with fabio.open(path) as image:
            assert image.data.shape == (small_plan.rows, small_plan.cols)
            assert image.data.dtype == np.uint16
        assert path.stat().st_size == 3072 + 2 * small_plan.rows * small_plan.cols


def test_headers_are_those_of_the_beamline(folder, small_plan):
    epochs, errors = [], []
    for number in range(45):
        header = fabio.open(folder / f"topotomo_{number:04d}.edf").header
        motors, counters = readings(header, "motor"), readings(header, "counter")
        k, f = divmod(number, 15)
        true = true_motors(small_plan, k)
        for name, column in (
            ("diffry", true.omega_deg),
            ("diffrz", true.base_tilt_deg),
            ("chi", true.chi_deg),
            ("phi", true.phi_deg),
            ("obpitch", true.two_theta_deg),
        ):
            errors.append(motors[name] - column[f])
        assert counters["srcur"] == pytest.approx(190 * 0.9 ** (number / 44), rel=1e-6)
        assert np.isnan(counters["foc1"])
        assert "-nan" in header["counter_pos"]
        assert header["point_no"] == "0"
        epochs.append(float(header["epoch"]))
    assert (np.diff(epochs) > 0).all()
    assert np.std(errors) == pytest.approx(small_plan.jitter_deg, rel=0.2)


def test_the_current_can_be_left_out(tmp_path, small_plan, small_phantom):
    detector = SimulatedDetector(record_current=False)
    simulate_scan(tmp_path, small_phantom, small_plan, detector, show_progress=False)
    counters = readings(fabio.open(tmp_path / "topotomo_0000.edf").header, "counter")
    assert "srcur" not in counters
    assert "sec" in counters


def test_the_project_reads_the_scan_as_it_was_planned(folder, small_plan):
    scan = open_scan(
        folder,
        "topotomo_",
        phi0_deg=small_plan.phi0_deg,
        chi0_deg=small_plan.chi0_deg,
        show_progress=False,
    )
    assert scan.kind == "mosaicity"
    assert scan.shape == (3, 15, small_plan.rows, small_plan.cols)
    np.testing.assert_allclose(scan.omega_deg, small_plan.omega_deg, atol=0.001)


def test_the_experiment_is_ready_for_the_reconstruction(folder, small_plan, small_phantom):
    experiment = Experiment.from_ini(folder / "experiment.ini")
    assert experiment.crystal == small_plan.crystal
    assert experiment.detector.magnification_pix_per_um == 4.0
    assert experiment.detector.rotation_center_pix is None
    assert experiment.path == folder / "results"
    assert experiment.volume.shape == (48, 48, 48)
    assert 6.0 < experiment.volume.size_um[0] < 7.5
    assert experiment.settings.handedness == 0
    assert Truth.load(folder / "truth.h5").phantom == small_phantom


@pytest.mark.parametrize("name", ["rocking", "tilts"])
def test_handedness_is_given_where_a_scan_cannot_tell(name, tmp_path, small_phantom):
    plan = replace(PLANS[name](), omega_deg=(0.0,), handedness=-1)
    simulate_scan(tmp_path, small_phantom, plan, show_progress=False)
    settings = Experiment.from_ini(tmp_path / "experiment.ini").settings
    assert settings.handedness == -1
    assert settings.rolling_width_deg == (0.15 if name == "rocking" else None)


@pytest.mark.parametrize("transpose", [False, True])
@pytest.mark.parametrize("flip", ["none", "rows", "columns", "both"])
def test_the_keys_put_a_flipped_roi_upright(flip, transpose, tmp_path):
    roi = (74, 10, 116, 120) if transpose else (10, 74, 120, 116)
    plan = replace(
        off_centre_plan(), omega_deg=(30.0,), drift_pix=(), flip=flip, transpose=transpose, roi=roi
    )
    phantom = make_phantom("single", size_um=2.0, position_um=(0.9, 2.6, -0.7))
    simulate_scan(tmp_path, phantom, plan, CLEAN, show_progress=False)
    frames = [fabio.open(path).data for path in sorted(tmp_path.glob("*.edf"))]
    (x, y), (width, height) = roi_center_and_size(plan)
    top, left = y - height // 2, x - width // 2
    image = np.sum(frames, axis=0)[top : top + height, left : left + width].astype(float)
    if flip in ("rows", "both"):
        image = image[::-1]
    if flip in ("columns", "both"):
        image = image[:, ::-1]
    if transpose:
        image = image.T
    detector = Experiment.from_ini(tmp_path / "experiment.ini").detector
    assert (detector.flip, detector.transpose) == (flip, transpose)
    truth = Truth.load(tmp_path / "truth.h5")
    offset = plan.geometry(0).affine(30.0)[:, :3] @ phantom.position_um
    light = np.where(image - np.median(image) > 200, image - np.median(image), 0)
    i, j = np.indices(image.shape)
    middle = (image.shape[0] - 1) / 2
    centre_row = middle if detector.centre_row_pix is None else detector.centre_row_pix
    assert centre_row == truth.centre_row_pix
    # The grain's centre of mass is not its origin: a micrometre is six pixels.
    assert (i * light).sum() / light.sum() == pytest.approx(centre_row + offset[0], abs=1.5)
    assert (j * light).sum() / light.sum() == pytest.approx(
        truth.rotation_center_pix + offset[1], abs=1.5
    )


def test_recorded_images_are_turned_as_the_keys_undo():
    upright = np.arange(6).reshape(2, 3)
    recorded = as_recorded(upright, "rows", transpose=True)
    assert recorded.shape == (3, 2)
    np.testing.assert_array_equal(recorded[::-1].T, upright)


def test_the_brightest_pixel_has_about_the_peak_counts(small_plan, small_phantom):
    detector = replace(CLEAN, peak_counts=850.0, offset_counts=0.0)
    brightest = max(
        frames.max()
        for frames, _ in simulated_projections(Truth(small_phantom, small_plan, detector))
    )
    assert brightest == pytest.approx(850, abs=1)


def test_the_beam_s_decay_dims_the_frames(small_plan, small_phantom):
    plan = replace(small_plan, omega_deg=(40.0, 40.0), jitter_deg=0.0)
    detector = replace(CLEAN, beam_decay=0.3, peak_counts=20_000.0, offset_counts=0.0)
    first, second = (
        (frames.sum(axis=(1, 2)), motors.ring_current_ma)
        for frames, motors in simulated_projections(Truth(small_phantom, plan, detector))
    )
    np.testing.assert_allclose(second[0] / first[0], second[1] / first[1], rtol=0.005)


def test_the_same_seed_writes_the_same_files(tmp_path, small_plan, small_phantom):
    plan = replace(small_plan, omega_deg=(0.0,))
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        detector = SimulatedDetector(seed=seed)
        out = tmp_path / name / "run"
        simulate_scan(out, small_phantom, plan, detector, show_progress=False)
    contents = [
        [path.read_bytes() for path in sorted((tmp_path / name / "run").glob("*.edf"))]
        for name in ("one", "two", "three")
    ]
    assert contents[0] == contents[1]
    assert all(a != b for a, b in zip(contents[0], contents[2], strict=True))


def test_dark_frames_go_to_their_own_folder(tmp_path, small_plan, small_phantom):
    plan = replace(small_plan, omega_deg=(0.0,))
    simulate_scan(tmp_path, small_phantom, plan, dark_frames=4, show_progress=False)
    darks = sorted((tmp_path / "background").glob("dark_*.edf"))
    assert len(darks) == 4
    assert np.median(fabio.open(darks[0]).data) == pytest.approx(100, abs=2)


def test_older_frames_are_kept_unless_told_otherwise(folder, small_plan, small_phantom):
    before = (folder / "topotomo_0000.edf").read_bytes()
    (folder / "topotomo_9999.edf").write_bytes(before)
    (folder / "topotomo_notes.edf").write_bytes(before)
    with pytest.raises(ParameterError, match="already holds 46 frames"):
        simulate_scan(folder, small_phantom, small_plan, show_progress=False)
    assert (folder / "topotomo_0000.edf").read_bytes() == before
    plan = replace(small_plan, omega_deg=(7.0,))
    simulate_scan(folder, small_phantom, plan, overwrite=True, show_progress=False)
    assert len(list(folder.glob("topotomo_*.edf"))) == 15 + 1


def test_a_grain_that_lights_nothing_is_refused(tmp_path, small_plan):
    far = make_phantom("single", size_um=2.0, position_um=(0.0, 90.0, 0.0))
    with pytest.raises(ParameterError, match="lights no pixel"):
        simulate_scan(tmp_path, far, small_plan, show_progress=False)
    assert not list(tmp_path.glob("*.edf"))


def test_a_prefix_is_no_path(tmp_path, small_plan, small_phantom):
    with pytest.raises(ParameterError, match="no path"):
        simulate_scan(tmp_path, small_phantom, small_plan, prefix="../run_", show_progress=False)


def written(path, prefix="p_", folder="run") -> np.ndarray:
    """Write a small frame, and return its counts."""
    image = np.arange(6, dtype=np.uint16).reshape(2, 3)
    header = ScanHeader("ascan  diffrz 10.3 10.5  6 1", prefix, folder)
    write_edf(path, image, header.encode(image.shape, 3, {}, 190.0))
    return image


def test_long_headers_grow_by_whole_blocks(tmp_path):
    image = written(tmp_path / "a.edf", folder="d" * 2000)
    assert (tmp_path / "a.edf").stat().st_size > 3072 + 12
    assert ((tmp_path / "a.edf").stat().st_size - 12) % 512 == 0
    np.testing.assert_array_equal(fabio.open(tmp_path / "a.edf").data, image)


@pytest.mark.parametrize("prefix", ["probé_", "a;b", "a}"])
def test_prefixes_that_break_the_format_are_refused(tmp_path, prefix):
    with pytest.raises(ParameterError, match="plain letters"):
        written(tmp_path / "a.edf", prefix=prefix)


def test_folders_with_any_name_can_be_simulated_into(tmp_path):
    image = written(tmp_path / "a.edf", folder="Körner; {neu}")
    with fabio.open(tmp_path / "a.edf") as read:
        np.testing.assert_array_equal(read.data, image)
        assert read.header["dir"] == "K?rner? ?neu?"


def test_the_demo_grain_fits_with_its_rim_free():
    plan = replace(demo_plan(), omega_deg=(0.0, 25.0, 90.0, 160.0))
    for frames, _ in simulated_projections(Truth(make_phantom(size_um=12.2, seed=1), plan, CLEAN)):
        rim = np.ones(frames.shape[1:], bool)
        rim[8:-8, 8:-8] = False
        illuminated = frames.astype(float) - CLEAN.static(frames.shape[1:])
        assert illuminated[:, rim].max() < 1
        assert illuminated.max() > 300
