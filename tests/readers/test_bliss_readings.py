"""Motor readings of an entry, at the edges of what is believed of them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from bliss_files import add_entry, stack

from recon3d.config.goniometer import GONIOMETERS
from recon3d.errors import GridError
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
