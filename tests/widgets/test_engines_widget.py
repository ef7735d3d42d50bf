"""Engines that are started and stopped by the buttons of the reconstruction."""

import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from recon3d.parallel.work import EngineInfo
from recon3d.reconstruction.run import reconstruct
from recon3d.widgets import Engines, Reconstruct
from recon3d.widgets.engines import NONE, describe, missing_for_engines


@pytest.fixture(scope="module")
def engines(mpi):  # noqa: ARG001 (skips)
    """Two real engines, started once for all tests of this module."""
    widget = Engines(interval_s=0.2)
    widget.number.value, widget.threads.value = 2, 1
    widget.start()
    assert widget.stop_button.disabled is False
    widget.background.wait(until=lambda: " ready" in widget.status.value)
    yield widget
    widget.close()


@pytest.fixture
def reconstruction(engines, finished, tmp_path):
    return Reconstruct(finished.store, finished.experiment, folder=tmp_path, engines=engines)


def test_the_line_tells_engines_hosts_and_memory(engines):
    assert engines.value == 2
    line = engines.status.value
    assert "2 engines x 1 thread," in line
    assert f"{engines.cluster.sights()[0].memory_gib:.1f} GiB in use" in line
    assert engines.start_button.disabled


def test_the_engines_reconstruct_what_this_process_does(reconstruction, engines, finished):
    lines = []
    engines.status.observe(lambda change: lines.append(change["new"]), "value")
    reconstruction.done()
    alone = reconstruct(finished.store, reconstruction.value, show_progress=False)
    np.testing.assert_allclose(reconstruction.grain.occupancy, alone.occupancy, atol=1e-4)
    assert reconstruction._residuals == pytest.approx(list(alone.residual), abs=1e-4)
    assert any("2 engines at work" in line and "GiB in use" in line for line in lines)
    assert (reconstruction.folder / "grain.h5").is_file()


def test_engines_that_work_are_not_stopped_and_the_run_is(reconstruction, engines):
    reconstruction.iterations.value = 30
    reconstruction.start()
    reconstruction.background.wait(until=lambda: bool(reconstruction._residuals))
    reconstruction.engines.stop()
    assert "stop the reconstruction first" in engines.status.value
    reconstruction.stop()
    reconstruction.background.wait()
    assert reconstruction.grain is None
    assert not (reconstruction.folder / "grain.h5").exists()
    assert engines.value == 2


@pytest.mark.usefixtures("mpi")
def test_dead_engines_are_told():
    widget = Engines(interval_s=0.2)
    widget.number.value = 1
    widget.start()
    try:
        widget.background.wait(until=lambda: " ready" in widget.status.value)
        (info,) = widget.cluster.sights()
        subprocess.run(["kill", "-9", str(info.pid)], check=True)
        widget.background.wait()
        assert "the engines are gone" in widget.status.value
        widget.stop()
        widget.background.wait()
        assert widget.start_button.disabled is False
        assert NONE in widget.status.value
        assert not alive(info.pid)
    finally:
        widget.close()


SCRIPT = """
from recon3d.widgets import Engines
widget = Engines()
widget.number.value = 1
widget.start()
widget.wait()
print("process", *[info.pid for info in widget.cluster.sights()], flush=True)
"""


def alive(pid):
    """Whether a process is there and no zombie."""
    try:
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text("utf-8")
    except FileNotFoundError:
        return False


@pytest.mark.usefixtures("mpi")
def test_no_engine_outlives_the_process_that_started_it():
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120, check=True
    )
    # Libraries may print lines of their own.
    pid = int(ended.stdout.partition("process ")[2].split()[0])
    for _ in range(600):
        if not alive(pid):
            break
        time.sleep(0.1)
    assert not alive(pid)


def test_several_hosts_are_told_apart():
    infos = [EngineInfo(k, 3, "ab"[k // 2], k, 100.0, 2, "", True, 0.5) for k in range(3)]
    line = describe(infos)
    assert line.startswith("3 engines are ready; a: 2 engines x 2 threads, 1.00 of 100.0 GiB")
    assert "b: 1 engines" in line


def test_what_is_missing_is_named(monkeypatch, finished):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert "ipyparallel and mpi4py must be there: pip install" in missing_for_engines()
    widget = Reconstruct(finished.store, finished.experiment)
    assert "pip install" in widget.engines.status.value
    assert widget.engines.start_button.disabled
    assert widget.engines.stop_button.disabled
    assert not widget.start_button.disabled


def test_threads_are_shared_out(monkeypatch):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: range(12))
    widget = Engines()
    assert (widget.number.value, widget.threads.value) == (4, 3)
    widget.number.value = 6
    assert widget.threads.value == 2
    widget.number.value = 20
    assert widget.threads.value == 1


def test_news_of_engines_at_work_do_not_hide_why_they_are_not_stopped():
    engines = Engines()
    engines.work(True)
    engines.stop()
    engines.show_news([{"rank": 0, "load": 1.0, "used_gib": 0.1}])
    assert "stop the reconstruction first" in engines.status.value
