"""scan.h5: what goes in comes out; what is broken is told."""

import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import pairwise
from multiprocessing import get_context

import h5py
import numpy as np
import pytest
import store_files
from hypothesis import given
from hypothesis import strategies as st
from store_files import PROVENANCE, SHAPE, arguments, make_frames, write, writer

from recon3d.errors import DataError, ParameterError
from recon3d.files.store import CHUNK_BYTES, chunk_shape, open_store, runs
from recon3d.geometry import frame_settings
from recon3d.readers.source import Roi
from recon3d.scan.table import SettingAxis


def write_and_fail(store, frames):
    store.write(0, frames)
    store.write(1, frames[:3])


def test_all_that_goes_in_comes_out(tmp_path):
    frames, given_in = make_frames(), arguments()
    names = np.array([[f"dir/é_{k}_{f}.edf" for f in range(8)] for k in range(3)])
    scan = write(tmp_path / "scan.h5", frames, order=(2, 0, 1), source_files=names)
    for k in range(3):
        np.testing.assert_array_equal(scan.read_projection(k), frames[k])
    np.testing.assert_array_equal(scan.read_projection(-1), frames[2])
    np.testing.assert_allclose(scan.summed, frames.sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(scan.integrated, frames.sum(axis=(2, 3), dtype=float))
    for name, column in given_in["motors"].items():
        np.testing.assert_array_equal(getattr(scan.motors, name), column)
    np.testing.assert_array_equal(scan.valid, given_in["slots"] >= 0)
    np.testing.assert_array_equal(scan.source_files, names)
    for axis, original in zip(scan.axes, given_in["axes"], strict=True):
        assert axis.name == original.name
        np.testing.assert_array_equal(axis.values_deg, original.values_deg)
    np.testing.assert_array_equal(scan.omega_deg, given_in["omega_deg"])
    for name in ("kind", "origin", "roi"):
        assert getattr(scan, name) == given_in[name]
    assert scan.provenance == PROVENANCE
    assert scan.shape == SHAPE


def test_lit_frames_are_read_alone(tmp_path):
    frames = make_frames()
    scan = write(tmp_path / "scan.h5", frames)
    for k in (0, 2, -1):
        numbers, illuminated = scan.read_illuminated(k)
        np.testing.assert_array_equal(numbers, np.flatnonzero(frames[k].any(axis=(1, 2))))
        np.testing.assert_array_equal(illuminated, frames[k][numbers])


def test_a_scan_that_is_kept_open_reads_the_same_and_is_closed_at_the_end(tmp_path):
    frames = make_frames()
    scan = write(tmp_path / "scan.h5", frames)
    with scan.kept_open() as kept:
        scan.path.rename(tmp_path / "moved.h5")
        np.testing.assert_array_equal(kept.read_projection(1), frames[1])
        np.testing.assert_array_equal(kept.read_illuminated(2)[1], scan_lit(frames[2]))
        np.testing.assert_allclose(kept.read_summed(0), frames[0].sum(axis=0), rtol=1e-5)
        with pytest.raises(ValueError, match="a mistake of ours"):
            raise_in_the_middle(scan, tmp_path)
    with pytest.raises(DataError):
        kept.read_projection(1)


def scan_lit(frames):
    return frames[frames.any(axis=(1, 2))]


def raise_in_the_middle(scan, folder):
    """What goes wrong while the file is open is not taken for a fault of the file."""
    with replace(scan, path=folder / "moved.h5").kept_open():
        raise ValueError("a mistake of ours")


def test_the_file_is_laid_out_as_documented(tmp_path):
    scan, motors = write(tmp_path / "scan.h5", make_frames()), arguments()["motors"]
    with h5py.File(scan.path) as file:
        assert file["entry/data"].attrs["signal"] == "frames"
        assert {name: file[name].attrs["NX_class"] for name in ("entry", "entry/data")} == {
            "entry": "NXentry",
            "entry/data": "NXdata",
        }
        stored = file["entry/data/frames"]
        assert stored.dtype == np.float32
        assert stored.chunks == (1, 8, 20, 30)
        assert "32008" in stored._filters
        group = file["entry/motors"]
        assert set(group) == {
            *("omega", "mu", "gamma", "chi", "phi", "diffrz", "obpitch", "energy", "ring_current")
        }
        mu, gamma = frame_settings(
            motors.omega_deg,
            motors.base_tilt_deg,
            motors.chi_deg,
            motors.phi_deg,
            scan.origin,
            +1,
        )
        np.testing.assert_array_equal(group["mu"], mu)
        np.testing.assert_array_equal(group["gamma"], gamma)
        np.testing.assert_array_equal(group["diffrz"], motors.base_tilt_deg)


def test_dark_frames_take_no_room(tmp_path):
    frames = np.zeros((2, 8, 400, 400), np.float32)
    frames[0, 5] = np.random.default_rng(0).uniform(1, 2, (400, 400))
    scan = write(tmp_path / "scan.h5", frames)
    with h5py.File(scan.path) as file:
        assert file["entry/data/frames"].id.get_num_chunks() == 1
    np.testing.assert_array_equal(scan.read_projection(0), frames[0])
    assert not scan.read_projection(1).any()


@given(st.tuples(st.just(1), st.integers(1, 500), st.integers(1, 3000), st.integers(1, 3000)))
def test_chunks_are_of_moderate_size_and_of_one_projection(shape):
    chunk = chunk_shape(shape)
    assert chunk[0] == 1
    assert all(1 <= n <= full for n, full in zip(chunk, shape, strict=True))
    assert 4 * np.prod(chunk) <= CHUNK_BYTES


@given(st.lists(st.booleans(), max_size=30))
def test_runs_cover_the_true_values_and_nothing_else(flags):
    covered = np.zeros(len(flags), bool)
    slices = list(runs(np.array(flags, bool)))
    for run in slices:
        assert not covered[run].any()
        covered[run] = True
    assert covered.tolist() == flags
    assert all(a.stop < b.start for a, b in pairwise(slices))


def test_an_open_scan_can_be_sent_to_another_process(tmp_path):
    frames = make_frames()
    scan = write(tmp_path / "scan.h5", frames)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        sent = pool.submit(pickle.loads(pickle.dumps(scan)).read_projection, 1).result()
    np.testing.assert_array_equal(sent, frames[1])


def test_an_error_in_the_middle_leaves_nothing_and_keeps_an_older_file(tmp_path):
    path, frames = tmp_path / "scan.h5", make_frames()
    for older in (None, make_frames(seed=5)):
        if older is not None:
            write(path, older)
        with pytest.raises(ParameterError), writer(path) as store:
            write_and_fail(store, frames[0])
        assert [file.name for file in tmp_path.iterdir()] == ([] if older is None else ["scan.h5"])
    np.testing.assert_array_equal(open_store(path).read_projection(0), older[0])


def test_a_killed_run_leaves_no_file_under_the_final_name(tmp_path):
    script = (
        f"import sys; sys.path.insert(0, {str(store_files.__file__).rsplit('/', 1)[0]!r})\n"
        "import os, store_files as t\n"
        f"store = t.writer({str(tmp_path / 'scan.h5')!r}).__enter__()\n"
        "store.write(0, t.make_frames()[0]); os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 9
    assert not (tmp_path / "scan.h5").exists()


def test_missing_and_doubled_projections_are_refused(tmp_path):
    path, frames = tmp_path / "scan.h5", make_frames()
    with pytest.raises(DataError, match="1 of 3 projections"):
        write(path, frames, order=(0, 2))
    assert not path.exists()
    with pytest.raises(ParameterError, match="projection 0"):
        write(path, frames, order=(0, 0))
    with (
        pytest.raises(ParameterError, match=r"\(4, 20, 30\)"),
        writer(path) as store,
    ):
        store.write(0, frames[0, :4])


@pytest.mark.parametrize("wrong", [-1.0, np.nan, np.inf])
def test_counts_that_cannot_be_are_refused(tmp_path, wrong):
    frames = make_frames()
    frames[1, 2, 3, 4] = wrong
    with pytest.raises(ParameterError, match="projection 1"):
        write(tmp_path / "scan.h5", frames)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"omega_deg": np.arange(4.0)}, "omega"),
        ({"roi": Roi(0, 0, 30, 20)}, r"expected \(8, 30, 20\)"),
        ({"slots": np.ones((3, 7), int)}, "motors"),
        ({"axes": (SettingAxis("mu", np.arange(3.0)),)}, "grid"),
    ],
)
def test_a_store_of_unfit_parts_is_refused(tmp_path, changes, named):
    with pytest.raises(ParameterError, match=named):
        write(tmp_path / "scan.h5", make_frames(), **changes)


def test_files_that_are_no_store_are_told_apart(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        open_store(tmp_path / "none.h5")
    text = tmp_path / "text.h5"
    text.write_text("hello")
    with pytest.raises(DataError, match=r"text\.h5: cannot be read as HDF5"):
        open_store(text)
    with h5py.File(tmp_path / "foreign.h5", "w") as file:
        file["entry"] = 1
    with pytest.raises(DataError, match="is no cleaned scan"):
        open_store(tmp_path / "foreign.h5")


def test_cut_short_newer_unfinished_and_incomplete_files_are_refused(tmp_path):
    path = write(tmp_path / "scan.h5", make_frames()).path
    cut = tmp_path / "cut.h5"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="cut short"):
        open_store(cut)
    for attribute, value, told in (
        ("_format_version", 99, "version 99"),
        ("_format_version", float("inf"), "unknown version"),
        ("_complete", False, "not written to its end"),
    ):
        write(path, make_frames())
        with h5py.File(path, "r+") as file:
            file.attrs[attribute] = value
        with pytest.raises(DataError, match=told):
            open_store(path)
    write(path, make_frames())
    with h5py.File(path, "r+") as file:
        del file["entry/data/valid"]
    with pytest.raises(DataError, match="valid"):
        open_store(path)


def test_a_file_that_is_lost_later_is_told(tmp_path):
    scan = write(tmp_path / "scan.h5", make_frames())
    gone = replace(scan, path=tmp_path / "moved.h5")
    with pytest.raises(DataError, match=r"moved\.h5"):
        gone.read_projection(0)
    with pytest.raises(IndexError):
        scan.read_projection(3)
