"""The client's side of a parallel job: give it to the engines, and watch it until it ends."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from ipyparallel import Client
from ipyparallel.error import EngineError, RemoteError

from recon3d import __version__
from recon3d.errors import EngineFault, ParameterError, Recon3DError, warn
from recon3d.parallel.work import (
    MACHINE,
    READING,
    EngineInfo,
    Job,
    Outcome,
    describe_engine,
    work_together,
)

logger = logging.getLogger(__name__)

News = dict[str, Any]
Watcher = Callable[[list[News]], None]

POLL_S = 0.2
ANSWER_S = 60.0
"""How long an engine may take to say who it is."""

ALIKE_S = 15.0
"""How long engines may go on after one of them failed, before they are taken to wait for it."""

SILENT_S = 900.0
"""How long no engine may have anything new to tell, before one of them is taken to hang."""

STOP_S = 300.0
"""How long engines may take to reach a place where all can stop."""


class OneEngineFailed(Exception):
    """An engine failed and the others wait for it: they can do nothing more."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def check_engines(client: Client, paths: Sequence[Path]) -> list[int]:
    """The engines of a client by rank; a ParameterError if they cannot work together on files."""
    found = describe_engines(client, paths)
    if not found:
        raise ParameterError(
            "the client has no engines: start them with recon3d.Cluster(n), or wait for them with "
            "wait_for_engines(n)"
        )
    infos = list(found.values())
    if any(info.size == 0 for info in infos):
        raise ParameterError(
            "the engines have no mpi4py: pip install 'recon3d[mpi]' into their environment"
        )
    if not in_one_world(infos):
        raise ParameterError(
            f"the {len(infos)} engines are not in one MPI world (the first sees {infos[0].size} "
            "of them): start them with MPI, as recon3d.Cluster(n) or ipyparallel's engines='mpi' do"
        )
    for info in infos:
        if info.version != __version__:
            raise ParameterError(
                f"the engine on {info.host} has recon3d {info.version}, this is {__version__}: "
                "use one environment for both"
            )
        if info.unseen:
            raise ParameterError(
                f"the engine on {info.host} does not see {info.unseen}: put it on a disk that "
                "all share"
            )
    return list(found)


def describe_engines(
    client: Client, paths: Sequence[Path] = (), within_s: float = ANSWER_S
) -> dict[int, EngineInfo]:
    """What each engine says of itself, by its number, in the order of ranks.

    An EngineFault says that one died meanwhile, a ParameterError that one does not answer.
    """
    texts = [str(path) for path in paths]
    pending = {number: _asked(client, number, describe_engine, texts) for number in client.ids}
    deadline = time.monotonic() + within_s
    infos = {}
    for number, one in pending.items():
        if not one.wait(max(deadline - time.monotonic(), 0.1)):
            raise ParameterError(
                f"engine {number} does not answer for {within_s:.0f} s: is it busy with something "
                "else? wait until it is done, or start the engines again"
            )
        infos[number] = _answer(one)
    return dict(sorted(infos.items(), key=lambda item: item[1].rank))


def in_one_world(infos: Sequence[EngineInfo]) -> bool:
    """Whether engines, in the order of ranks, are all there are of one MPI world."""
    count = len(infos)
    ranks = [info.rank for info in infos]
    return ranks == list(range(count)) and all(info.size == count for info in infos)


def run_once(
    client: Client,
    engines: Sequence[int],
    job: Job,
    watch: Watcher,
) -> list[Outcome]:
    """Give a job to all engines, numbers by rank, and wait, telling a watcher what they publish.

    The first one passes the job's arguments on. An EngineFault where one died or all are silent for
    too long, OneEngineFailed where the others wait for it; else what the job failed with.
    """
    given = [job.keywords] + [None] * (len(engines) - 1)
    pending = [
        _asked(client, number, work_together, job.func, one)
        for number, one in zip(engines, given, strict=True)
    ]
    try:
        _wait(pending, watch)
    except KeyboardInterrupt:
        logger.info("interrupting the engines, which stop where all of them meet")
        client.send_signal(signal.SIGINT, block=False)
        deadline = time.monotonic() + STOP_S
        while not all(one.ready() for one in pending) and time.monotonic() < deadline:
            time.sleep(POLL_S)
        raise
    outcomes: list[Outcome] = [_answer(one) for one in pending]
    for text in (text for outcome in outcomes for text in outcome.warnings):
        warn(text)
    if failed := [outcome for outcome in outcomes if outcome.error is not None]:
        raise _failure(failed)
    return outcomes


def _wait(pending: list[Any], watch: Watcher) -> None:
    """Wait until all engines are done, or until one failed and the others hang on it."""
    failed_at: float | None = None
    latest, heard_at = list[News](), time.monotonic()
    while True:
        time.sleep(POLL_S)
        ended = all(one.ready() for one in pending)
        now, news = time.monotonic(), [one.metadata["data"] or {} for one in pending]
        watch(news)
        if ended:
            return
        if news != latest:
            latest, heard_at = [dict(one) for one in news], now
        if failed_at is None and any(_failed(one) for one in pending):
            failed_at = now
        if failed_at is not None and now - failed_at > ALIKE_S:
            _raise_one_failed([_answer(one) for one in pending if _failed(one)])
        if now - heard_at > SILENT_S:
            raise EngineFault(
                f"no engine has come any farther for {SILENT_S / 60:.0f} minutes: one of them "
                "hangs, or its disk does not answer"
            )


def _failed(one: Any) -> bool:
    return one.ready() and (not one.successful() or one.get().error is not None)


def _asked(client: Client, number: int, function: Callable[..., Any], *words: Any) -> Any:
    """Let an engine do something; it may have died a moment ago."""
    try:
        return client[number].apply_async(function, *words)
    except IndexError as error:
        raise EngineFault(f"engine {number} is gone") from error


def _answer(one: Any) -> Any:
    """The answer of an engine; one that died raises another error than one that failed."""
    try:
        return one.get()
    except EngineError as error:
        raise EngineFault(f"an engine died: {error}") from error
    except RemoteError as error:
        if error.ename == "EngineError":
            raise EngineFault(f"an engine died: {error.evalue}") from error
        raise Recon3DError(
            f"an engine cannot run recon3d ({error.ename}: {error.evalue}): is it installed there?"
        ) from error


def _raise_one_failed(failed: Sequence[Outcome]) -> NoReturn:
    """Say what went wrong on some engines, for which the others wait."""
    error = _failure(failed)
    if isinstance(error, EngineFault):
        raise error
    if any(outcome.fault == READING for outcome in failed):
        raise EngineFault(f"one engine failed alone: {error}") from error
    raise OneEngineFailed(error)


def _failure(failed: Sequence[Outcome]) -> BaseException:
    """What went wrong on engines: a plain error rather than an interrupt if both are."""
    first = min(failed, key=lambda outcome: isinstance(outcome.error, KeyboardInterrupt))
    error = first.error
    assert error is not None
    if not isinstance(error, Recon3DError | KeyboardInterrupt):
        error.add_note(first.trace)
    if first.fault == MACHINE:
        fault = EngineFault(f"an engine failed ({type(error).__name__}: {error})")
        fault.__cause__ = error
        return fault
    return error
