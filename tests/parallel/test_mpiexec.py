"""The two commands under mpiexec, and after the power went off."""

import os
import signal
import time

import h5py
import numpy as np
import pytest

from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import open_store
from recon3d.reconstruction.run import reconstruct


def differences(first: Grain, second: Grain) -> float:
    """Largest difference of two occupancies, relative to the typical inner voxel's, 1."""
    return float(np.abs(first.occupancy - second.occupancy).max())


@pytest.fixture(scope="module")
def alone(on_disk):
    """The grain that one process finds."""
    experiment = Experiment.from_ini(on_disk.ini)
    return reconstruct(open_store(on_disk.folder / "scan.h5"), experiment, show_progress=False)


def same(grain: Grain, alone: Grain) -> None:
    """Compare the grain of several processes, or of several runs, with that of one."""
    assert differences(grain, alone) < 1e-4
    assert np.array_equal(grain.mask, alone.mask)
    assert np.nanmax(np.abs(grain.orientation - alone.orientation)) < 1e-5
    assert grain.residual == pytest.approx(alone.residual, rel=1e-5)


@pytest.mark.usefixtures("mpi")
def test_a_backprojection_is_shared_too(on_disk, recon3d, tmp_path):
    grains = []
    for processes in (1, 2):
        there = on_disk.copied_to(tmp_path / f"of_{processes}")
        words = ("reconstruct", there.ini, "--method", "backprojection", "--quiet")
        status, printed = recon3d(*words, processes=processes)
        assert status == 0, printed
        grains.append(Grain.load(there.folder / "grain.h5"))
        assert not list(there.folder.glob(".*"))
    assert differences(*grains) < 1e-4
    assert np.array_equal(grains[0].completeness, grains[1].completeness)


@pytest.mark.usefixtures("mpi")
def test_getdata_gives_the_same_bytes(on_disk, recon3d, tmp_path):
    for processes in (1, 2):
        words = ("getdata", on_disk.frames, "topotomo_", "-", "-", "24,24", "48,48", tmp_path)
        origin = (on_disk.phi0_deg, on_disk.chi0_deg)
        status, printed = recon3d(
            *words, f"of_{processes}", *origin, 0.032, 7, 6, 12, processes=processes
        )
        assert status == 0, printed
        assert printed.count("written: ") == 1
    one, two = (tmp_path / "of_1", tmp_path / "of_2")
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert "dataarray_final.npy" in names
    for name in names:
        if name.endswith(".npy"):
            assert (one / name).read_bytes() == (two / name).read_bytes(), name
    with h5py.File(one / "scan.h5") as first, h5py.File(two / "scan.h5") as second:
        for name in ("frames", "summed", "integrated"):
            data = f"entry/data/{name}"
            assert np.array_equal(first[data][()], second[data][()])


@pytest.mark.usefixtures("mpi")
def test_a_mistake_is_told_once_and_ends_all(on_disk, recon3d, tmp_path):
    there = on_disk.copied_to(tmp_path / "there")
    (there.folder / "scan.h5").write_bytes(b"damaged")
    status, printed = recon3d("reconstruct", there.ini, processes=2)
    assert status == 1
    assert printed.count("recon3d reconstruct: error:") == 1
    status, printed = recon3d("reconstruct", processes=2)
    assert status == 2
    assert printed.count("INIFILE") == 1


def wait_for_the_end_of(word):
    """Wait until no process has a word in its command: those of a launcher end after it."""
    import psutil

    while any(word in (p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])):
        time.sleep(0.05)


def killed_while_it_runs(recon3d, checkpoint, *words, processes):
    """Kill a run, as `kill -9` does, soon after it has saved its state."""
    process = recon3d.start(*words, processes=processes)
    deadline = time.monotonic() + 120
    while not checkpoint.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate(timeout=60)
    return process.returncode


@pytest.mark.parametrize(("killed", "then"), [(1, 1), (2, 3)])
def test_processes_go_on_after_a_kill_and_agree_with_one(
    on_disk, alone, recon3d, tmp_path, killed, then, request, monkeypatch
):
    if killed > 1:
        request.getfixturevalue("mpi")
    there = on_disk.copied_to(tmp_path / "there")
    checkpoint = there.folder / "checkpoint.h5"
    words = ("reconstruct", there.ini, "--checkpoint", "0.02")
    status = killed_while_it_runs(recon3d, checkpoint, *words, processes=killed)
    assert status != 0
    assert checkpoint.exists()
    assert not (there.folder / "grain.h5").exists()
    wait_for_the_end_of(str(there.ini))
    # MPICH then takes every second process for one on another machine.
    monkeypatch.setenv("MPIR_CVAR_ODD_EVEN_CLIQUES", "1")
    status, printed = recon3d("reconstruct", there.ini, "--resume", processes=then)
    assert status == 0, printed
    assert "resumed: pass" in printed
    same(Grain.load(there.folder / "grain.h5"), alone)
    assert printed.count("written: ") == 4
    assert not checkpoint.exists()
