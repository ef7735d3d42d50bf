"""What engines do for a driver: one job, together, as the members of their MPI world."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recon3d import __version__
from recon3d.errors import Recon3DWarning
from recon3d.experiment import Experiment
from recon3d.progress import Stage, told_to

if TYPE_CHECKING:
    from recon3d.parallel.mpi import MpiTeam

PUBLISH_EVERY_S = 0.25


@dataclass(frozen=True)
class Sight:
    """What an engine says of itself.

    Parameters
    ----------
    rank, size
        Its number in its MPI world, and how many are in there; size 0 without mpi4py.
    host, pid, memory_gib, threads
        Where it runs, and what it has there.
    version
        Of recon3d; "" where it is not installed there.
    sees
        Whether it finds a file that was asked for.
    used_gib
        Memory that it takes itself.
    """

    rank: int
    size: int
    host: str
    pid: int
    memory_gib: float
    threads: int
    version: str
    sees: bool
    used_gib: float = 0.0


def look(path: str | None = None) -> Sight:
    """Tell the driver who this engine is, and whether it sees a file."""
    from recon3d.parallel.launch import use_threads

    try:
        from mpi4py import MPI

        rank, size = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    except (ImportError, RuntimeError):
        rank, size = 0, 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    host = os.uname().nodename
    sees = path is None or Path(path).is_file()
    threads, used = use_threads(), used_gib()
    return Sight(rank, size, host, os.getpid(), memory, threads, __version__, sees, used)


def used_gib() -> float:
    """Memory that this engine takes now."""
    import psutil

    return psutil.Process().memory_info().rss / 2**30


@dataclass(frozen=True)
class Job:
    """A reconstruction that engines are to make.

    Parameters
    ----------
    store
        The cleaned scan, which every engine sees.
    experiment
        Crystal, detector, volume and settings.
    memory_gib
        What the distributions may take on every engine.
    grain
        Where the first engine writes the grain.
    checkpoint, seconds, resume
        Where the state is saved, how often, and whether to go on from it.
    preview
        Where the first engine writes the occupancy after every pass; None for nowhere.
    """

    store: Path
    experiment: Experiment
    memory_gib: float
    grain: Path
    checkpoint: Path
    seconds: float
    resume: bool
    preview: Path | None


@dataclass(frozen=True)
class Outcome:
    """How a job ended on one engine.

    Parameters
    ----------
    error
        What went wrong; None where nothing did.
    trace
        Where it went wrong.
    warnings
        What the user is to be warned of.
    sent_bytes, waited_s
        What the engine sent to others, and how long it waited for them.
    """

    error: BaseException | None = None
    trace: str = ""
    warnings: tuple[str, ...] = ()
    sent_bytes: int = 0
    waited_s: float = 0.0


def work_together(work: Callable[[Any, MpiTeam, Publisher], None], job: Any) -> Outcome:
    """Do a job as a member of the MPI world of all engines.

    An interrupt is noted by every engine, and obeyed where all of them meet.
    """
    from mpi4py import MPI

    from recon3d.parallel.mpi import MpiTeam

    with _noted_interrupts() as interrupts, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Recon3DWarning)
        team = MpiTeam(MPI.COMM_WORLD, lambda: bool(interrupts))
        publisher = Publisher(team)
        error: BaseException | None = None
        trace = ""
        try:
            with told_to(publisher):
                work(job, team, publisher)
        except (Exception, KeyboardInterrupt) as caught:
            error, trace = caught.with_traceback(None), traceback.format_exc()
    texts = tuple(str(w.message) for w in told if issubclass(w.category, Recon3DWarning))
    return Outcome(error, trace, texts if team.rank == 0 else (), team.sent_bytes, team.waited_s)


def reconstruct_together(job: Job, team: MpiTeam, publisher: Publisher) -> None:
    """Reconstruct a grain; the first engine writes it."""
    from recon3d.io.store import open_store
    from recon3d.reconstruction.checkpoint import Checkpoints
    from recon3d.reconstruction.run import reconstruct

    # The driver looks now and then, and sees what was published last: so all of it is in there.
    passed: list[tuple[str, int, float]] = []

    def report(
        stage: str, number: int, residual: float, occupancy: NDArray[np.float32] | None
    ) -> None:
        if job.preview is not None and occupancy is not None:
            _save(job.preview, occupancy)
        passed.append((stage, number, residual))
        publisher.publish(passed=passed)

    grain = reconstruct(
        open_store(job.store),
        job.experiment,
        memory_gib=job.memory_gib,
        report=report,
        checkpoints=Checkpoints(job.checkpoint, job.seconds, job.resume),
        team=team,
    )
    if team.rank == 0:
        grain.save(job.grain)


def _save(path: Path, array: NDArray[Any]) -> None:
    from recon3d.io.atomic import complete_or_absent

    with complete_or_absent(path) as temporary:
        np.save(temporary, array)


@dataclass
class Publisher:
    """Tells the driver, a few times a second, how far this engine is and how busy.

    Parameters
    ----------
    team
        Counts the time spent waiting for others.
    """

    team: MpiTeam
    _since: float = field(default_factory=time.perf_counter)
    _waited: float = 0.0

    def __call__(self, stage: Stage) -> None:
        """Note how far a stage is: the driver is told of all engines' shares together."""
        now = time.perf_counter()
        if stage.done and now - self._since < PUBLISH_EVERY_S:
            return
        elapsed, waited = now - self._since, self.team.waited_s - self._waited
        load = 1 - min(waited / elapsed, 1) if elapsed > 0 else 1.0
        self._since, self._waited = now, self.team.waited_s
        total = stage.total and stage.total * self.team.size
        self.publish(
            stage=Stage(stage.description, stage.unit, stage.done * self.team.size, total),
            load=load,
            rank=self.team.rank,
            used_gib=used_gib(),
        )

    def publish(self, **news: Any) -> None:
        """Send some news to the driver, by name."""
        from ipyparallel.datapub import publish_data

        publish_data(news)


@contextmanager
def _noted_interrupts() -> Iterator[list[int]]:
    """Note interrupts rather than raise them: an engine that stops alone leaves the rest stuck."""
    noted: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        noted.append(number)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)
        sys.stdout.flush()
