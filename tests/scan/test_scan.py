"""Folders of frames become scans: projections, settings, and what is missing."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from id06_folders import frame, grid, jittered, mosaicity, write_edf

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, GridError, ParameterError, Recon3DWarning
from recon3d.scan.coordinates import Choices
from recon3d.scan.scan import Scan, arrange_scan, open_scan

OMEGA = np.arange(0, 180, 30.0)
MU = np.array([-0.064, -0.032, 0, 0.032, 0.064])
GAMMA = np.array([-0.06, -0.02, 0.02, 0.06])
MOSAICITY = mosaicity(OMEGA, MU, GAMMA, phi0=9.15, chi0=10.43)


def open_quietly(folder, **options) -> Scan:
    return open_scan(folder, "topo_", show_progress=False, **options)


def names(scan: Scan) -> list[str]:
    return [axis.name for axis in scan.axes]


def check_frames(scan: Scan) -> None:
    """Frame i of the plan must be at place i of the scan, wherever its file is."""
    size = scan.shape[1]
    for k in range(scan.shape[0]):
        expected = [frame(i) for i in range(k * size, (k + 1) * size)]
        np.testing.assert_array_equal(scan.read_projection(k), expected)


@pytest.fixture
def mosaicity_scan(write_folder) -> Scan:
    return open_quietly(write_folder(MOSAICITY))


def test_mosaicity(mosaicity_scan):
    scan = mosaicity_scan
    assert (scan.kind, names(scan)) == ("mosaicity", ["mu", "gamma"])
    assert scan.shape == (6, 20, 4, 6)
    np.testing.assert_allclose(scan.omega_deg, OMEGA)
    np.testing.assert_allclose(scan.axes[0].values_deg, MU, atol=1e-7)
    np.testing.assert_allclose(scan.axes[1].values_deg, GAMMA, atol=1e-6)
    assert scan.origin.chi_deg == pytest.approx(10.43, abs=1e-6)
    assert scan.origin.phi_deg == pytest.approx(9.15, abs=1e-6)
    assert scan.origin.base_tilt_deg == pytest.approx(0, abs=1e-9)
    assert scan.valid.all()
    assert not scan.missing
    check_frames(scan)


@pytest.mark.parametrize("sigma", [1e-5, 0.001, 0.0015])
def test_jitter_and_any_order_of_files(write_folder, sigma):
    order = np.random.default_rng(3).permutation(len(MOSAICITY))
    scan = open_quietly(
        write_folder(jittered(MOSAICITY, sigma), order=order), phi0_deg=9.15, chi0_deg=10.43
    )
    assert scan.shape[:2] == (6, 20)
    np.testing.assert_allclose(scan.axes[0].values_deg, MU, atol=0.001)
    np.testing.assert_allclose(scan.axes[1].values_deg, GAMMA, atol=0.001)
    check_frames(scan)
    meant = np.tile(np.repeat(MU, 4), 6).reshape(6, 20)
    np.testing.assert_allclose(scan.motors.base_tilt_deg, meant, atol=6 * sigma)
    assert np.ptp(scan.motors.base_tilt_deg[:, 0]) > sigma / 2


def test_base_tilt_origin_is_the_middle_of_its_range(write_folder):
    positions = mosaicity(OMEGA, 10 + np.array([0, 0.032, 0.064, 0.128]), GAMMA)
    scan = open_quietly(write_folder(positions))
    assert scan.origin.base_tilt_deg == pytest.approx(10.064)
    np.testing.assert_allclose(scan.axes[0].values_deg, [10, 10.032, 10.064, 10.128])


@pytest.mark.parametrize("omega", [[0.0], [37.0], [90.0], [0.0, 90.0]])
def test_few_projections(write_folder, omega):
    scan = open_quietly(write_folder(jittered(mosaicity(omega, MU, GAMMA), 0.001)))
    assert (scan.kind, scan.shape[:2]) == ("mosaicity", (len(omega), 20))
    check_frames(scan)


def test_small_steps_of_the_rotation(write_folder):
    positions = mosaicity(np.arange(30) * 0.1, MU[:3], GAMMA[:3])
    folder = write_folder(jittered(positions, 0.0015))
    scan = open_quietly(folder, phi0_deg=0.0, chi0_deg=0.0)
    np.testing.assert_allclose(scan.omega_deg, np.arange(30) * 0.1, atol=0.003)


def test_rolling_alone_is_mosaicity_with_one_mu(write_folder):
    scan = open_quietly(write_folder(jittered(mosaicity(OMEGA, [0.5], GAMMA), 0.001)))
    assert scan.kind == "mosaicity"
    assert [axis.values_deg.size for axis in scan.axes] == [1, 4]
    assert scan.axes[0].values_deg == pytest.approx([0.5], abs=0.001)


@pytest.mark.parametrize("sigma", [0, 0.0005])
def test_rocking(write_folder, sigma):
    positions = grid(diffry=OMEGA, diffrz=np.arange(9) * 0.01, chi=[2.79], phi=[2.83])
    scan = open_quietly(write_folder(jittered(positions, sigma)))
    assert (scan.kind, names(scan), scan.shape[:2]) == ("rocking", ["mu"], (6, 9))
    check_frames(scan)


def test_fine_rocking_with_tilts_that_jitter_more_than_a_step(write_folder):
    positions = grid(diffry=OMEGA, diffrz=np.arange(21) * 0.003)
    noisy = np.random.default_rng(0).normal(0, 0.002, (len(positions), 2))
    moved = [p | {"chi": c, "phi": f} for p, (c, f) in zip(positions, noisy, strict=True)]
    assert open_quietly(write_folder(moved)).kind == "rocking"


@pytest.mark.parametrize("sigma", [0, 0.001])
@pytest.mark.parametrize("omega", [OMEGA, [0.0]])
def test_tilts_above_the_rotation(write_folder, sigma, omega):
    positions = grid(diffry=omega, chi=1 + MU, phi=2 + GAMMA)
    scan = open_quietly(write_folder(jittered(positions, sigma)))
    assert (scan.kind, names(scan)) == ("tilts", ["chi", "phi"])
    np.testing.assert_allclose(scan.axes[1].values_deg, GAMMA, atol=0.002)
    factor = np.cos(np.radians(2))
    np.testing.assert_allclose(scan.axes[0].values_deg, MU * factor, atol=0.002)
    check_frames(scan)


def test_laboratory_rocking_by_the_tilts(write_folder):
    positions = []
    for plan in grid(omega=OMEGA, v=MU, u=GAMMA):
        sine, cosine = np.sin(np.radians(plan["omega"])), np.cos(np.radians(plan["omega"]))
        chi = plan["v"] * cosine + plan["u"] * sine
        phi = -plan["v"] * sine + plan["u"] * cosine
        positions.append({"diffry": plan["omega"], "chi": chi, "phi": phi})
    scan = open_quietly(write_folder(positions))
    assert (scan.kind, names(scan), scan.shape[:2]) == ("mosaicity", ["mu", "gamma"], (6, 20))
    np.testing.assert_allclose(scan.axes[0].values_deg, MU, atol=1e-6)
    np.testing.assert_allclose(scan.axes[1].values_deg, GAMMA, atol=1e-6)
    check_frames(scan)


def test_skew_grid_away_from_the_degenerate_angle(write_folder):
    scan = open_quietly(write_folder(grid(diffry=[60.0, 90, 120], diffrz=MU, chi=GAMMA)))
    assert (scan.kind, names(scan), scan.shape[:2]) == ("skew", ["mu", "chi"], (3, 20))
    check_frames(scan)


def test_skew_grid_through_the_degenerate_angle_is_refused(write_folder):
    folder = write_folder(grid(diffry=[0.0, 60, 90], diffrz=MU, chi=GAMMA))
    with pytest.raises(GridError, match=r"diffrz and chi .*same direction .*\(diffry\) = 0 deg"):
        open_quietly(folder)


@pytest.mark.parametrize("omega", [OMEGA, [20.0]])
@pytest.mark.parametrize("sigma", [0, 0.001])
def test_swapped_macro_needs_the_other_azimuth(write_folder, omega, sigma):
    positions = mosaicity(omega, MU, GAMMA, phi0=1, chi0=2, swapped=True)
    folder = write_folder(jittered(positions, sigma))
    with pytest.raises(GridError, match=r"same direction .*tilt_azimuth 90 they do form a grid"):
        open_quietly(folder)
    scan = open_quietly(folder, tilt_azimuth_deg=90)
    assert scan.kind == "mosaicity"
    assert scan.origin.azimuth_deg == 90
    np.testing.assert_allclose(scan.axes[1].values_deg, GAMMA, atol=0.002)
    check_frames(scan)


def test_right_azimuth_is_suggested_where_90_was_given(write_folder):
    with pytest.raises(GridError, match="tilt_azimuth 0 they do form a grid"):
        open_quietly(write_folder(MOSAICITY), tilt_azimuth_deg=90)


@pytest.mark.parametrize("direction", ["chi", "rolling", "diagonal"])
def test_motors_in_lockstep_are_refused(write_folder, direction):
    positions = []
    for plan in grid(diffry=OMEGA, diffrz=MU):
        omega = np.radians(plan["diffry"])
        chi, phi = {
            "chi": (1, 0),
            "rolling": (np.sin(omega), np.cos(omega)),
            "diagonal": (1, 1),
        }[direction]
        positions.append(plan | {"chi": plan["diffrz"] * chi, "phi": plan["diffrz"] * phi})
    with pytest.raises(GridError, match=r"diffrz and chi / phi .*same direction .*\(diffry\)"):
        open_quietly(write_folder(positions))


def test_wrong_origin_is_refused_with_the_right_one(write_folder):
    folder = write_folder(jittered(MOSAICITY, 0.0005))
    with pytest.raises(
        GridError, match=r"phi0 = 9\.1[45]\d+ and chi0 = 10\.4[23]\d+ \(given: 9\.5"
    ):
        open_quietly(folder, phi0_deg=9.5, chi0_deg=10.43)


def test_wrong_motor_is_refused(write_folder):
    with pytest.raises(DataError, match="did a motor move that is not among diffry, mono"):
        open_quietly(write_folder(MOSAICITY), goniometer=Goniometer("diffry", "mono"))


def test_smeared_positions_are_refused(write_folder):
    with pytest.raises(GridError, match=r"diffrz has no separate positions.*ANGSTEPS"):
        open_quietly(write_folder(jittered(MOSAICITY, 0.012)))


@pytest.mark.parametrize("seed", range(8))
def test_a_grid_seen_along_a_slant_is_the_simple_grid(write_folder, seed):
    random = np.random.default_rng(seed)
    positions = grid(diffry=[random.uniform(0, 180)], chi=MU, phi=GAMMA / 2)
    scan = open_quietly(write_folder(jittered(positions, random.choice([1e-6, 0.0008]), seed)))
    assert (scan.kind, [axis.values_deg.size for axis in scan.axes]) == ("tilts", [5, 4])
    check_frames(scan)


@pytest.mark.parametrize("seed", range(8))
def test_jitter_is_not_taken_for_more_projections(write_folder, seed):
    positions = jittered(mosaicity(OMEGA, [0.0], GAMMA), 0.002, seed)
    gap = np.random.default_rng(seed).integers(len(positions))
    folder = write_folder(positions, order=[i for i in range(len(positions)) if i != gap])
    with pytest.warns(Recon3DWarning, match="1 of 24 frames"):
        scan = open_quietly(folder, phi0_deg=0.0, chi0_deg=0.0)
    assert scan.missing == [divmod(int(gap), 4)]


@pytest.mark.parametrize(("motor", "axis", "start"), [("obpitch", "two_theta", 20.75)])
@pytest.mark.parametrize("rolled", [True, False])
def test_strain_axis(write_folder, motor, axis, start, rolled):
    steps = start + np.arange(3) * 0.01
    plans = mosaicity(OMEGA, MU, GAMMA) if rolled else grid(diffry=OMEGA, diffrz=MU)
    positions = [plan | {motor: step} for plan in jittered(plans, 0.0005) for step in steps]
    scan = open_quietly(write_folder(positions))
    tilts = ["mu", "gamma"] if rolled else ["mu"]
    assert (scan.kind, names(scan)) == ("mosaicity" if rolled else "rocking", [*tilts, axis])
    np.testing.assert_allclose(scan.axes[-1].values_deg, steps)
    check_frames(scan)


def test_energy_axis(write_folder):
    energies = 17 + np.arange(4) * 0.005
    positions = [plan | {"energy": e} for plan in MOSAICITY for e in energies]
    scan = open_quietly(write_folder(positions))
    assert names(scan) == ["mu", "gamma", "energy"]
    np.testing.assert_allclose(scan.axes[-1].values_deg, energies)


def test_detector_arm_that_only_jitters_is_no_axis(write_folder):
    random = np.random.default_rng(0)
    positions = [plan | {"obpitch": 20 + random.choice([0, 1e-4])} for plan in MOSAICITY]
    assert names(open_quietly(write_folder(positions))) == ["mu", "gamma"]


def test_missing_frames(write_folder):
    keep = [i for i in range(len(MOSAICITY)) if i not in (3, 25, 119)]
    folder = write_folder(MOSAICITY, order=keep)
    with pytest.warns(Recon3DWarning, match=r"3 of 120 frames are missing: omega = 0, mu = -0"):
        scan = open_quietly(folder)
    assert scan.missing == [(0, 3), (1, 5), (5, 19)]
    assert scan.valid.sum() == 117
    assert not scan.read_projection(1)[5].any()
    np.testing.assert_array_equal(scan.read_projection(1)[6], frame(26))
    motors = scan.motors
    assert all(column.shape == (6, 20) for _, column in motors.items())
    assert np.isnan(motors.omega_deg[1, 5])
    assert np.isfinite(motors.omega_deg).sum() == 117
    assert "3 frames missing" in repr(scan)


def test_a_scan_that_is_still_growing(write_folder):
    folder = write_folder(MOSAICITY[:53])
    with pytest.warns(Recon3DWarning, match="7 of 60 frames are missing"):
        scan = open_quietly(folder)
    np.testing.assert_allclose(scan.omega_deg, OMEGA[:3])
    np.testing.assert_array_equal(scan.slots.ravel()[:53], np.arange(53))


def test_doubled_frames_name_both_files(write_folder):
    folder = write_folder(jittered(MOSAICITY, 0.001))
    (folder / "topo_copy.edf").write_bytes((folder / "topo_0007.edf").read_bytes())
    with pytest.raises(DataError, match=r"topo_0007\.edf and topo_copy\.edf were both taken at"):
        open_quietly(folder)


def test_a_scan_measured_twice_is_refused(write_folder):
    folder = write_folder(jittered([*MOSAICITY, *MOSAICITY], 0.001))
    with pytest.raises(DataError, match="120 such in all"):
        open_quietly(folder)


def test_absent_tilts_stand_at_their_origin(write_folder):
    goniometer = Goniometer("diffry", "diffrz", chi="schi", phi="sphi")
    folder = write_folder(grid(diffry=OMEGA, diffrz=MU))
    with pytest.warns(Recon3DWarning, match="taken as still"):
        scan = open_quietly(folder, goniometer=goniometer, phi0_deg=2.5)
    assert scan.kind == "rocking"
    assert np.all(scan.motors.phi_deg == 2.5)
    assert np.all(scan.motors.chi_deg == 0)


def exposures(sweep, back, *, slow=MU, omega=OMEGA):
    """Start readings of a continuous scan: there and, for every second row, back."""
    positions = []
    for angle in omega:
        for row, base in enumerate(slow):
            for start in back if row % 2 else sweep:
                positions.append((angle, base, start))
    return positions


STARTS = np.arange(5) * 0.04
ZIGZAG = STARTS[::-1] + 0.04


@pytest.mark.parametrize("sigma", [0, 0.0005])
@pytest.mark.parametrize("back", [ZIGZAG, STARTS], ids=["zigzag", "flyback"])
@pytest.mark.parametrize("count", [2, 5])
def test_exposures_recorded_at_their_start(write_folder, back, sigma, count):
    rows = exposures(STARTS[:count], back[-count:] if back is ZIGZAG else STARTS[:count])
    plan = [{"diffry": w, "chi": slow, "phi": start} for w, slow, start in rows]
    scan = open_quietly(write_folder(jittered(plan, sigma)), recorded_at="start")
    assert (scan.kind, scan.shape[:2]) == ("tilts", (6, 5 * count))
    middles = STARTS[:count] + 0.02
    phi = scan.motors.phi_deg.reshape(6, 5, count)
    np.testing.assert_allclose(phi, np.broadcast_to(middles, phi.shape), atol=0.003)
    np.testing.assert_allclose(scan.motors.chi_deg[0], np.repeat(MU, count), atol=0.003)


def test_base_tilt_recorded_at_the_start_of_a_zigzag(write_folder):
    rows = exposures(STARTS, ZIGZAG, slow=GAMMA)
    plan = []
    for omega, rolling, start in rows:
        turn = np.radians(omega)
        tilts = {"chi": rolling * np.sin(turn), "phi": rolling * np.cos(turn)}
        plan.append({"diffry": omega, "diffrz": start, **tilts})
    scan = open_quietly(write_folder(jittered(plan, 0.0005)), recorded_at="start")
    assert (scan.kind, scan.shape[:2]) == ("mosaicity", (6, 20))
    np.testing.assert_allclose(scan.axes[0].values_deg, STARTS + 0.02, atol=0.001)
    assert scan.origin.base_tilt_deg == pytest.approx(0.1, abs=0.001)


def test_rolling_macro_recorded_at_the_start(write_folder):
    plan = mosaicity(OMEGA, MU, STARTS - 0.1)
    scan = open_quietly(write_folder(plan), recorded_at="start", phi0_deg=0.0, chi0_deg=0.0)
    np.testing.assert_allclose(scan.axes[1].values_deg, STARTS - 0.08, atol=1e-6)


def test_start_without_a_moving_motor_is_refused(write_folder):
    with pytest.raises(GridError, match="no motor changes between most"):
        open_quietly(write_folder(grid(diffry=[5.0] * 4)), recorded_at="start")


def test_crop_starts_at_centre_minus_half(mosaicity_scan):
    scan = mosaicity_scan.crop(center=(3, 2), size=(3, 2))
    assert scan.shape == (6, 20, 2, 3)
    np.testing.assert_array_equal(scan.read_projection(2)[4], frame(44)[1:3, 2:5])
    again = scan.crop(center=(3, 2), size=(2, 2))
    np.testing.assert_array_equal(again.read_projection(2)[4], frame(44)[1:3, 2:4])


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_roi_is_the_crop_of_the_whole_frame(mosaicity_scan, data):
    rows = sorted(data.draw(st.lists(st.integers(0, 4), min_size=2, max_size=2, unique=True)))
    cols = sorted(data.draw(st.lists(st.integers(0, 6), min_size=2, max_size=2, unique=True)))
    size = (cols[1] - cols[0], rows[1] - rows[0])
    scan = mosaicity_scan.crop((cols[0] + size[0] // 2, rows[0] + size[1] // 2), size)
    whole = mosaicity_scan.read_projection(3)
    expected = whole[:, rows[0] : rows[1], cols[0] : cols[1]]
    np.testing.assert_array_equal(scan.read_projection(3), expected)


@pytest.mark.parametrize(
    ("center", "size"),
    [((0, 2), (2, 2)), ((3, 2), (7, 2)), ((3, 4), (2, 2)), ((3, 2), (0, 2)), ((-9, 2), (2, 2))],
)
def test_crop_outside_the_frame_is_refused(mosaicity_scan, center, size):
    with pytest.raises(ParameterError, match="the frame has 6 columns and 4 rows"):
        mosaicity_scan.crop(center, size)


def test_crop_needs_whole_numbers(mosaicity_scan):
    with pytest.raises(ParameterError, match="two whole numbers"):
        mosaicity_scan.crop((2.5, 2), (2, 2))


def test_damage_found_while_reading(mosaicity_scan):
    path = Path(mosaicity_scan.source.folder) / "topo_0007.edf"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=r"topo_0007\.edf"):
        mosaicity_scan.read_projection(0)


def test_damaged_files_can_be_left_out(write_folder):
    folder = write_folder(MOSAICITY)
    (folder / "topo_0025.edf").write_bytes(b"")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        scan = open_quietly(folder, skip_damaged=True)
    assert scan.missing == [(1, 5)]
    assert ["topo_0025" in str(w.message) for w in caught] == [True, False]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"goniometer": "id99"}, "goniometer is 'id99': expected id06 or id03"),
        ({"tilt_azimuth_deg": 45}, "tilt_azimuth_deg is 45: expected 0 or 90"),
        ({"recorded_at": "end"}, "recorded_at is 'end'"),
        ({"step_deg": 0}, "step_deg is 0"),
        ({"step_deg": (0.1, 0.1, 0.1)}, r"expected one number, or \(mu, gamma\)"),
    ],
)
def test_bad_arguments_are_refused(tmp_path, options, message):
    with pytest.raises(ParameterError, match=message):
        open_quietly(tmp_path, **options)


@pytest.mark.parametrize("column", ["omega_deg", "base_tilt_deg", "chi_deg", "phi_deg"])
def test_a_source_without_a_reading_is_refused(mosaicity_scan, column):
    source = mosaicity_scan.source
    getattr(source.motors, column)[4] = np.nan
    with pytest.raises(DataError, match=rf"topo_0004\.edf has no reading of {column}"):
        arrange_scan(source, Choices())


def test_no_such_projection(mosaicity_scan):
    with pytest.raises(ParameterError, match="projection 6: the scan has 6"):
        mosaicity_scan.read_projection(6)


def test_step_is_only_a_hint(write_folder):
    folder = write_folder(jittered(MOSAICITY, 0.001))
    for step in (None, 0.032, (0.032, 0.04), 0.5, 0.001):
        assert open_quietly(folder, step_deg=step).shape[:2] == (6, 20)


def test_repr_tells_what_there_is(mosaicity_scan):
    text = repr(mosaicity_scan.crop((3, 2), (4, 2)))
    assert text == (
        "Scan(mosaicity: 6 omega (0 to 150 degrees) x 5 mu x 4 gamma, 4 x 2 pixels from "
        "column 1, row 1, complete)"
    )


def test_a_scan_can_be_copied_with_changes(mosaicity_scan):
    assert replace(mosaicity_scan, kind="other").kind == "other"


def test_one_file_is_a_scan(tmp_path):
    write_edf(tmp_path / "topo_1.edf", frame(0), {"diffry": 3.5, "chi": 1, "phi": 2})
    scan = open_quietly(tmp_path)
    assert (scan.kind, scan.shape[:2]) == ("rocking", (1, 1))
    np.testing.assert_array_equal(scan.read_projection(0), [frame(0)])
