"""The client's side of a parallel job: give it to engines, watch it, and repeat it after faults."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
from ipyparallel import Client
from ipyparallel.error import EngineError, RemoteError
from numpy.typing import NDArray

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
from recon3d.runtime.progress import Stage

logger = logging.getLogger(__name__)

News = dict[str, Any]
Watcher = Callable[[list[News]], None]
Report = Callable[[str, int, float, NDArray[np.float32] | None], None]

POLL_S = 0.2

MOST_LOADS = 8
"""Of how many engines the load is shown: more do not fit into a line."""

ANSWER_S = 60.0
"""How long an engine may take to say who it is."""

ALIKE_S = 15.0
"""How long engines may go on after one of them failed, before they are taken to wait for it."""

SILENT_S = 900.0
"""How long no engine may have anything new to tell, before one of them is taken to hang."""

STOP_S = 300.0
"""How long engines may take to reach a place where all can stop."""

START_S = 600.0
"""How long engines may take to start again: a batch system may let them wait."""

WAKE_S = 20.0
"""How long one of them may take to answer then, before all are asked again."""


def run_to_the_end(
    client: Client,
    job: Job,
    watcher: Callable[[], AbstractContextManager[Watcher]],
    *,
    again: Job,
    seen: Sequence[Path],
    progress: Callable[[], tuple[int, ...]],
    kept: str,
) -> None:
    """Let engines do a job, again after every fault as long as each try comes farther.

    `watcher`: makes the receiver of a try's news. `again`: the job after a fault, which goes on
    from what is kept. `seen`: what all engines must see. `progress`: how far what is kept has
    come; larger is farther. `kept`: says what is left of the work, in the EngineFault that tells
    of no progress, or of no way to start the engines again.
    """
    reached = None
    if not client.ids and client.cluster is not None:
        _start_again("the engines are gone", client, kept)
    while True:
        try:
            engines = check_engines(client, seen)
            with watcher() as watch:
                run_once(client, engines, job, watch)
        except OneEngineFailed as failure:
            # The others wait for this engine and can do nothing else: start all of them again.
            try:
                restart(client)
            except EngineFault as fault:
                failure.error.add_note(f"the engines wait for each other forever: {fault}")
            raise failure.error from None
        except EngineFault as fault:
            now = progress()
            in_vain = reached is not None and now <= reached
            job, reached = again, now
            _start_again(fault, client, kept)
            if in_vain:
                raise EngineFault(
                    f"{fault}: twice without any progress, so it is not tried again; {kept}"
                ) from fault
        else:
            return


def _start_again(why: object, client: Client, kept: str) -> None:
    """Say what happened, and start the engines again."""
    warn(f"{why}: the engines are started again")
    try:
        restart(client)
    except EngineFault as error:
        raise EngineFault(f"{why}; {error}; {kept}") from error


def restart(client: Client) -> None:
    """Start all engines of a client again; an EngineFault says that they do not come back."""
    cluster = client.cluster
    if cluster is None:
        raise EngineFault(
            "they have to be started again, and the client does not know how they were started"
        )
    count = sum(engines.n for engines in cluster.engines.values())
    try:
        cluster.restart_engines_sync()
    except TimeoutError as error:
        raise EngineFault("they have to be started again, and do not end") from error
    deadline = time.monotonic() + START_S
    # Engines that are gone may still be listed for a moment.
    while not _all_there(client, count):
        if time.monotonic() > deadline:
            raise EngineFault(
                f"they were started again, but after {START_S:.0f} s not all {count} were there"
            )
        time.sleep(POLL_S)


def _all_there(client: Client, count: int) -> bool:
    """Whether a number of engines answer, all of one MPI world."""
    if len(client.ids) != count:
        return False
    try:
        return in_one_world(list(describe_engines(client, within_s=WAKE_S).values()))
    except (EngineFault, ParameterError):
        return False


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


def run_once(client: Client, engines: Sequence[int], job: Job, watch: Watcher) -> None:
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


class EngineDisplay:
    """One progress bar for all engines, with their loads; a context manager.

    `report` and `watch`: as in `recon3d.reconstruct`. `preview`: where the grain so far is left.
    """

    def __init__(
        self,
        show: bool,
        report: Report | None = None,
        preview: Path | None = None,
        watch: Watcher | None = None,
    ) -> None:
        self.show, self.report, self.preview, self.watch = show, report, preview, watch
        self._bar: Any = None
        self._told = 0
        self._residual = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._close(complete=kind is None)
        if self.preview is not None:
            self.preview.unlink(missing_ok=True)

    def __call__(self, news: list[News]) -> None:
        """Show the latest news of every engine."""
        if self.watch is not None:
            self.watch(news)
        first = next((one for one in news if one.get("rank") == 0), None)
        if first is None:
            return
        for one in first.get("passed", [])[self._told :]:
            self._told += 1
            self._tell(*one)
        if self.show:
            self._draw(first["stage"], [one["load"] for one in news if "load" in one])

    def _tell(self, stage: str, number: int, residual: float) -> None:
        if number:
            self._residual = f"{residual:.4f}"
        if self.report is not None:
            self.report(stage, number, residual, self._grown() if number else None)

    def _grown(self) -> NDArray[np.float32] | None:
        if self.preview is None or not self.preview.is_file():
            return None
        return np.load(self.preview, allow_pickle=False)

    def _draw(self, stage: Stage, loads: list[float]) -> None:
        from tqdm.auto import tqdm

        if self._bar is None or self._bar.desc.rstrip(": ") != stage.description:
            self._close(complete=True)
            self._bar = tqdm(desc=stage.description, unit=stage.unit, total=stage.total)
        self._bar.n = min(stage.done, stage.total or stage.done)
        facts = {"residual": self._residual} if self._residual else {}
        facts["load"] = " ".join(f"{load:.0%}" for load in loads[:MOST_LOADS])
        self._bar.set_postfix(facts)

    def _close(self, *, complete: bool) -> None:
        if self._bar is not None:
            if complete and self._bar.total:
                self._bar.n = self._bar.total
            self._bar.close()
            self._bar = None
