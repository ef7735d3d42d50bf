"""The side of the user: a job given to ipyparallel engines, watched, and begun again."""

from __future__ import annotations

import logging
import signal
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipyparallel import Client
from ipyparallel.error import EngineError, RemoteError

from recon3d import __version__
from recon3d.errors import ParameterError, Recon3DError, Recon3DWarning
from recon3d.parallel.work import Outcome, Sight, look, work_together

logger = logging.getLogger(__name__)

News = dict[str, Any]
Watcher = Callable[[list[News]], None]

POLL_S = 0.2
STUCK_S = 15.0
"""How long engines may go on after one of them ended with an error: they wait for it."""

STOP_S = 300.0
"""How long engines may take to reach a place where all can stop."""

START_S = 120.0
"""How long engines may take to start again."""


class EngineDied(Recon3DError):
    """An engine died while it worked."""


def check_engines(client: Client, path: Path) -> list[Sight]:
    """Look whether the engines of a client can work together on a file.

    Parameters
    ----------
    client
        Connected to the engines.
    path
        A file that all of them must see.

    Returns
    -------
    sights
        What each engine says of itself, by their ranks.

    Raises
    ------
    ParameterError
        There are none, they are not in one MPI world, another version of recon3d is installed
        there, or one does not see the file.
    EngineDied
        One died meanwhile.
    """
    if not client.ids:
        raise ParameterError(
            "the client has no engines: start them with recon3d.Cluster(n), or wait for them with "
            "wait_for_engines(n)"
        )
    pending = [client[i].apply_async(look, str(path)) for i in client.ids]
    sights = sorted((_answer(one) for one in pending), key=lambda sight: sight.rank)
    count = len(sights)
    if any(sight.size == 0 for sight in sights):
        raise ParameterError(
            "the engines have no mpi4py: pip install 'recon3d[mpi]' into their environment"
        )
    if [sight.rank for sight in sights] != list(range(count)) or sights[0].size != count:
        raise ParameterError(
            f"the {count} engines are not in one MPI world (the first sees {sights[0].size} of "
            "them): start them with MPI, as recon3d.Cluster(n) or ipyparallel's engines='mpi' do"
        )
    for sight in sights:
        if sight.version != __version__:
            raise ParameterError(
                f"the engine on {sight.host} has recon3d {sight.version}, this is {__version__}: "
                "use one environment for both"
            )
        if not sight.sees:
            raise ParameterError(
                f"the engine on {sight.host} does not see {path}: put it on a disk that all share"
            )
    return sights


def run_once(client: Client, work: Callable[..., None], job: Any, watch: Watcher) -> list[Outcome]:
    """Give a job to all engines and wait for it, telling a watcher what they publish.

    Parameters
    ----------
    client
        Connected to engines that were checked.
    work
        What each engine does, a function of a module.
    job
        What it is given.
    watch
        Told the news of all engines, a few times a second.

    Returns
    -------
    outcomes
        How the job ended on each engine.

    Raises
    ------
    EngineDied
        An engine died.
    KeyboardInterrupt
        The user interrupted; the engines have stopped where all of them met.
    Recon3DError
        The job itself failed.
    """
    pending = [client[i].apply_async(work_together, work, job) for i in client.ids]
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
        warnings.warn(text, Recon3DWarning, stacklevel=4)
    _raise_failure(outcomes)
    return outcomes


def restart(client: Client) -> None:
    """Start the engines of a client again, all of them: one that died ended its MPI world.

    Raises
    ------
    EngineDied
        The client does not know how its engines were started.
    """
    cluster, count = client.cluster, len(client.ids)
    if cluster is None:
        raise EngineDied(
            "an engine died, and the client does not know how its engines were started: start "
            "them again, and run the same with resume=True to go on from the checkpoint"
        )
    sizes = [engines.n for engines in cluster.engines.values()]
    cluster.restart_engines_sync()
    client.wait_for_engines(sum(sizes) or count, timeout=START_S)


def _wait(pending: list[Any], watch: Watcher) -> None:
    """Wait until all engines are done, or until one failed and the others hang on it."""
    failed_at: float | None = None
    while not all(one.ready() for one in pending):
        time.sleep(POLL_S)
        watch([one.metadata["data"] or {} for one in pending])
        if failed_at is None and any(_failed(one) for one in pending):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > STUCK_S:
            _raise_failure([_answer(one) for one in pending if one.ready()])
            return


def _failed(one: Any) -> bool:
    return one.ready() and (not one.successful() or one.get().error is not None)


def _answer(one: Any) -> Any:
    """What an engine answered; an engine that died is told from one that failed."""
    try:
        return one.get()
    except EngineError as error:
        raise EngineDied(f"an engine died: {error}") from error
    except RemoteError as error:
        if error.ename == "EngineError":
            raise EngineDied(f"an engine died: {error.evalue}") from error
        raise Recon3DError(
            f"an engine cannot run recon3d ({error.ename}: {error.evalue}): is it installed there?"
        ) from error


def _raise_failure(outcomes: list[Outcome]) -> None:
    """Raise what went wrong on an engine, a plain error rather than an interrupt if both are."""
    failures = [outcome for outcome in outcomes if outcome.error is not None]
    failures.sort(key=lambda outcome: isinstance(outcome.error, KeyboardInterrupt))
    for outcome in failures:
        error = outcome.error
        assert error is not None
        if not isinstance(error, Recon3DError):
            error.add_note(outcome.trace)
        raise error
