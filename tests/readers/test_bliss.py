from __future__ import annotations

import pickle
import re
import subprocess
import sys

import h5py
import hdf5plugin
import numpy as np
import pytest
from bliss_files import SHAPE, add_entry, mosaicity, stack, topotomo

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, GridError, ParameterError, Recon3DWarning
from recon3d.readers.bliss.file import BlissFile
from recon3d.readers.open import mean_background
from recon3d.readers.source import Roi
from recon3d.scan.scan import open_scan

STILL = {"omega": 0.0, "chi": 0.5, "phi": -0.25, "mu": 0.1, "obpitch": 18.0}


quiet = pytest.mark.filterwarnings("error")


def opened(path, prefix="", **options):
    return open_scan(path, prefix, show_progress=False, **options)


@quiet
class TestScan:
    @pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
    def test_one_entry_for_each_projection(self, tmp_path, order):
        path = topotomo(tmp_path / "scan.h5", omega=(20.0, 0.0, 10.0), order=order)
        scan = opened(path)
        assert scan.kind == "rocking"
        assert scan.shape == (3, 3, *SHAPE)
        np.testing.assert_array_equal(scan.omega_deg, [0, 10, 20])
        np.testing.assert_allclose(scan.axes[0].values_deg, [0, 0.1, 0.2], atol=1e-12)
        for k, written in enumerate((1, 2, 0)):
            np.testing.assert_array_equal(scan.read_projection(k), stack(3 * written, 3))
        np.testing.assert_array_equal(scan.motors.two_theta_deg, 18.0)

    def test_numbers_of_entries_are_compared_as_numbers(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5", omega=tuple(np.arange(12) * 5.0))
        names = [opened(path).source.name(i) for i in (3, 6, 33)]
        assert names == [f"{path}, entry {entry}.1, frame 0" for entry in (2, 3, 12)]

    def test_several_projections_in_one_entry(self, tmp_path):
        omega, mu = np.repeat([0.0, 5.0], 3), np.tile([0.0, 0.1, 0.2], 2)
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            lists = {"omega": omega, "mu": mu, "phi": np.zeros(6)}
            add_entry(file, 1, stack(0, 6), lists=lists, scalars={"chi": 0.0})
        scan = opened(tmp_path / "scan.h5")
        np.testing.assert_array_equal(scan.read_projection(1), stack(3, 3))

    def test_one_projection_of_several_entries(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            for number, phi in enumerate((-0.1, 0.0, 0.1)):
                scalars = {"omega": 0.0, "chi": 0.0, "phi": phi}
                lists = {"mu": np.array([0.0, 0.1])}
                add_entry(file, number + 1, stack(2 * number, 2), lists=lists, scalars=scalars)
        scan = opened(tmp_path / "scan.h5")
        assert (scan.kind, scan.slots.tolist()) == ("mosaicity", [[0, 2, 4, 1, 3, 5]])

    @pytest.mark.parametrize("zigzag", [False, True])
    def test_a_mosaicity_scan_without_rotation(self, tmp_path, zigzag):
        mu, chi = np.array([0.0, 0.1, 0.2]), np.array([1.0, 1.1])
        lists = mosaicity(mu, chi, zigzag=zigzag)
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            add_entry(file, 1, stack(0, 6), lists=lists, scalars={"omega": 3.0, "phi": 0.0})
        scan = opened(tmp_path / "scan.h5", tilt_azimuth_deg=90)
        assert scan.omega_deg.tolist() == [3.0]
        assert [axis.values_deg.size for axis in scan.axes] == [3, 2]
        motors = scan.motors
        np.testing.assert_array_equal(motors.base_tilt_deg[0], np.repeat(mu, 2))
        np.testing.assert_array_equal(scan.read_projection(0), stack(0, 6)[np.ravel(scan.slots)])
        np.testing.assert_array_equal(lists["mu"][scan.slots[0]], np.repeat(mu, 2))

    @pytest.mark.parametrize(
        "place",
        [
            "instrument/{}/value",
            "instrument/{}/data",
            "measurement/{}",
            "instrument/positioners/{}",
        ],
    )
    def test_moving_motors_are_found_where_they_are(self, tmp_path, place):
        path = topotomo(tmp_path / "scan.h5", list_at=place)
        np.testing.assert_allclose(opened(path).motors.base_tilt_deg[0], [0, 0.1, 0.2])

    def test_a_list_wins_over_the_reading_before_the_scan(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry in ("1.1", "2.1"):
                file[f"{entry}/instrument/positioners/mu"] = 7.0
        np.testing.assert_allclose(opened(path).motors.base_tilt_deg[1], [0, 0.1, 0.2])

    def test_of_several_lists_the_one_as_long_as_the_frames_is_taken(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry in ("1.1", "2.1"):
                file[f"{entry}/instrument/mu/value"] = np.arange(9.0)
        np.testing.assert_allclose(opened(path).motors.base_tilt_deg[0], [0, 0.1, 0.2])

    def test_titles_are_only_hints(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5", title="a3mesh of something 7 8 9")
        assert opened(path).shape[:2] == (2, 3)

    def test_energy_in_ev(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            file["1.1/instrument/positioners/energy"] = 17000.0
            file["2.1/instrument/positioners/energy"] = 17.0
        np.testing.assert_array_equal(opened(path).motors.energy_kev, 17.0)

    def test_a_region_is_read_alone_in_native_byte_order(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            lists = {"mu": np.array([0.0, 0.1])}
            add_entry(file, 1, stack(0, 2, dtype=">u2"), lists=lists, scalars=STILL)
        scan = opened(tmp_path / "scan.h5").crop((3, 2), (2, 2))
        assert scan.read_projection(0).dtype == np.dtype("uint16")
        np.testing.assert_array_equal(scan.read_projection(0), stack(0, 2)[:, 1:3, 2:4])

    def test_a_source_can_be_sent_to_another_process(self, tmp_path):
        source = opened(topotomo(tmp_path / "scan.h5")).source
        source.read(0, Roi(0, 0, 2, 2))
        again = pickle.loads(pickle.dumps(source))
        np.testing.assert_array_equal(again.read(4, Roi(0, 0, *SHAPE)), stack(4, 1)[0])

    def test_another_may_have_the_file_open(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r"):
            scan = opened(path)
            scan.read_projection(0)
        with h5py.File(path, "r+") as file:
            file["note"] = 1
        scan.read_projection(0)


class TestRingCurrent:
    def read(self, tmp_path, add, omega=(0.0, 10.0)):
        path = topotomo(tmp_path / "scan.h5", omega=omega)
        with h5py.File(path, "r+") as file:
            for number in range(len(omega)):
                add(file[f"{number + 1}.1"], number)
        return opened(path).motors.ring_current_ma

    @pytest.mark.parametrize(
        "place", ["instrument/current/data", "measurement/current", "measurement/srcur"]
    )
    def test_of_every_frame(self, tmp_path, place):
        def add(entry, number):
            entry[place] = 190.0 - 3 * number - np.arange(3)
            entry["instrument/machine/current"] = 5.0

        np.testing.assert_array_equal(self.read(tmp_path, add), [[190, 189, 188], [187, 186, 185]])

    def test_of_entries_and_not_of_lists_taken_at_other_times(self, tmp_path):
        def add(entry, number):
            entry["instrument/current/data"] = np.full(5, 1.0)
            entry["instrument/machine/current"] = 190.0 - number

        np.testing.assert_array_equal(self.read(tmp_path, add), [[190] * 3, [189] * 3])

    def test_one_number_for_several_projections_is_none(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            lists = {"omega": np.repeat([0.0, 5.0], 2), "mu": np.tile([0.0, 0.1], 2)}
            entry = add_entry(file, 1, stack(0, 4), lists=lists, scalars={"chi": 0.0, "phi": 0.0})
            entry["instrument/machine/current"] = 190.0
        assert np.isnan(opened(tmp_path / "scan.h5").motors.ring_current_ma).all()

    def test_nonsense_is_not_known(self, tmp_path):
        def add(entry, _):
            entry["instrument/machine/current"] = -1.0

        assert np.isnan(self.read(tmp_path, add)).all()


class TestMotors:
    def test_a_motor_without_a_number_stops_where_it_is_needed(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            del file["2.1/instrument/positioners/phi"]
            file["2.1/instrument/positioners/phi"] = b"ERR"
        with pytest.raises(DataError, match=r"scan\.h5: entry 2\.1: the motor 'phi'.*'ERR'"):
            opened(path)

    @quiet
    def test_and_not_elsewhere(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry in ("1.1", "2.1"):
                del file[f"{entry}/instrument/positioners/obpitch"]
                file[f"{entry}/instrument/positioners/obpitch"] = b"ERR"
                file[f"{entry}/instrument/positioners/ffpitch"] = b"ERR"
        assert np.isnan(opened(path).motors.two_theta_deg).all()

    def test_a_reading_that_is_not_a_number_is_named(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5", mu=(0.0, 0.1, np.nan))
        with pytest.raises(DataError, match=r"entry 1\.1, entry 2\.1: the motor 'mu'.*at frame 2"):
            opened(path)

    def test_a_motor_that_some_entries_lack(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            del file["2.1/instrument/positioners/chi"]
        with pytest.raises(DataError, match=r"entry 2\.1: the motor 'chi'.*not recorded"):
            opened(path)

    def test_tilts_and_rotation_that_no_entry_has_stand_still(self, tmp_path):
        lists = {"mu": np.array([0.0, 0.1])}
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            add_entry(file, 1, stack(0, 2), lists=lists)
        with pytest.warns(Recon3DWarning) as caught:
            scan = opened(tmp_path / "scan.h5")
        assert [str(w.message).split("'")[1] for w in caught] == ["omega", "chi", "phi"]
        assert scan.omega_deg.tolist() == [0.0]

    def test_a_rotation_that_is_not_recorded_is_not_invented(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry in ("1.1", "2.1"):
                del file[f"{entry}/instrument/positioners/omega"]
        with (
            pytest.warns(Recon3DWarning, match="omega"),
            pytest.raises(DataError, match=r"both taken at.*--entries"),
        ):
            opened(path)

    @quiet
    def test_the_beamline_is_found_by_its_motors(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            lists = {"diffrz": np.array([0.0, 0.1])}
            add_entry(
                file, 1, stack(0, 2), lists=lists, scalars={"diffry": 4.0, "chi": 0.0, "phi": 0.0}
            )
        assert opened(tmp_path / "scan.h5").omega_deg.tolist() == [4.0]

    @quiet
    def test_of_two_beamlines_the_one_that_moves_is_taken(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry in ("1.1", "2.1"):
                file[f"{entry}/instrument/positioners/diffry"] = 1.0
                file[f"{entry}/instrument/positioners/diffrz"] = 2.0
        assert opened(path).omega_deg.tolist() == [0, 10]

    @quiet
    def test_names_that_are_given_win(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry, angle in (("1.1", 30.0), ("2.1", 40.0)):
                file[f"{entry}/instrument/positioners/hexapod"] = angle
        names = Goniometer(omega="hexapod", base_tilt="mu")
        assert opened(path, goniometer=names).omega_deg.tolist() == [30, 40]
        with pytest.raises(DataError, match=r"no motor 'diffrz' \(base_tilt\)"):
            opened(path, goniometer="id06")

    def test_motors_of_no_beamline(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            add_entry(file, 1, stack(0, 2), lists={"rock": np.array([0.0, 0.1])})
        with pytest.raises(DataError, match=r"no known beamline.*--motors"):
            opened(tmp_path / "scan.h5")


class TestEntries:
    def test_entries_that_are_no_part_of_the_scan_are_left_out(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        steps = {"mu": np.array([0.0, 0.1, 0.2])}
        with h5py.File(path, "r+") as file:
            add_entry(file, 3, None, lists=steps, scalars=STILL, title="ascan mu 0 0.2 2")
            add_entry(file, 4, stack(0, 3, (2, 2)), lists=steps, scalars=STILL, title="small")
            add_entry(file, 5, stack(0, 3), scalars=STILL, title="loopscan 3 1")
            add_entry(file, 6, stack(0, 0), scalars=STILL, title="just begun")
            file["7.2/title"] = "no scan of its own"
        with pytest.warns(Recon3DWarning) as caught:
            scan = opened(path)
        assert scan.slots.tolist() == [[0, 1, 2], [3, 4, 5]]
        assert len(caught) == 1
        for part in (
            "3.1 (ascan mu 0 0.2 2): no frames of pco_ff",
            "4.1 (small): 2 x 2 pixels of uint16, where most frames have 4 x 6",
            "5.1 (loopscan 3 1): no motor moves",
            "6.1 (just begun): no frame yet",
        ):
            assert part in str(caught[0].message)

    def test_the_usual_shape_is_that_of_most_frames(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for number in range(3, 8):
                add_entry(file, number, stack(0, 1, (2, 2)), scalars=STILL, title="ct 1")
        with pytest.warns(Recon3DWarning, match=r"3\.1 \(ct 1\), .*: 2 x 2 pixels"):
            assert opened(path).shape == (2, 3, *SHAPE)

    @quiet
    def test_entries_of_one_frame(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            for number in range(6):
                place = {"omega": 10.0 * (number // 3), "mu": 0.1 * (number % 3)}
                add_entry(file, number + 1, stack(number, 1), scalars=STILL | place, title="ct 1")
        np.testing.assert_array_equal(opened(tmp_path / "scan.h5").read_projection(1), stack(3, 3))

    @quiet
    @pytest.mark.parametrize(
        ("wanted", "omega"),
        [("2", [10]), ("2.1,4", [10, 30]), ("1-2, 4.1-9.1", [0, 10, 30, 40]), ("3-3", [20])],
    )
    def test_entries_are_chosen(self, tmp_path, wanted, omega):
        path = topotomo(tmp_path / "scan.h5", omega=(0.0, 10.0, 20.0, 30.0, 40.0))
        assert opened(path, entries=wanted).omega_deg.tolist() == omega

    @pytest.mark.parametrize("wanted", ["", "9", "3-1", "a", "1.2", "1,,2", "-1"])
    def test_a_choice_that_makes_no_sense_is_refused(self, tmp_path, wanted):
        with pytest.raises(ParameterError, match="entries"):
            opened(topotomo(tmp_path / "scan.h5"), entries=wanted)

    def test_edf_folders_have_no_entries(self, tmp_path):
        with pytest.raises(ParameterError, match="no HDF5 file"):
            opened(tmp_path, entries="1")

    def test_two_scans_in_one_file(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5", omega=(0.0, 10.0, 0.0))
        with pytest.raises(DataError, match=r"entry 1\.1, frame 0 and .*entry 3\.1.*3 entries"):
            opened(path)

    def test_an_error_of_one_entry_speaks_of_no_others(self, tmp_path):
        lists = mosaicity(np.array([0.0, 0.1, 0.2]), np.array([1.0, 1.1, 1.2]))
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            add_entry(file, 1, stack(0, 9), lists=lists, scalars={"omega": 0.0, "phi": 0.0})
        with pytest.raises(GridError, match="one and the same direction") as caught:
            opened(tmp_path / "scan.h5")
        assert "--entries" not in str(caught.value)

    def test_no_motor_moves_at_all(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            add_entry(file, 1, stack(0, 3), scalars=STILL, title="loopscan 3 1")
        with pytest.raises(DataError, match=r"no motor of omega, mu.*loopscan 3 1"):
            opened(tmp_path / "scan.h5")


class TestDetectors:
    @quiet
    @pytest.mark.parametrize("prefix", ["", "-", "pco_ff"])
    @pytest.mark.parametrize(
        "place", ["instrument/{}/image", "instrument/{}/data", "measurement/{}"]
    )
    def test_frames_are_found_by_their_kind(self, tmp_path, prefix, place):
        path = topotomo(tmp_path / "scan.h5", frames_at=place)
        with h5py.File(path, "r+") as file:
            file["1.1/instrument/roi/data"] = np.zeros(3)
            file["1.1/instrument/mca/data"] = np.zeros((3, 7))
            file["1.1/instrument/words/data"] = np.full((1, 1, 1), b"x")
            file["1.1/measurement/flags"] = np.zeros((3, 2, 2), bool)
        np.testing.assert_array_equal(opened(path, prefix).read_projection(1), stack(3, 3))

    def test_several_detectors_must_be_told_apart(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for entry in ("1.1", "2.1"):
                file[f"{entry}/instrument/basler/image"] = stack(50, 3, (2, 2))
        with pytest.raises(DataError, match=r"pco_ff \(in 2 entries\), basler|basler.*pco_ff"):
            opened(path)
        assert opened(path, "basler").shape == (2, 3, 2, 2)
        np.testing.assert_array_equal(opened(path, "pco_ff").read_projection(0), stack(0, 3))

    def test_a_detector_that_is_not_there(self, tmp_path):
        with pytest.raises(DataError, match=r"'eiger'; it has frames of pco_ff \(in 2 entries\)"):
            opened(topotomo(tmp_path / "scan.h5"), "eiger")

    def test_no_frames_at_all(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            add_entry(file, 1, None, scalars=STILL)
        with pytest.raises(DataError, match="no frames in 1 entry"):
            opened(tmp_path / "scan.h5")


class TestFiles:
    @quiet
    def test_a_file_is_known_by_its_content_too(self, tmp_path):
        path = topotomo(tmp_path / "scan.data")
        assert opened(path).shape[0] == 2

    @pytest.mark.parametrize(
        ("content", "message"),
        [(None, "no such file"), (b"", "is no HDF5 file|ends too early"), (b"x" * 99, "no HDF5")],
    )
    def test_files_that_are_none(self, tmp_path, content, message):
        path = tmp_path / "scan.h5"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(DataError, match=message) as caught:
            opened(path)
        assert str(path) in str(caught.value)

    def test_a_file_that_ends_too_early(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        path.write_bytes(path.read_bytes()[:-500])
        with pytest.raises(DataError, match=re.escape(str(path)) + ".*ends too early"):
            opened(path)

    def test_a_file_without_entries(self, tmp_path):
        with h5py.File(tmp_path / "scan.h5", "w") as file:
            file["frames"] = 1
        with pytest.raises(DataError, match=r"no entry 1\.1, 2\.1.*frames"):
            opened(tmp_path / "scan.h5")

    @quiet
    def test_a_file_that_a_writer_holds_can_be_read(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5")
        hold = "import h5py, sys; f = h5py.File(sys.argv[1], 'r+'); print('', flush=True); input()"
        with subprocess.Popen(
            [sys.executable, "-c", hold, str(path)], stdin=-1, stdout=-1, text=True
        ) as writer:
            writer.stdout.readline()
            with pytest.warns(Recon3DWarning, match="open for writing elsewhere"):
                scan = opened(path)
            np.testing.assert_array_equal(scan.read_projection(1), stack(3, 3))
            writer.communicate("\n")


@quiet
def test_the_mean_of_background_frames(tmp_path):
    path = tmp_path / "dark.h5"
    with h5py.File(path, "w") as file:
        add_entry(
            file, 1, stack(0, 3), title="loopscan 3 1", chunks=(1, *SHAPE), compression="gzip"
        )
        add_entry(file, 2, stack(7, 1), title="ct 1", **hdf5plugin.Bitshuffle(cname="lz4"))
    mean = np.concatenate([stack(0, 3), stack(7, 1)]).mean(axis=0)
    np.testing.assert_allclose(mean_background(path, "-"), mean)


@quiet
def test_the_source_says_what_it_holds(tmp_path):
    source = BlissFile.open(topotomo(tmp_path / "scan.h5"), show_progress=False)
    assert (source.frame_shape, source.dtype) == (SHAPE, np.dtype("uint16"))
    with pytest.raises(ParameterError, match="ROI"):
        source.read(0, Roi(0, 0, 5, 6))
