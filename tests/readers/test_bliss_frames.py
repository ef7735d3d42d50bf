"""Frames that are in other files, that are not there at all, and that are stored in odd ways."""

from __future__ import annotations

import shutil

import h5py
import hdf5plugin
import numpy as np
import pytest
from bliss_files import SHAPE, add_entry, external, mosaicity, stack, topotomo

from recon3d.errors import DataError, Recon3DWarning
from recon3d.readers.bliss import datasets
from recon3d.readers.bliss.datasets import FrameReader, presence
from recon3d.readers.source import Roi
from recon3d.scan.scan import open_scan

WHOLE = Roi(0, 0, *SHAPE)
quiet = pytest.mark.filterwarnings("error")


def opened(path, **options):
    return open_scan(path, show_progress=False, **options)


def external_scan(folder, *, absolute=False, end_reason="SUCCESS"):
    """A scan of two ω x 5 μ whose frames are in files of two frames each."""
    with h5py.File(folder / "scan.h5", "w") as file:
        for k in range(2):
            scalars = {"omega": 10.0 * k, "chi": 0.0, "phi": 0.0}
            lists = {"mu": 0.1 * np.arange(5)}
            entry = add_entry(
                file, k + 1, None, lists=lists, scalars=scalars, end_reason=end_reason
            )
            external(folder, entry, stack(5 * k, 5), 2, absolute=absolute)
    return folder / "scan.h5"


def shorten(path, frames):
    with h5py.File(path, "r+") as file:
        file["entry/data"].resize(frames, axis=0)


class TestExternalFiles:
    @quiet
    @pytest.mark.parametrize("absolute", [False, True])
    def test_are_read(self, tmp_path, absolute):
        scan = opened(external_scan(tmp_path, absolute=absolute))
        np.testing.assert_array_equal(scan.read_projection(1), stack(5, 5))

    @quiet
    def test_are_found_beside_a_file_that_was_moved(self, tmp_path):
        external_scan(tmp_path)
        moved = tmp_path / "elsewhere"
        moved.mkdir()
        for name in ("scan.h5", "scan1", "scan2"):
            shutil.move(tmp_path / name, moved / name)
        np.testing.assert_array_equal(opened(moved / "scan.h5").read_projection(0), stack(0, 5))

    @quiet
    def test_of_an_absolute_name_are_found_beside_a_file_that_was_moved(self, tmp_path):
        # As HDF5 does it: where the file of an absolute name is gone, by its last part alone.
        (tmp_path / "old").mkdir()
        with h5py.File(tmp_path / "old" / "frames.h5", "w") as file:
            file["entry/data"] = stack(0, 3)
        path = topotomo(tmp_path / "old" / "scan.h5", omega=(0.0,))
        with h5py.File(path, "r+") as file:
            del file["1.1/instrument/pco_ff/image"]
            layout = h5py.VirtualLayout((3, *SHAPE), "uint16")
            name = str(tmp_path / "old" / "frames.h5")
            layout[:] = h5py.VirtualSource(name, "entry/data", (3, *SHAPE))
            file["1.1"].create_virtual_dataset("instrument/pco_ff/image", layout)
        (tmp_path / "old").rename(tmp_path / "new")
        frames = opened(tmp_path / "new" / "scan.h5").read_projection(0)
        np.testing.assert_array_equal(frames, stack(0, 3))

    @quiet
    def test_are_found_through_a_link(self, tmp_path):
        (tmp_path / "data").mkdir()
        external_scan(tmp_path / "data")
        (tmp_path / "link.h5").symlink_to(tmp_path / "data" / "scan.h5")
        np.testing.assert_array_equal(opened(tmp_path / "link.h5").read_projection(0), stack(0, 5))

    @pytest.mark.parametrize("absolute", [False, True])
    def test_that_are_missing_are_named(self, tmp_path, absolute):
        path = external_scan(tmp_path, absolute=absolute)
        (tmp_path / "scan2" / "pco_ff_0001.h5").unlink()
        with h5py.File(path, "r") as file:  # what HDF5 itself makes of it
            assert not file["2.1/instrument/pco_ff/image"][2:4].any()
        with pytest.raises(DataError, match=r"entry 2\.1: .*scan2/pco_ff_0001\.h5 is missing"):
            opened(path)

    def test_that_are_missing_can_be_left_out(self, tmp_path):
        path = external_scan(tmp_path)
        (tmp_path / "scan2" / "pco_ff_0001.h5").unlink()
        with pytest.warns(Recon3DWarning) as caught:
            scan = opened(path, skip_damaged=True)
        assert "pco_ff_0001.h5 is missing" in str(caught[0].message)
        assert scan.missing == [(1, 2), (1, 3)]
        expected = stack(5, 5)
        expected[2:4] = 0
        np.testing.assert_array_equal(scan.read_projection(1), expected)

    def test_that_are_damaged_are_named(self, tmp_path):
        path = external_scan(tmp_path)
        part = tmp_path / "scan1" / "pco_ff_0002.h5"
        part.write_bytes(part.read_bytes()[:600])
        with pytest.raises(DataError, match=r"entry 1\.1: .*pco_ff_0002\.h5 cannot be read"):
            opened(path)

    def test_that_are_too_short_are_an_error_after_the_scan(self, tmp_path):
        path = external_scan(tmp_path)
        shorten(tmp_path / "scan1" / "pco_ff_0000.h5", 1)
        with pytest.raises(DataError, match=r"entry 1\.1: 1 of 5 frames, from frame 1 on"):
            opened(path)

    def test_that_are_too_short_end_a_scan_that_goes_on(self, tmp_path):
        path = external_scan(tmp_path, end_reason=None)
        shorten(tmp_path / "scan2" / "pco_ff_0002.h5", 0)
        with pytest.warns(Recon3DWarning) as caught:
            scan = opened(path)
        assert "entry 2.1: 1 of 5 frames, from frame 4 on" in str(caught[0].message)
        assert "(4 frames are used)" in str(caught[0].message)
        assert scan.missing == [(1, 4)]

    def test_a_gap_is_an_error_even_while_the_scan_goes_on(self, tmp_path):
        path = external_scan(tmp_path, end_reason=None)
        shorten(tmp_path / "scan2" / "pco_ff_0001.h5", 1)
        with pytest.raises(DataError, match=r"entry 2\.1: 1 of 5 frames, from frame 3 on"):
            opened(path)


class TestPresence:
    def write(self, tmp_path, build):
        path = tmp_path / "frames.h5"
        with h5py.File(path, "w") as file:
            build(file)
        with h5py.File(path, "r") as file:
            return presence(file["d"])[0].tolist()

    def test_chunks_that_were_never_written(self, tmp_path):
        def build(file):
            frames = file.create_dataset("d", (7, 4, 4), "u2", chunks=(2, 4, 2))
            frames[0:2] = 1
            frames[4:6, :, :2] = 1
            frames[6] = 1

        expected = [True, True, False, False, False, False, True]
        assert self.write(tmp_path, build) == expected

    def test_frames_in_one_piece(self, tmp_path):
        assert self.write(tmp_path, lambda file: file.create_dataset("d", (2, 3, 3), "u2")) == [
            False,
            False,
        ]
        whole = self.write(tmp_path, lambda file: file.create_dataset("d", data=stack(0, 2)))
        assert whole == [True, True]

    def test_frames_of_two_modules_and_a_hole(self, tmp_path):
        def build(file):
            file["left"], file["right"] = stack(0, 3), stack(9, 2)
            layout = h5py.VirtualLayout((3, 4, 12), "u2")
            layout[:, :, :6] = h5py.VirtualSource(file["left"])
            layout[:2, :, 6:] = h5py.VirtualSource(file["right"])
            file.create_virtual_dataset("d", layout)

        assert self.write(tmp_path, build) == [True, True, False]

    def test_parts_of_sources(self, tmp_path):
        def build(file):
            frames = file.create_dataset("s", (6, 4, 6), "u2", chunks=(1, 4, 6))
            frames[:4] = 1
            layout = h5py.VirtualLayout((3, 4, 6), "u2")
            layout[:] = h5py.VirtualSource(file["s"])[2:5]
            file.create_virtual_dataset("d", layout)

        assert self.write(tmp_path, build) == [True, True, False]


class TestUnfinishedScans:
    def write(self, path, frames, readings, end_reason):
        topotomo(path, omega=(0.0,), mu=tuple(0.1 * np.arange(5)))
        with h5py.File(path, "r+") as file:
            lists = {"mu": 0.1 * np.arange(readings)}
            scalars = {"omega": 10.0, "chi": 0.5, "phi": -0.25}
            add_entry(
                file, 2, stack(5, frames), lists=lists, scalars=scalars, end_reason=end_reason
            )
        return path

    @pytest.mark.parametrize(("frames", "readings"), [(3, 4), (4, 3)])
    @pytest.mark.parametrize("end_reason", [None, "USER_ABORT"])
    def test_are_read_up_to_the_last_whole_frame(self, tmp_path, frames, readings, end_reason):
        path = self.write(tmp_path / "scan.h5", frames, readings, end_reason)
        with pytest.warns(Recon3DWarning) as caught:
            scan = opened(path)
        assert f"{frames} frames but {readings} readings of mu" in str(caught[0].message)
        assert scan.missing == [(1, 3), (1, 4)]
        np.testing.assert_array_equal(scan.read_projection(1)[:3], stack(5, 3))

    def test_lengths_that_differ_after_a_scan_are_an_error(self, tmp_path):
        path = self.write(tmp_path / "scan.h5", 3, 4, "SUCCESS")
        with pytest.raises(DataError, match=r"entry 2\.1: 3 frames but 4 readings of mu, though"):
            opened(path)

    def test_and_nothing_tells_which_frames_lack(self, tmp_path):
        path = self.write(tmp_path / "scan.h5", 3, 4, "SUCCESS")
        with pytest.warns(Recon3DWarning, match=r"entry 2\.1: .*\(0 frames are used\)"):
            scan = opened(path, skip_damaged=True)
        assert scan.omega_deg.tolist() == [0.0]

    def test_one_that_stopped_between_frames_is_only_incomplete(self, tmp_path):
        path = self.write(tmp_path / "scan.h5", 3, 3, "USER_ABORT")
        with pytest.warns(Recon3DWarning, match="2 of 10 frames are missing"):
            opened(path)


STORED = {
    "bitshuffle": {"chunks": (1, *SHAPE), **hdf5plugin.Bitshuffle(cname="lz4")},
    "gzip": {"chunks": (1, *SHAPE), "compression": "gzip"},
    "many frames a chunk": {"chunks": (5, 2, 3), "compression": "gzip"},
    "one piece": {},
}


class TestReader:
    def test_a_projection_is_read_in_the_order_it_was_taken(self, tmp_path, monkeypatch):
        path = tmp_path / "scan.h5"
        lists = mosaicity(np.array([0.0, 0.1, 0.2]), np.array([1.0, 1.1]))
        with h5py.File(path, "w") as file:
            add_entry(file, 1, stack(0, 6), lists=lists, scalars={"omega": 0.0, "phi": 0.0})
        scan = opened(path, tilt_azimuth_deg=90)
        assert scan.slots.tolist() == [[0, 3, 1, 4, 2, 5]]
        order = []
        real = FrameReader.read
        monkeypatch.setattr(
            FrameReader,
            "read",
            lambda self, *wanted: order.append(wanted[1]) or real(self, *wanted),
        )
        scan.read_projection(0)
        assert order == [0, 1, 2, 3, 4, 5]

    @pytest.mark.parametrize("storage", STORED.values(), ids=STORED)
    @pytest.mark.parametrize("order", ["forward", "backward", "random", "twice"])
    def test_any_order_gives_the_same_frames(self, tmp_path, storage, order):
        frames = stack(0, 23)
        with h5py.File(tmp_path / "f.h5", "w") as file:
            file.create_dataset("d", data=frames, **storage)
        forward = np.arange(23)
        orders = {
            "forward": forward,
            "backward": forward[::-1],
            "random": np.random.default_rng(0).permutation(23),
            "twice": np.repeat(forward, 2),
        }
        reader = FrameReader(tmp_path / "f.h5")
        for index in orders[order]:
            pixels = reader.read("d", int(index), Roi(1, 2, 3, 4))
            np.testing.assert_array_equal(pixels, frames[index, 1:4, 2:6])

    def test_another_dataset_or_region_is_read_anew(self, tmp_path):
        with h5py.File(tmp_path / "f.h5", "w") as file:
            for name, first in (("a", 0), ("b", 40)):
                file.create_dataset(name, data=stack(first, 4), chunks=(4, *SHAPE))
        reader = FrameReader(tmp_path / "f.h5")
        for name, first, roi in (("a", 0, WHOLE), ("b", 40, WHOLE), ("b", 40, Roi(1, 1, 2, 2))):
            region = np.s_[roi.row : roi.row + roi.rows, roi.col : roi.col + roi.cols]
            pixels = reader.read(name, 2, roi)
            np.testing.assert_array_equal(pixels, stack(first + 2, 1)[0][region])

    def test_files_are_opened_less_often_than_frames_are_read(self, tmp_path, monkeypatch):
        with h5py.File(tmp_path / "f.h5", "w") as file:
            file.create_dataset("d", data=stack(0, 64), chunks=(1, *SHAPE))
            file.create_dataset("many", data=stack(0, 64), chunks=(32, 2, 2))
        times = []
        real = datasets.open_unlocked

        def counted(path):
            times.append(path)
            return real(path)

        monkeypatch.setattr(datasets, "open_unlocked", counted)
        reader = FrameReader(tmp_path / "f.h5")
        for index in range(64):
            reader.read("d", index, WHOLE)
        assert len(times) == 8  # runs of 1, 2, 4, 8, and 16 from then on
        for index in range(64):
            reader.read("many", index, WHOLE)
        assert len(times) == 10

    def test_runs_are_bounded(self, tmp_path, monkeypatch):
        monkeypatch.setattr(datasets, "_BLOCK_BYTES", 3 * 2 * SHAPE[0] * SHAPE[1])
        with h5py.File(tmp_path / "f.h5", "w") as file:
            file.create_dataset("d", data=stack(0, 20), chunks=(10, *SHAPE))
        reader = FrameReader(tmp_path / "f.h5")
        for index in range(20):
            np.testing.assert_array_equal(reader.read("d", index, WHOLE), stack(index, 1)[0])
            assert len(reader._block.pixels) <= 3

    def test_a_damaged_frame_is_named(self, tmp_path):
        path = topotomo(tmp_path / "scan.h5", omega=(0.0,), chunks=(1, *SHAPE), compression="gzip")
        with h5py.File(path, "r") as file:
            chunk = file["1.1/instrument/pco_ff/image"].id.get_chunk_info(1)
        content = bytearray(path.read_bytes())
        content[chunk.byte_offset : chunk.byte_offset + chunk.size] = bytes(chunk.size)
        path.write_bytes(content)
        scan = opened(path)
        with pytest.raises(DataError, match=r"scan\.h5, entry 1\.1, frame 1 cannot be read"):
            scan.read_projection(0)
