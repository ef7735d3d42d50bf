"""Scans of which BLISS keeps what was taken at another pace in entries of their own, N.2."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
from bliss_files import add_entry, stack, topotomo

from recon3d import Recon3DWarning, open_scan
from recon3d.errors import DataError, ParameterError

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


def test_frames_along_another_axis_are_told(tmp_path):
    path = topotomo(tmp_path / "a.h5")
    with h5py.File(path, "r+") as file:
        for number in (1, 2):
            image = file[f"{number}.1/instrument/pco_ff"]
            frames = np.moveaxis(image["image"][()], 0, 2)
            del image["image"]
            image["image"] = frames
    said = r"4 frames but 3 readings of mu.*shape is \(4, 6, 3\): is the frame not the first axis"
    with pytest.raises(DataError, match=said):
        open_scan(path, show_progress=False)


def test_a_file_of_ours_is_no_raw_data(tmp_path):
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.attrs["_format"] = "recon3d-scan"
    said = r"was written by recon3d \(recon3d-scan\): raw frames are expected"
    with pytest.raises(DataError, match=said):
        open_scan(tmp_path / "scan.h5", show_progress=False)
