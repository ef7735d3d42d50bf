"""What every source offers: pixels summed in bins, and lists of what is damaged."""

import tracemalloc

import h5py
import numpy as np
import pytest
from bliss_files import topotomo
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from id06_folders import mosaicity
from store_files import make_frames, write

from recon3d.errors import DataError, ParameterError
from recon3d.files.store import open_store
from recon3d.readers.bliss.records import labelled
from recon3d.readers.source import NO_BINNING, Binning, Roi, list_damage, trouble_in
from recon3d.scan.follow import Follower
from recon3d.scan.scan import Scan, open_scan


def test_every_frame_is_named_with_its_reason():
    damaged = [("a_1.edf", "is empty"), ("a_2.edf", "is empty"), ("a_7.edf", "is cut")]
    assert list_damage(damaged) == "a_1.edf, a_2.edf is empty; a_7.edf is cut"


def test_of_many_frames_the_first_are_named_and_the_rest_counted():
    damaged = [(f"a_{i:04d}.edf", "is empty") for i in range(100)]
    text = list_damage(damaged)
    assert text.startswith("a_0000.edf, a_0001.edf, a_0002.edf, ")
    named = text.count(".edf")
    assert 10 < named < 40
    assert text.endswith(f" and {100 - named} more is empty")
    scattered = [(f"a_{i:04d}.edf", "is empty") for i in range(0, 80, 2)]
    assert list_damage(scattered[:3]) == "a_0000.edf, a_0002.edf, a_0004.edf is empty"
    assert "a_0002.edf" in list_damage(scattered)
    assert "more is empty" in list_damage(scattered)


def test_however_many_they_are_a_message_stays_short():
    """A reason that differs from frame to frame, and names that are long."""
    damaged = [(f"{'x' * 90}_{7 * i:05d}.edf", f"is cut at {i}") for i in range(5000)]
    text = list_damage(damaged)
    assert len(text) < 400
    told = text.count("is cut at")
    assert f"and {5000 - told} more" in text
    assert len(list_damage([("a_1.edf", "word " * 500)])) < 400


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e31])
def test_counts_that_are_no_counts(value):
    pixels = np.ones((3, 4))
    assert trouble_in(pixels) == ""
    pixels[1, 2] = value
    assert "1 counts" in trouble_in(pixels)
    assert trouble_in(np.full((2, 2), 65535, np.uint16)) == ""


def test_a_long_title_is_cut():
    assert labelled("3.1", "x" * 400) == f"3.1 ({'x' * 60} ...)"
    assert labelled("3.1", "ascan mu 0 1 5 0.1") == "3.1 (ascan mu 0 1 5 0.1)"
    assert labelled("3.1", "") == "3.1 (no title)"


DTYPES = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")


def plain_sums(image, rows, cols):
    """Sums over blocks, in numbers that nothing overflows."""
    high, wide = image.shape[0] // rows, image.shape[1] // cols
    blocks = image[: high * rows, : wide * cols].reshape(high, rows, wide, cols)
    return blocks.astype(object if image.dtype.kind != "f" else float).sum(axis=(1, 3))


@given(
    image=st.sampled_from(DTYPES).flatmap(
        lambda dtype: arrays(dtype, st.tuples(st.integers(2, 13), st.integers(2, 13)))
    ),
    rows=st.integers(1, 4),
    cols=st.integers(1, 4),
)
def test_sums_are_those_of_blocks_and_lose_nothing(image, rows, cols):
    image = np.nan_to_num(image, nan=1, posinf=2, neginf=3)
    if image.dtype.kind == "f":
        image = np.round(np.clip(image, -1e4, 1e4))
    sums = Binning(rows, cols).sums(image)
    assert sums.dtype == Binning(rows, cols).dtype_of(image.dtype)
    np.testing.assert_array_equal(sums, plain_sums(image, rows, cols).astype(sums.dtype))
    assert np.array_equal(sums.astype(object), plain_sums(image, rows, cols))


def test_full_pixels_do_not_overflow():
    full = np.full((64, 64), 65535, np.uint16)
    assert Binning(64, 64).sums(full)[0, 0] == 65535 * 64 * 64
    assert Binning(2, 2).sums(np.full((2, 2), 2**32 - 1, np.uint32))[0, 0] == 4 * (2**32 - 1)


def test_no_binning_changes_nothing():
    image = np.arange(12, dtype=np.uint16).reshape(3, 4)
    assert NO_BINNING.sums(image).dtype == np.uint16
    np.testing.assert_array_equal(NO_BINNING.sums(image), image)


@pytest.fixture
def edf_scan(write_folder) -> Scan:
    folder = write_folder(mosaicity([0.0, 10.0], [0.0, 0.1], [-0.1, 0.0, 0.1]), shape=(11, 13))
    return open_scan(folder, "topo_", show_progress=False)


@pytest.fixture
def bliss_scan(tmp_path) -> Scan:
    return open_scan(topotomo(tmp_path / "scan.h5", omega=(0.0, 10.0, 20.0)), show_progress=False)


@pytest.mark.parametrize("bins", [(2, 2), (3, 3), (2, 1), (1, 2), (4, 3)])
def test_frames_of_edf_files_are_summed_from_the_corner_of_the_roi(edf_scan, bins):
    cropped = edf_scan.crop((6, 5), (11, 9))
    assert cropped.roi == Roi(1, 1, 9, 11)
    scan = cropped.binned(*bins)
    expected = [plain_sums(frame, *bins) for frame in cropped.read_projection(1)]
    np.testing.assert_array_equal(scan.read_projection(1), np.array(expected, np.int32))
    assert scan.shape == (2, 6, 9 // bins[0], 11 // bins[1])
    np.testing.assert_array_equal(scan.read_frame(7), plain_sums(cropped.read_frame(7), *bins))


def test_frames_of_hdf5_files_are_summed_alike(bliss_scan):
    cropped = bliss_scan.crop((3, 2), (5, 3))
    with pytest.raises(ParameterError, match="at least 2 bins"):
        cropped.binned(2)
    expected = [plain_sums(frame, 1, 2) for frame in cropped.read_projection(2)]
    frames = cropped.binned(1, 2).read_projection(2)
    np.testing.assert_array_equal(frames, np.array(expected, np.int32))


def test_cropping_and_binning_come_in_any_order(edf_scan):
    first = edf_scan.binned(2).crop((6, 5), (11, 9))
    last = edf_scan.crop((6, 5), (11, 9)).binned(2)
    np.testing.assert_array_equal(first.read_projection(0), last.read_projection(0))
    assert first.roi == last.roi == Roi(1, 1, 9, 11)
    assert last.binned(1).shape == (2, 6, 9, 11)
    assert "bins of 2 x 2" in repr(last)
    with pytest.raises(ParameterError, match="at least 2 bins"):
        first.crop((6, 5), (3, 3))


def test_missing_frames_are_zero(edf_scan):
    edf_scan.slots[1, 2] = -1
    frames = edf_scan.binned(2).read_projection(1)
    assert not frames[2].any()
    assert frames[3].all()


def test_followed_scans_can_be_binned(write_folder):
    folder = write_folder(mosaicity([0.0, 10.0], [0.0, 0.1], [-0.1, 0.0, 0.1]), shape=(8, 8))
    scan = Follower(folder, "topo_").poll()
    expected = [plain_sums(frame, 2, 2) for frame in scan.read_projection(1)]
    np.testing.assert_array_equal(scan.binned(2).read_projection(1), np.array(expected, np.int32))


def test_memory_shrinks_with_the_bins(write_folder):
    folder = write_folder(
        mosaicity([0.0, 10.0], [0.0, 0.1], np.arange(-4, 5) / 10), shape=(128, 128)
    )
    scan = open_scan(folder, "topo_", show_progress=False)

    def peak(part: Scan) -> int:
        part.read_projection(0)
        tracemalloc.start()
        part.read_projection(0)
        largest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return largest

    assert peak(scan.binned(4)) < peak(scan) / 4


def test_the_store_keeps_the_bins(tmp_path):
    frames = make_frames()
    store = write(tmp_path / "scan.h5", frames, roi=Roi(5, 6, 41, 61), binning=Binning(2, 2))
    assert store.binning == (2, 2)
    assert store.roi == Roi(5, 6, 41, 61)
    assert open_store(tmp_path / "scan.h5").binning == Binning(2, 2)
    with pytest.raises(ParameterError, match=r"expected \(8, 10, 15\)"):
        write(tmp_path / "other.h5", frames, binning=Binning(2, 2))


def test_stores_from_before_there_were_bins_have_none(tmp_path):
    path = tmp_path / "scan.h5"
    write(path, make_frames())
    with h5py.File(path, "a") as file:
        del file["entry/binning"]
    assert open_store(path).binning == NO_BINNING


@pytest.mark.parametrize("rows", [0, 2])
def test_a_store_whose_bins_do_not_fit_its_frames_is_refused(tmp_path, rows):
    path = tmp_path / "scan.h5"
    write(path, make_frames())
    with h5py.File(path, "a") as file:
        file["entry/binning"].attrs["rows"] = rows
    with pytest.raises(DataError, match=f"in {rows} x 1"):
        open_store(path)
