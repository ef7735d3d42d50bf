"""The engines' side of a parallel job: one job, done together as members of an MPI world."""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from recon3d import __version__
from recon3d.errors import DataError, Recon3DWarning
from recon3d.parallel.thread_policy import thread_count
from recon3d.runtime.progress import Stage, told_to

if TYPE_CHECKING:
    from recon3d.parallel.mpi import MpiCommunicator

Job = partial[None]
"""What every engine does: a function of a module, called with its communicator, its publisher and
the keyword arguments that are given here."""

PUBLISH_EVERY_S = 0.25


@dataclass(frozen=True)
class EngineInfo:
    """What an engine says of itself."""

    rank: int  # its number in its MPI world
    size: int  # how many are in there; 0 without mpi4py
    host: str
    pid: int
    memory_gib: float
    threads: int
    version: str  # of recon3d; "" where it is not installed there
    unseen: str  # the first file or folder that was asked for and is not found there; "" for none
    used_gib: float = 0.0  # memory that it takes itself


def describe_engine(paths: Sequence[str] = ()) -> EngineInfo:
    """Tell the driver who this engine is, and which of some files it does not see."""
    try:
        from mpi4py import MPI

        rank, size = MPI.COMM_WORLD.Get_rank(), MPI.COMM_WORLD.Get_size()
    except (ImportError, RuntimeError):
        rank, size = 0, 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    host = os.uname().nodename
    unseen = next((path for path in paths if not Path(path).exists()), "")
    threads, used = thread_count(), used_gib()
    return EngineInfo(rank, size, host, os.getpid(), memory, threads, __version__, unseen, used)


def used_gib() -> float:
    """Memory that this engine takes now."""
    import psutil

    return psutil.Process().memory_info().rss / 2**30


READING, MACHINE = "reading", "machine"
"""Faults that may not come again: data could not be read (one alone: of its disk), or memory, disk
or network failed."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended on one engine."""

    error: BaseException | None = None  # None where nothing went wrong
    fault: str = ""  # READING or MACHINE; else it would come again
    trace: str = ""  # where it went wrong
    warnings: tuple[str, ...] = ()  # what the user is to be warned of


def work_together(work: Callable[..., None], given: dict[str, Any] | None) -> Outcome:
    """Do a job, a function and what the first engine gives it, as a member of the MPI world.

    An interrupt is noted by every engine, and obeyed where all of them meet.
    """
    from mpi4py import MPI

    from recon3d.parallel.mpi import MpiCommunicator

    world = MPI.COMM_WORLD.Dup()
    with _noted_interrupts() as interrupts, warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", Recon3DWarning)
        communicator = MpiCommunicator(world, lambda: bool(interrupts))
        publisher = Publisher(communicator)
        error: BaseException | None = None
        trace = ""
        try:
            with told_to(publisher):
                work(communicator, publisher, **(communicator.agree(given) or {}))
            communicator.free()
        except (Exception, KeyboardInterrupt) as caught:
            error, trace = caught, traceback.format_exc()
    texts = tuple(str(w.message) for w in told if issubclass(w.category, Recon3DWarning))
    told_once = texts if communicator.rank == 0 else ()
    return Outcome(_portable(error), fault_of(error), trace, told_once)


def fault_of(error: BaseException | None) -> str:
    """Tell the faults of a machine from those that would come again, which are ""."""
    from mpi4py import MPI

    if isinstance(error, OSError | MemoryError | MPI.Exception):
        return MACHINE
    by_system = isinstance(error, DataError) and isinstance(error.__cause__, OSError)
    return READING if by_system else ""


def _portable(error: BaseException | None) -> BaseException | None:
    """The same error without its frames, or one with its text where it cannot be sent."""
    if error is None:
        return None
    if type(error).__module__.partition(".")[0] not in ("builtins", "recon3d"):
        # A class of another package may not be there, or not be made, where it is sent.
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error.with_traceback(None)


@dataclass
class Publisher:
    """Tells the driver, a few times a second, how far this engine is and how busy."""

    communicator: MpiCommunicator
    _since: float = field(default_factory=time.perf_counter)
    _waited: float = 0.0

    def __call__(self, stage: Stage) -> None:
        """Note how far a stage is: the driver receives the sum over all engines."""
        now = time.perf_counter()
        if stage.done and now - self._since < PUBLISH_EVERY_S:
            return
        elapsed, waited = now - self._since, self.communicator.waited_s - self._waited
        load = 1 - min(waited / elapsed, 1) if elapsed > 0 else 1.0
        self._since, self._waited = now, self.communicator.waited_s
        total = stage.total and stage.total * self.communicator.size
        self.publish(
            stage=Stage(stage.description, stage.unit, stage.done * self.communicator.size, total),
            load=load,
            rank=self.communicator.rank,
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
