"""What the entries of a BLISS file hold: their motors, and parts at another pace (N.2)."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from bliss_files import add_entry, stack, topotomo

from recon3d import Recon3DWarning
from recon3d.config.goniometer import GONIOMETERS
from recon3d.errors import DataError, GridError, ParameterError
from recon3d.readers.bliss.records import (
    known_and_moving,
    motor_columns,
    read_current,
    read_reading,
)
from recon3d.scan.scan import open_scan

ID03 = GONIOMETERS["id03"]
STILL = {"omega": 1.0, "mu": 2.0, "chi": 3.0, "phi": 4.0}


@pytest.fixture
def entry(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        yield file.create_group("1.1")


def test_of_lists_the_one_as_long_as_the_frames_is_taken(entry):
    entry["instrument/mu/value"] = np.arange(4.0)
    entry["instrument/mu/data"] = np.arange(3.0) + 10
    entry["instrument/positioners/mu"] = 5.0
    assert read_reading(entry, "mu", 3).tolist() == [10, 11, 12]
    assert read_reading(entry, "mu", 4).tolist() == [0, 1, 2, 3]
    assert read_reading(entry, "mu", 7).tolist() == [0, 1, 2, 3]  # none fits: the first one


def test_a_text_is_a_number_where_it_can_be(entry):
    entry["instrument/positioners/mu"], entry["instrument/positioners/chi"] = b"1.5", b"ERR"
    entry["instrument/positioners_start/phi"] = np.array([2.5])
    entry["instrument/positioners/omega"] = np.zeros((2, 2))
    assert read_reading(entry, "mu", 3) == 1.5
    assert read_reading(entry, "chi", 3) == "ERR"
    assert read_reading(entry, "phi", 3) == 2.5
    assert read_reading(entry, "omega", 3) is None


def test_texts_of_all_frames_are_numbers_where_they_can_be(entry):
    entry["instrument/mu/value"] = np.array([b"1.5", b"-2", b"3e-1"])
    entry["instrument/chi/value"] = np.array([b"1.5", b"ERR", b"3"])
    assert read_reading(entry, "mu", 3).tolist() == [1.5, -2, 0.3]
    assert read_reading(entry, "chi", 3) == "1.5"


@pytest.mark.parametrize(
    ("unit", "degrees"),
    [("deg", 2.0), ("rad", 114.5916), ("mrad", 0.1145916), ("µrad", 1.145916e-4), ("", 2.0)],
)
def test_angles_in_radians_become_degrees(entry, unit, degrees):
    entry["instrument/mu/value"] = np.array([2, 4], np.float32)
    entry["instrument/positioners/chi"] = 2
    for place in ("instrument/mu/value", "instrument/positioners/chi"):
        entry[place].attrs["units"] = unit
    assert read_reading(entry, "mu", 2) == pytest.approx([degrees, 2 * degrees])
    assert read_reading(entry, "chi", 2) == pytest.approx(degrees)


def test_the_ring_current_of_every_frame_comes_before_the_one_at_the_start(entry):
    entry["instrument/machine/current"] = 150.0
    assert read_current(entry, "current", 3) == 150
    entry["measurement/srcur"] = np.array([1.0, 2.0])
    assert read_current(entry, "current", 3) == 150  # two readings are none of three frames
    entry["measurement/current"] = np.array([1.0, 2.0, 3.0])
    assert read_current(entry, "current", 3).tolist() == [1, 2, 3]
    assert read_current(entry, "current", 2).tolist() == [1, 2]


def test_a_motor_moves_by_more_than_a_hundredth_of_a_degree():
    def moving(*values: float) -> set[str]:
        return known_and_moving([{**STILL, "mu": np.array(values)}])[1]

    assert moving(0.0, 0.01, np.nan) == set()
    assert moving(0.0, 0.011) == {"mu"}
    assert moving(0.0, -0.02) == {"mu"}
    between = [{**STILL, "omega": w, "two_theta": None} for w in (0.0, 1.0)]
    assert known_and_moving(between) == ({"omega", "mu", "chi", "phi"}, {"omega"})


def test_the_largest_reading_is_believed_and_what_is_beyond_is_not():
    frames = np.arange(3)
    at = {**STILL, "mu": np.array([1.0, 1e5, -1e5])}
    columns, known, why = motor_columns(at, ID03, [], frames)
    assert (columns[1].tolist(), known.all(), why) == ([1, 1e5, -1e5], True, "")
    beyond = {**STILL, "mu": np.array([1.0, 1.0001e5, np.nan])}
    columns, known, why = motor_columns(beyond, ID03, [], frames)
    assert known.tolist() == [True, False, False]
    assert why == "the motor 'mu' (base_tilt) has no reading at frame 1"
    _, known, why = motor_columns({**STILL, "phi": "ERR"}, ID03, [], frames)
    assert not known.any()
    assert "'phi' (phi) reads 'ERR'" in why
    _, known, why = motor_columns({**STILL, "phi": "ERR"}, ID03, ["phi"], frames)
    assert (known.all(), why) == (True, "")


def test_an_energy_above_a_thousand_is_in_ev():
    energies = np.array([1000.0, 1000.5, 17000.0])
    columns, _, _ = motor_columns({**STILL, "energy": energies}, ID03, [], np.arange(3))
    assert columns[5].tolist() == [1000.0, 1.0005, 17.0]
    assert np.isnan(columns[4]).all()  # no two_theta


def along_a_line(path, frames: int):
    """Three by three settings of mu and chi, which tilt alike at ω = 0, where the scan stopped."""
    chi, mu = (axis.ravel() for axis in np.meshgrid([0, 0.1, 0.2], [0, 0.1, 0.2], indexing="ij"))
    with h5py.File(path, "w") as file:
        for number, omega in ((1, 0.0), (2, 90.0), (3, 100.0)):
            count = frames if omega == 0 else 9
            lists = {"mu": mu[:count], "chi": chi[:count]}
            scalars = {"omega": omega, "phi": 0.0}
            end = "USER_ABORT" if count < 9 else "SUCCESS"
            add_entry(file, number, stack(0, count), lists=lists, scalars=scalars, end_reason=end)
    return open_scan(path, chi0_deg=0.1, phi0_deg=0.0, show_progress=False)


@pytest.mark.filterwarnings("ignore::recon3d.Recon3DWarning")
def test_a_projection_is_judged_when_more_than_half_of_it_is_there(tmp_path):
    assert len(along_a_line(tmp_path / "four.h5", 4)) == 3
    with pytest.raises(GridError, match=r"one and the same direction at omega \(omega\) = 0"):
        along_a_line(tmp_path / "five.h5", 5)


MU = np.array([0.0, 0.1, 0.2])


def second_entries(
    path: Path, *, detector: str = "eiger", first: int = 100, motors: bool = True, **storage
) -> Path:
    """Add an entry N.2 with frames to each of the two entries N.1 of `topotomo`."""
    with h5py.File(path, "r+") as file:
        for number, omega in ((1, 0.0), (2, 10.0)):
            scalars = {"omega": omega, "chi": 0.5, "phi": -0.25} if motors else {}
            part = add_entry(
                file,
                10 + number,
                stack(first + 3 * number, 3),
                lists={"mu": MU} if motors else {},
                scalars=scalars,
                detector=detector,
                **storage,
            )
            file.move(part.name, f"{number}.2")
    return path


def without_frames(path: Path) -> Path:
    """The file, of which the entries N.1 have lost their frames."""
    with h5py.File(path, "r+") as file:
        for number in (1, 2):
            del file[f"{number}.1/instrument/pco_ff"]
    return path


def test_frames_that_are_in_second_entries_alone_are_read(tmp_path):
    path = second_entries(without_frames(topotomo(tmp_path / "a.h5")))
    scan = open_scan(path, show_progress=False)
    assert scan.omega_deg.tolist() == [0.0, 10.0]
    assert (scan.read_projection(1) == stack(106, 3)).all()
    assert scan.source.name(0).endswith("entry 1.2, frame 0")


def test_the_detector_of_the_first_entries_is_read_and_the_other_named(tmp_path):
    path = second_entries(topotomo(tmp_path / "a.h5"))
    with pytest.warns(Recon3DWarning, match=r"eiger \(in 2 entries\): those of pco_ff are read"):
        scan = open_scan(path, show_progress=False)
    assert (scan.read_projection(0) == stack(0, 3)).all()
    assert (open_scan(path, "eiger", show_progress=False).read_projection(0) == stack(103, 3)).all()


def test_of_two_entries_with_one_detector_the_first_is_read_and_it_is_said(tmp_path):
    path = second_entries(topotomo(tmp_path / "a.h5"), detector="pco_ff")
    said = r"entries left out: 1.2.*2.2.*: the frames of pco_ff in the first entry of the scan"
    with pytest.warns(Recon3DWarning, match=said):
        scan = open_scan(path, show_progress=False)
    assert (scan.read_projection(0) == stack(0, 3)).all()
    scan = open_scan(path, entries="1.2,2.2", show_progress=False)
    assert (scan.read_projection(0) == stack(103, 3)).all()
    with pytest.raises(ParameterError, match=r"entries 1\.3: .* has 1\.1, 1\.2, 2\.1, 2\.2"):
        open_scan(path, entries="1.3", show_progress=False)


def test_motors_that_only_the_first_entry_records_are_taken_from_there(tmp_path):
    path = second_entries(topotomo(tmp_path / "a.h5"), motors=False)
    with pytest.warns(Recon3DWarning, match=r"readings of the first entry .* 1\.2, 2\.2: mu"):
        scan = open_scan(path, "eiger", show_progress=False)
    assert scan.omega_deg.tolist() == [0.0, 10.0]
    assert scan.axes[0].values_deg == pytest.approx(MU, abs=1e-9)


def test_a_second_entry_of_counters_is_passed_over_in_silence(tmp_path, recwarn):
    path = topotomo(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        file["1.2/measurement/epoch"] = np.arange(9.0)
        file["2.2"] = h5py.ExternalLink("lost.h5", "/2.2")
    scan = open_scan(path, show_progress=False)
    assert len(scan) == 2
    assert [str(w.message).partition("2.2")[2][:40] for w in recwarn] == [
        ": it is a link into the file lost.h5, an"
    ]


def test_a_file_of_ours_is_no_raw_data(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.attrs["_format"] = "recon3d-scan"
    said = r"was written by recon3d \(recon3d-scan\): raw frames are expected"
    with pytest.raises(DataError, match=said):
        open_scan(tmp_path / "scan.h5", show_progress=False)
