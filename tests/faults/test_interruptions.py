"""Kills, interrupts, full disks and little memory: outputs are whole or absent."""

from __future__ import annotations

import errno
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from fault_scans import getdata, set_ini

from recon3d.cli.main import main
from recon3d.errors import OutputError
from recon3d.files import numpy_arrays as sparse_npy
from recon3d.files.grain import Grain
from recon3d.files.hdf5 import _Disk
from recon3d.files.store import open_store
from recon3d.runtime.atomic import complete_or_absent

KILLS = int(os.environ.get("RECON3D_KILLS", "3"))
"""How many times each command is killed; set higher for a thorough run."""

WAITING = """
import sys, time
from recon3d.cleaning import sharing
from recon3d.cli.main import main

projections, work = [], sharing.work_on_projection

def work_on_one(*arguments, **options):
    projections.append(1)
    if len(projections) > 1:
        print("waiting", flush=True)
        while True:
            time.sleep(0.01)
    return work(*arguments, **options)

sharing.work_on_projection = work_on_one
raise SystemExit(main(sys.argv[1:]))
"""
"""The command line, which never gets past the second projection."""


LOADING = """
import os, signal, sys
import recon3d.__main__ as program

class Interrupted:
    def find_spec(self, name, *_):
        if name == "recon3d.cli.main":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
status = program.main()
os.kill(os.getpid(), signal.SIGINT)
raise SystemExit(status)
"""
"""The program, interrupted while it loads, and again when its command has ended."""


def test_an_interrupt_before_and_after_the_command_shows_no_traceback():
    words = [sys.executable, "-c", LOADING]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "recon3d: interrupted\n")


def start(words: list[str], **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "recon3d", *words]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, **options)


def wait_for_temporary(folder: Path, process: subprocess.Popen) -> None:
    """Wait until a file is being written."""
    end = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < end:
        if folder.is_dir() and any(".part" in path.name for path in folder.iterdir()):
            return
        time.sleep(0.002)


def whole(folder: Path) -> None:
    """Every file under a final name can be read to its end."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if path.name == "scan.h5":
            store = open_store(path)
            for k in range(store.shape[0]):
                store.read_projection(k)
        elif path.name == "grain.h5":
            Grain.load(path)
        elif path.suffix == ".npy":
            assert np.load(path, allow_pickle=False).size


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_getdata_leaves_nothing_half_done(fresh, tmp_path, seed):
    words = getdata(fresh("edf"), "--arrays", "all")
    process = start(words)
    wait_for_temporary(tmp_path / "out", process)
    time.sleep(random.Random(seed).uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    whole(tmp_path / "out")
    assert main(words) == 0
    whole(tmp_path / "out")
    left = [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")]
    assert left == []


@pytest.mark.parametrize("seed", range(KILLS))
def test_a_killed_reconstruct_leaves_nothing_half_done(fresh, seed):
    scan = fresh("cleaned")
    words = ["reconstruct", str(scan / "experiment.ini"), "--quiet"]
    before = (scan / "out" / "grain.h5").read_bytes()
    process = start(words)
    time.sleep(random.Random(seed).uniform(0.5, 4))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    whole(scan / "out")
    assert (scan / "out" / "grain.h5").stat().st_size >= 0.9 * len(before)
    assert main(words) == 0
    whole(scan / "out")
    assert not [path for path in (scan / "out").iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_signals_end_with_one_line_and_no_partial_file(fresh, tmp_path, number, status, word):
    command = [sys.executable, "-c", WAITING, *getdata(fresh("edf"))]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"waiting\n"
    assert any(".part" in path.name for path in (tmp_path / "out").iterdir())
    process.send_signal(number)
    _, message = process.communicate(timeout=60)
    assert process.returncode == status, message.decode()
    lines = message.decode().strip().splitlines()
    assert len(lines) == 1
    assert word in lines[0]
    assert list((tmp_path / "out").iterdir()) == []


def test_output_that_nobody_reads():
    process = start(["--help"])
    process.stdout.close()
    message = process.stderr.read().decode()
    process.wait(timeout=60)
    assert "Traceback" not in message


def test_leftovers_of_dead_processes_are_removed_and_those_of_live_ones_kept(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    with complete_or_absent(tmp_path / "scan.h5") as temporary:
        own = str(os.getpid())
        old, other = (
            temporary.with_name(temporary.name.replace(own, str(pid))) for pid in (dead.pid, 1)
        )
        elsewhere = temporary.with_name(f".scan.other-computer.{dead.pid}.part.h5")
        for path in (old, other, elsewhere):
            path.write_text("half")
        temporary.write_text("whole")
    with complete_or_absent(tmp_path / "scan.h5") as temporary:
        temporary.write_text("anew")
    assert {path.name for path in tmp_path.iterdir()} == {"scan.h5", other.name, elsewhere.name}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of two MB."""
    place = tmp_path / "disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]
    if os.geteuid() or not shutil.which("mount") or subprocess.run(command, check=False).returncode:
        pytest.skip("a small file system can be mounted by root only: run the tests as root")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("free_kb", [0, 900, 1030, 1080, 1150, 1300])
def test_a_full_disk(fresh, small_disk, capfd, free_kb):
    # What HDF5 keeps free is part of what is left.
    (small_disk / "taken").write_bytes(bytes((2048 - free_kb) * 1024))
    words = getdata(fresh("edf"), outputpath=str(small_disk), outputdirname="out")
    assert main([*words, "--arrays", "all"]) == 1
    message = capfd.readouterr().err
    assert "the disk is full" in message, message
    assert len(message.strip().splitlines()) == 1
    whole(small_disk / "out")
    assert not list(small_disk.rglob("*.part*"))


def test_a_grain_on_a_full_disk(fresh, small_disk, capfd):
    scan = fresh("cleaned")
    place = small_disk / "out"
    place.mkdir()
    shutil.copy(scan / "out" / "scan.h5", place)
    free = shutil.disk_usage(small_disk).free
    (small_disk / "taken").write_bytes(bytes(free - 8192))
    ini = set_ini(scan / "experiment.ini", path=str(place))
    assert main(["reconstruct", str(ini), "--quiet"]) == 1
    assert "the disk is full" in capfd.readouterr().err
    assert {path.name for path in place.iterdir()} == {"scan.h5"}


class FailingFile:
    """A file whose writes fail after some bytes."""

    def __init__(self, file, room: int, number: int) -> None:
        self._file, self._room, self._number = file, room, number

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        self._file.close()

    def write(self, data) -> int:
        self._room -= len(memoryview(data).cast("B"))
        if self._room < 0:
            raise OSError(self._number, os.strerror(self._number))
        return self._file.write(data)


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS])
@pytest.mark.parametrize("room", [0, 200, 30_000])
def test_writes_that_fail(fresh, tmp_path, capfd, monkeypatch, number, room):
    opened = Path.open

    def failing(path, mode="r", *rest, **options):
        file = opened(path, mode, *rest, **options)
        return FailingFile(file, room, number) if "dataarray" in path.name else file

    monkeypatch.setattr(sparse_npy.Path, "open", failing)
    assert main(getdata(fresh("edf"))) == 1
    message = capfd.readouterr().err
    assert "dataarray_final.npy cannot be written" in message
    assert not list((tmp_path / "out").glob("*.npy"))
    assert not list((tmp_path / "out").glob(".*"))


@pytest.mark.parametrize("number", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("writes", [0, 1, 3, 10, 30])
def test_hdf5_files_whose_writes_fail(fresh, tmp_path, capfd, monkeypatch, number, writes):
    # From some write on the disk fails for good: HDF5 is not to notice, but the user is.
    count = iter(range(10**6))

    def failing(self, piece, put=_Disk.put):
        if next(count) >= writes:
            raise OSError(number, os.strerror(number))
        return put(self, piece)

    monkeypatch.setattr(_Disk, "put", failing)
    scan = fresh("cleaned")
    assert main(getdata(fresh("edf"))) == 1
    told = capfd.readouterr().err
    words = ["reconstruct", str(scan / "experiment.ini"), "--quiet", "--checkpoint", "0"]
    count = iter(range(10**6))
    former = (scan / "out" / "grain.h5").read_bytes()
    assert main(words) == 1
    for message, name in ((told, "scan.h5"), (capfd.readouterr().err, "grain.h5")):
        assert f"{name} cannot be written: the " in message, message
        # So small a scan raises doubts, too.
        errors = [line for line in message.strip().splitlines() if ": warning: " not in line]
        assert len(errors) == 1, message
    assert not list((tmp_path / "out").iterdir())
    assert (scan / "out" / "grain.h5").read_bytes() == former
    assert not list((scan / "out").glob(".*"))


def test_a_state_that_cannot_be_saved_does_not_end_the_run(fresh, capfd, monkeypatch):
    scan = fresh("cleaned")

    def failing(self, piece, put=_Disk.put):
        if "checkpoint" in str(self.name):
            raise OSError(errno.ENOSPC, "full")
        return put(self, piece)

    monkeypatch.setattr(_Disk, "put", failing)
    ini = set_ini(scan / "experiment.ini", method="iterative", iterations="2")
    assert main(["reconstruct", str(ini), "--quiet", "--checkpoint", "1e-9"]) == 0
    told = [line for line in capfd.readouterr().err.splitlines() if "--resume" in line]
    assert len(told) == 1
    assert "checkpoint.h5 cannot be written: the disk is full" in told[0]


def test_an_array_on_a_full_disk(small_disk):
    full = pytest.raises(OutputError, match=r"a\.npy cannot be written: the disk is full")
    with full, complete_or_absent(small_disk / "a.npy") as temporary:
        np.save(temporary, np.ones(3 << 17))
    assert not list(small_disk.iterdir())


@pytest.mark.parametrize("megabytes", [300, 700, 1100, 1500])
def test_little_memory(fresh, tmp_path, megabytes):
    limit = megabytes << 20

    def restrict() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    settings = {"OPENBLAS_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    process = start(getdata(fresh("edf")), preexec_fn=restrict, env=os.environ | settings)
    _, message = process.communicate(timeout=120)
    whole(tmp_path / "out")
    if process.returncode == 0:
        assert (tmp_path / "out" / "scan.h5").exists()
    elif process.returncode == 1:
        assert not list(tmp_path.rglob("*.part*")), message.decode()


def test_too_large_a_volume_is_told_before_memory_runs_out(fresh, capfd, monkeypatch):
    monkeypatch.setattr("recon3d.files.hdf5.require_room", lambda *_: None)  # on any disk
    ini = set_ini(fresh("cleaned") / "experiment.ini", grain_steps="[1200, 1200, 1200]")
    assert main(["reconstruct", str(ini), "--quiet"]) == 1
    message = capfd.readouterr().err
    assert "GiB" in message
    assert len(message.splitlines()) == 1


def test_memory_that_runs_out_is_told(fresh, capfd, monkeypatch):
    def fail(*_, **__):
        raise MemoryError("Unable to allocate 7. EiB for an array")

    monkeypatch.setattr("recon3d.cleaning.sharing.work_on_projection", fail)
    assert main(getdata(fresh("edf"))) == 1
    assert "not enough memory (Unable to allocate 7. EiB" in capfd.readouterr().err


def test_memory_that_runs_out_in_a_compiled_loop_is_told(fresh, capfd, monkeypatch):
    def fail(*_, **__):
        try:
            raise MemoryError("Allocation failed (probably too large).")
        except MemoryError as error:
            raise SystemError("CPUDispatcher returned a result with an exception set") from error

    monkeypatch.setattr("recon3d.cleaning.sharing.work_on_projection", fail)
    assert main(getdata(fresh("edf"))) == 1
    assert "recon3d getdata: error: not enough memory (" in capfd.readouterr().err


def test_a_signal_that_a_library_tells_as_its_own_fault_is_told_as_a_signal(
    fresh, capfd, monkeypatch
):
    def fail(*_, **__):
        # As where it comes in a callback: nothing leads from one error to the other any more.
        try:
            os.kill(os.getpid(), signal.SIGINT)
            while True:  # until it comes
                time.sleep(0.01)
        except KeyboardInterrupt:
            pass
        lost = SystemError("seek returned a result with an exception set")
        lost.__cause__ = SystemError("the same")
        lost.__cause__.__cause__ = lost
        raise lost

    monkeypatch.setattr("recon3d.cleaning.sharing.work_on_projection", fail)
    assert main(getdata(fresh("edf"))) == 130
    assert capfd.readouterr().err.splitlines()[-1].startswith("recon3d getdata: interrupted")


def test_twice_the_same_is_bit_for_bit_the_same(fresh, tmp_path):
    scan = fresh("edf")
    arrays = []
    for name in ("first", "second"):
        assert main(getdata(scan, outputdirname=name)) == 0
        ini = set_ini(scan / "experiment.ini", path=str(tmp_path / name), handedness="1")
        words = ["reconstruct", str(ini), "--quiet", "--method", "backprojection"]
        assert main(words) == 0
        with h5py.File(tmp_path / name / "scan.h5", "r") as file:
            frames = file["entry/data/frames"][()]
        grain = Grain.load(tmp_path / name / "grain.h5")
        arrays.append([frames, grain.occupancy, grain.orientation, grain.completeness])
    for first, second in zip(*arrays, strict=True):
        assert first.tobytes() == second.tobytes()
