"""Cleaning on engines: the bytes of one process, progress, faults and interrupts."""

import os
import signal
import threading

import h5py
import numpy as np
import pytest

import recon3d as r3
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.files.numpy_arrays import ArrayWriter

pytestmark = pytest.mark.usefixtures("mpi")

CLEANING = r3.Cleaning(framebg=6, binth=12, min_region_pix=30)


@pytest.fixture
def scan(on_disk, monkeypatch):
    """The raw frames, under a name that counts from a folder the engines did not start in."""
    monkeypatch.chdir(on_disk.frames.parent)
    origin = {"phi0_deg": on_disk.phi0_deg, "chi0_deg": on_disk.chi0_deg}
    return r3.open_scan("frames", "topotomo_", show_progress=False, **origin)


def same(first, second):
    with h5py.File(first.path) as one, h5py.File(second.path) as other:
        return all(
            np.array_equal(one[f"entry/data/{name}"][()], other[f"entry/data/{name}"][()])
            for name in ("frames", "summed", "integrated")
        )


def test_engines_clean_as_one_process_does(cluster, scan, on_disk, tmp_path, capsys):
    out = tmp_path / "scan.h5"
    clean = r3.clean(scan, CLEANING, out, client=cluster.client, provenance={"run": "first"})
    assert same(clean, r3.open_store(on_disk.folder / "scan.h5"))
    assert clean.provenance["run"] == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["scan.h5"]
    shown = capsys.readouterr().err
    assert "cleaning: " in shown
    assert "load=" in shown
    assert "projection/s" in shown


def test_bad_input_is_told_as_it_is_here(cluster, scan, tmp_path):
    dark = r3.Cleaning(framebg=6, binth=12000, min_region_pix=30)
    with pytest.raises(DataError, match="all frames are dark"):
        r3.clean(scan, dark, tmp_path / "scan.h5", client=cluster.client, show_progress=False)
    with pytest.raises(ParameterError, match=r"does not see .*nowhere"):
        r3.clean(scan, CLEANING, tmp_path / "nowhere" / "scan.h5", client=cluster.client)
    sink = ArrayWriter(scan, tmp_path, "final")
    with pytest.raises(ParameterError, match="leave out the client"):
        r3.clean(scan, CLEANING, tmp_path / "scan.h5", client=cluster.client, sink=sink)
    assert not list(tmp_path.iterdir())


def when_it_is_written(folder, act):
    """Do something once a file of the folder is being written."""

    def watch():
        while not any(folder.glob(".*")) and not ended.wait(0.001):
            pass
        if not ended.is_set():
            act()

    ended = threading.Event()
    threading.Thread(target=watch, daemon=True).start()
    return ended


def test_cleaning_begins_anew_after_an_engine_was_killed(cluster, scan, on_disk, tmp_path):
    pid = cluster.client[1].apply_sync(os.getpid)
    ended = when_it_is_written(tmp_path, lambda: os.kill(pid, signal.SIGKILL))
    with pytest.warns(Recon3DWarning, match="started again"):
        clean = r3.clean(
            scan, CLEANING, tmp_path / "scan.h5", client=cluster.client, show_progress=False
        )
    ended.set()
    assert same(clean, r3.open_store(on_disk.folder / "scan.h5"))
    assert [path.name for path in tmp_path.iterdir()] == ["scan.h5"]


def test_an_interrupt_ends_cleaning_and_leaves_nothing_half_done(cluster, scan, on_disk, tmp_path):
    ended = when_it_is_written(tmp_path, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        r3.clean(scan, CLEANING, tmp_path / "scan.h5", client=cluster.client, show_progress=False)
    ended.set()
    for path in tmp_path.iterdir():  # it may have been done by the time that engines heard of it
        assert path.name == "scan.h5"
        assert same(r3.open_store(path), r3.open_store(on_disk.folder / "scan.h5"))
    assert cluster.client[:].apply_sync(os.getpid)
