"""Real engines in one MPI world: the same answer, also when one of them is killed."""

import dataclasses
import os
import signal
import threading

import numpy as np
import pytest

import recon3d as r3
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.reconstruction import run

pytestmark = pytest.mark.usefixtures("mpi")


@pytest.fixture
def there(on_disk, tmp_path):
    """The scan in a folder of its own, and the experiment."""
    copied = on_disk.copied_to(tmp_path / "there")
    experiment = r3.Experiment.from_ini(copied.ini)
    return r3.open_store(copied.folder / "scan.h5"), experiment


@pytest.fixture(scope="module")
def alone(on_disk):
    store = r3.open_store(on_disk.folder / "scan.h5")
    experiment = r3.Experiment.from_ini(on_disk.ini)
    return run.reconstruct(store, experiment, show_progress=False)


def agree(first, second):
    return float(np.abs(first.occupancy - second.occupancy).max()) < 1e-4


def test_engines_give_the_answer_of_one_process(cluster, there, alone):
    store, experiment = there
    told = []
    grain = r3.reconstruct(
        store,
        experiment,
        client=cluster.client,
        show_progress=False,
        report=lambda stage, number, _, grown: told.append((stage, number, grown)),
    )
    assert agree(grain, alone)
    assert grain.provenance["rotation_center"] == pytest.approx(
        alone.provenance["rotation_center"], abs=1e-4
    )
    passes = {number: grown for stage, number, grown in told if stage == "iteration"}
    assert [*passes] == [0, 1, 2, 3, 4]  # 0: the stage begins
    assert all(passes[number].shape == (*grain.volume.shape, 3) for number in passes if number)
    assert sorted(path.name for path in store.path.parent.iterdir()) == [
        "experiment.ini",
        "scan.h5",
    ]


def test_info_names_the_engines(cluster):
    info = cluster.info()
    assert "engine 0 of 2" in info
    assert "engine 1 of 2" in info
    assert "1 threads" in info


def test_a_mistake_on_the_engines_is_told_as_it_is_here(cluster, there):
    store, experiment = there
    elsewhere = dataclasses.replace(
        experiment, volume=dataclasses.replace(experiment.volume, position_um=(0.0, 60.0, 0.0))
    )
    with pytest.raises(DataError, match="grain_pos"):
        r3.reconstruct(store, elsewhere, client=cluster.client, show_progress=False)


def test_a_file_that_engines_do_not_see_is_told(cluster, there):
    store, experiment = there
    moved = dataclasses.replace(store, path=store.path.with_name("gone.h5"))
    with pytest.raises(ParameterError, match="does not see"):
        r3.reconstruct(moved, experiment, client=cluster.client, show_progress=False)


class Killer:
    """Kills a process once the run has saved its state."""

    def __init__(self, pid, checkpoint):
        self.pid, self.checkpoint = pid, checkpoint
        self.ended, self.killed = threading.Event(), False
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()

    def watch(self):
        while not self.killed and not self.ended.wait(0.005):
            if self.checkpoint.exists():
                os.kill(self.pid, signal.SIGKILL)
                self.killed = True

    def stop(self):
        self.ended.set()
        self.thread.join()


def test_a_run_goes_on_after_an_engine_was_killed(cluster, there, alone):
    store, experiment = there
    experiment = experiment.with_settings(checkpoint_seconds=0.05)
    pid = cluster.client[1].apply_sync(os.getpid)
    killer = Killer(pid, store.path.with_name("checkpoint.h5"))
    try:
        with pytest.warns(Recon3DWarning, match="started again"):
            grain = r3.reconstruct(store, experiment, client=cluster.client, show_progress=False)
    finally:
        killer.stop()
    assert killer.killed
    assert agree(grain, alone)
    assert len(cluster.client.ids) == 2
    assert not list(store.path.parent.glob("checkpoint*"))


def test_an_interrupt_stops_the_engines_and_keeps_the_state(cluster, there):
    store, experiment = there
    experiment = experiment.with_settings(iterations=50, checkpoint_seconds=0.05)
    checkpoint = store.path.with_name("checkpoint.h5")
    ended = threading.Event()

    def interrupt():
        while not checkpoint.exists() and not ended.wait(0.01):
            pass
        if not ended.is_set():
            signal.raise_signal(signal.SIGINT)

    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            r3.reconstruct(store, experiment, client=cluster.client, show_progress=False)
    finally:
        ended.set()
        thread.join()
    assert checkpoint.exists()
    assert cluster.client[:].apply_sync(os.getpid)


def test_engines_that_are_alone_in_their_worlds_are_refused(there, monkeypatch):
    from recon3d.parallel import driver
    from recon3d.parallel.work import EngineInfo

    def sights(*changes):
        base = EngineInfo(0, 2, "host", 1, 1.0, 1, r3.__version__, "")
        return iter([dataclasses.replace(base, **change) for change in changes])

    class Silent:
        ids = (0, 1)

        def __getitem__(self, _):
            return self

        def apply_async(self, *_):
            return self

        def wait(self, _):
            return True

    cases = {
        "not in one MPI world": ({"size": 1}, {"size": 1}),
        "no mpi4py": ({"size": 0}, {"rank": 1}),
        "has recon3d 0.0.0": ({}, {"rank": 1, "version": "0.0.0"}),
    }
    for message, changes in cases.items():
        answers = sights(*changes)
        monkeypatch.setattr(driver, "_answer", lambda _, answers=answers: next(answers))
        with pytest.raises(ParameterError, match=message):
            driver.check_engines(Silent(), [there[0].path])
    Silent.ids = ()
    with pytest.raises(ParameterError, match="no engines"):
        driver.check_engines(Silent(), [there[0].path])
