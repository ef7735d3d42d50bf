"""Files as they lie at the ESRF: collections, folders, files of detectors, odd frames; no locks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from bliss_files import SHAPE, add_entry, external, stack, topotomo

from recon3d.errors import DataError, Recon3DWarning
from recon3d.readers.bliss.entries import is_being_written, moved, scan_file
from recon3d.readers.open import mean_background
from recon3d.scan.follow import Follower
from recon3d.scan.scan import open_scan

quiet = pytest.mark.filterwarnings("error:.*::recon3d")


def opened(path, **options):
    return open_scan(path, show_progress=False, **options)


def raw_data(folder: Path, names=("al_0001",), *, link="{}_{}.1") -> Path:
    """RAW_DATA/al: al.h5, which links to al_0001/al_0001.h5, whose frames are in scan0001/..."""
    sample = folder / "RAW_DATA" / "al"
    for name in names:
        (sample / name).mkdir(parents=True)
        with h5py.File(sample / name / f"{name}.h5", "w") as file:
            for k in range(2):
                scalars = {"omega": 10.0 * k, "chi": 0.0, "phi": 0.0}
                entry = add_entry(
                    file, k + 1, None, lists={"mu": 0.1 * np.arange(4)}, scalars=scalars
                )
                external(sample / name, entry, stack(4 * k, 4), 2)
    with h5py.File(sample / "al.h5", "w") as file:
        for name in names:
            for k in range(2):
                file[link.format(name, k + 1)] = h5py.ExternalLink(
                    f"{name}/{name}.h5", f"/{k + 1}.1"
                )
    return sample


def is_the_scan(scan):
    np.testing.assert_array_equal(scan.read_projection(1), stack(4, 4))


class TestLayouts:
    @pytest.mark.parametrize("given", ["al.h5", "al_0001", "."])
    def test_the_only_scan_is_found(self, tmp_path, given):
        sample = raw_data(tmp_path)
        with pytest.warns(Recon3DWarning, match=r"holds no frames itself: .*al_0001\.h5 is read"):
            scan = opened(sample / given)
        is_the_scan(scan)

    def test_links_by_number_are_followed(self, tmp_path):
        is_the_scan(opened(raw_data(tmp_path, link="{1}.1") / "al.h5"))

    def test_links_of_a_tree_that_was_moved(self, tmp_path):
        sample = raw_data(tmp_path)
        with h5py.File(sample / "al.h5", "w") as file:
            target = "/data/visitor/ma1/id03/RAW_DATA/al/al_0001/al_0001.h5"
            file["al_0001_1.1"] = h5py.ExternalLink(target, "/1.1")
        with pytest.warns(Recon3DWarning, match="is read"):
            is_the_scan(opened(sample / "al.h5"))

    @pytest.mark.parametrize("given", ["al.h5", "."])
    def test_of_several_scans_one_must_be_given(self, tmp_path, given):
        sample = raw_data(tmp_path, ("al_0001", "al_0002"))
        with pytest.raises(DataError, match=r"2 files: give al_0001/al_0001\.h5 or al_0002"):
            opened(sample / given)

    @pytest.mark.parametrize("given", ["scan1", "scan1/pco_ff_0000.h5"])
    def test_the_file_of_a_detector(self, tmp_path, given):
        folder = raw_data(tmp_path) / "al_0001"
        with pytest.raises(DataError, match=r"pco_ff_0000\.h5 has no entry .*a detector\? Give"):
            opened(folder / given)

    def test_links_to_a_file_that_is_not_there(self, tmp_path):
        for link in ("{}_{}.1", "{1}.1"):
            sample = raw_data(tmp_path / link[1:-3], link=link)
            (sample / "al_0001" / "al_0001.h5").unlink()
            with pytest.raises(DataError, match=r"al_0001/al_0001\.h5"):
                opened(sample / "al.h5")

    def test_background_frames_in_a_folder(self, tmp_path):
        folder = raw_data(tmp_path) / "al_0001"
        np.testing.assert_allclose(mean_background(folder), stack(0, 8).mean(axis=0))

    @pytest.mark.parametrize("name", ["topo_0000.edf", "topo_0000.EDF", "topo_0000.edf.bz2"])
    def test_a_folder_of_edf_files_stays_one(self, tmp_path, name):
        topotomo(tmp_path / "other.h5")
        (tmp_path / name).touch()
        for prefix in ("", "topo_"):
            assert scan_file(tmp_path, prefix) is None
        below = tmp_path / "below"
        (below / "omega_0").mkdir(parents=True)
        h5py.File(below / "result.h5", "w").close()
        assert scan_file(below, "topo_") is None

    def test_a_folder_is_followed(self, tmp_path):
        is_the_scan(Follower(raw_data(tmp_path) / "al_0001").poll())


class TestFrames:
    @quiet
    @pytest.mark.parametrize("shape", [(3, 1, *SHAPE), (1, 3, *SHAPE), (3, *SHAPE, 1)])
    def test_of_four_axes(self, tmp_path, shape):
        path = topotomo(tmp_path / "scan.h5")
        with h5py.File(path, "r+") as file:
            for k in range(2):
                del file[f"{k + 1}.1/instrument/pco_ff/image"]
                frames = stack(3 * k, 3).reshape(shape)
                file.create_dataset(
                    f"{k + 1}.1/instrument/pco_ff/image",
                    data=frames,
                    chunks=True,
                    compression="gzip",
                )
        scan = opened(path).crop((3, 2), (2, 2))
        np.testing.assert_array_equal(scan.read_projection(1), stack(3, 3)[:, 1:3, 2:4])

    def test_of_an_aborted_scan_whose_files_were_never_written(self, tmp_path):
        """Four readings, and six frames in three files, of which the second ends early."""
        path = topotomo(tmp_path / "scan.h5", omega=(0.0,), mu=0.1 * np.arange(6))
        with h5py.File(path, "r+") as file:
            scalars = {"omega": 10.0, "chi": 0.5, "phi": -0.25}
            lists = {"mu": 0.1 * np.arange(4)}
            entry = add_entry(file, 2, None, lists=lists, scalars=scalars, end_reason="USER_ABORT")
            parts = external(tmp_path, entry, stack(6, 6), 2)
        parts[2].unlink()
        with h5py.File(parts[1], "r+") as file:
            file["entry/data"].resize(1, axis=0)
        with pytest.raises(DataError, match=r"entry 2\.1: .*pco_ff_0002\.h5 is missing"):
            opened(path)
        with pytest.warns(Recon3DWarning) as caught:
            scan = opened(path, skip_damaged=True)
        assert "(3 frames are used)" in str(caught[0].message)
        np.testing.assert_array_equal(scan.read_projection(1)[:3], stack(6, 3))
        assert scan.missing == [(1, 3), (1, 4), (1, 5)]

    def test_many_entries_of_one_fault_take_a_line(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5", omega=tuple(np.arange(40.0)))
        with h5py.File(path, "r+") as file:
            for number in range(2, 40):
                del file[f"{number}.1/instrument/positioners/chi"]
        with pytest.raises(DataError, match=r"entry 2\.1, .* more: the motor 'chi'") as told:
            opened(path)
        assert len(str(told.value)) < 500


def locks(*paths):
    """The lines of /proc/locks that name one of some files."""
    inodes = [f":{path.stat().st_ino} " for path in paths]
    lines = Path("/proc/locks").read_text("ascii").splitlines()
    return [line for line in lines if any(inode in line for inode in inodes)]


@pytest.mark.skipif(not Path("/proc/locks").exists(), reason="this system does not list its locks")
class TestLocks:
    def test_no_file_is_locked_while_it_is_read(self, tmp_path, monkeypatch):
        folder = raw_data(tmp_path) / "al_0001"
        files = [*folder.glob("*.h5"), *folder.glob("*/*.h5")]
        real, seen = h5py.Dataset.__getitem__, []

        def reading(self, *wanted):
            seen.append(locks(*files))
            return real(self, *wanted)

        with h5py.File(files[0], "r"):
            assert locks(*files), "the test would not see a lock"
        monkeypatch.setattr(h5py.Dataset, "__getitem__", reading)
        is_the_scan(opened(folder / "al_0001.h5"))
        Follower(folder / "al_0001.h5").poll()
        assert len(seen) > 4
        assert not any(seen)

    def test_files_that_others_hold_can_be_read(self, tmp_path):
        folder = raw_data(tmp_path) / "al_0001"
        files = [*folder.glob("*.h5"), *folder.glob("*/*.h5")]
        hold = (
            "import fcntl, sys; held = [open(name, 'r+') for name in sys.argv[1:]]\n"
            "for file in held: fcntl.flock(file, fcntl.LOCK_EX)\n"
            "print('', flush=True); input()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", hold, *map(str, files)], stdin=-1, stdout=-1, text=True
        ) as writer:
            writer.stdout.readline()
            assert is_being_written(files[0])
            with pytest.warns(Recon3DWarning, match="open for writing elsewhere"):
                is_the_scan(opened(folder / "al_0001.h5"))
            writer.communicate("\n")
        assert not is_being_written(files[0])


def test_where_a_file_that_was_moved_is_looked_for():
    folder, named = Path("/new"), Path("/raw/al/scan.h5")
    below = [folder / "raw/al/scan.h5", folder / "al/scan.h5", folder / "scan.h5"]
    assert [*moved(folder, named)] == [named, *below]
    assert [*moved(folder, Path("al/scan.h5"))] == [below[1], *below[1:]]
