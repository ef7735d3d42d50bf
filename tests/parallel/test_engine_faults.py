"""Engines that fail, hang, or are gone: what is tried again, and what is told."""

from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from faulty_work import fails_on_all, fails_on_one
from restarting import run

from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.parallel import driver
from recon3d.parallel.work import MACHINE, READING, fault_of


@pytest.mark.usefixtures("mpi")
class TestRealEngines:
    def test_what_fails_everywhere_is_told_at_once(self, cluster):
        with pytest.raises(DataError, match="the same everywhere"):
            run(cluster.client, fails_on_all)

    def test_a_lone_fault_of_a_machine_is_tried_again(self, cluster, monkeypatch):
        monkeypatch.setattr(driver, "ALIKE_S", 1.0)
        job = OSError(5, "Input/output error", "scan.h5")
        with pytest.warns(Recon3DWarning, match=r"Input/output error.*started again"):
            run(cluster.client, fails_on_one, job)

    def test_a_lone_mistake_is_told_and_engines_work_again(self, cluster, monkeypatch):
        monkeypatch.setattr(driver, "ALIKE_S", 1.0)
        with pytest.raises(DataError, match="only here"):
            run(cluster.client, fails_on_one, DataError("only here"))
        run(cluster.client, fails_on_one)


class Tries:
    """Stands in for what goes wrong on engines: one error after another, None for success."""

    def __init__(self, monkeypatch, *errors):
        self.errors, self.jobs, self.starts = list(errors), [], 0
        monkeypatch.setattr(driver, "check_engines", lambda *_: [0])
        monkeypatch.setattr(driver, "run_once", self.run)
        monkeypatch.setattr(driver, "restart", self.restart)

    def run(self, _client, _crew, job, _watch):
        self.jobs.append(job)
        if error := self.errors.pop(0):
            raise error

    def restart(self, _client):
        self.starts += 1


CLIENT = SimpleNamespace(ids=[0], cluster=None)
DIED = driver.EngineFault("an engine died")


def test_faults_may_go_on_while_there_is_progress(monkeypatch):
    tries = Tries(monkeypatch, DIED, DIED, DIED, None)
    farther = iter([(0, 0), (1, 0), (1, 3)])
    with pytest.warns(Recon3DWarning, match="started again"):
        run(CLIENT, print, "first", again="again", progress=lambda: next(farther))
    jobs = [job.keywords["job"] for job in tries.jobs]
    assert jobs == ["first", "again", "again", "again"]


def test_two_faults_without_progress_end_it_with_engines_that_work(monkeypatch):
    tries = Tries(monkeypatch, DIED, DIED)
    with (
        pytest.warns(Recon3DWarning, match="started again"),
        pytest.raises(driver.EngineFault, match=r"twice without any progress.*nothing is kept"),
    ):
        run(CLIENT, print)
    assert tries.starts == 2


def test_a_client_that_cannot_start_engines_is_told(monkeypatch):
    restart = driver.restart
    tries = Tries(monkeypatch, DIED)
    monkeypatch.setattr(driver, "restart", restart)
    with (
        pytest.warns(Recon3DWarning, match="an engine died"),
        pytest.raises(driver.EngineFault, match=r"does not know how.*nothing is kept"),
    ):
        run(CLIENT, print)
    assert len(tries.jobs) == 1


def test_the_watcher_is_left_after_every_try(monkeypatch):
    Tries(monkeypatch, DIED, None)
    left = []

    @contextmanager
    def watcher():
        try:
            yield print
        finally:
            left.append(1)

    with pytest.warns(Recon3DWarning):
        run(CLIENT, print, watcher=watcher)
    assert len(left) == 2


def caused_by(cause):
    error = DataError("scan.h5 cannot be read")
    error.__cause__ = cause
    return error


@pytest.mark.usefixtures("mpi")
@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (None, ""),
        (OSError(5, "Input/output error"), MACHINE),
        (MemoryError(), MACHINE),
        (caused_by(OSError()), READING),
        (caused_by(None), ""),
        (ParameterError("M is 0"), ""),
        (TypeError(), ""),
    ],
)
def test_faults_of_the_machine_are_told_from_mistakes(error, fault):
    assert fault_of(error) == fault
