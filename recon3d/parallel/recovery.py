"""Jobs that go on after a fault: engines started again, and the work resumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from ipyparallel import Client

from recon3d.errors import EngineFault, ParameterError, warn
from recon3d.parallel.driver import (
    OneEngineFailed,
    Watcher,
    check_engines,
    describe_engines,
    in_one_world,
    run_once,
)
from recon3d.parallel.work import Job

Progress = tuple[int, ...]

START_S = 600.0
"""How long engines may take to start again: a batch system may let them wait."""

WAKE_S = 20.0
"""How long one of them may take to answer then, before all are asked again."""


@dataclass(frozen=True)
class RestartableJob:
    """A job for engines, and what to do when one of them fails."""

    job: Job
    again: Job  # the job after a fault, which goes on from what is kept
    seen: Sequence[Path]  # files and folders that all engines must see
    progress: Callable[[], Progress]  # how far what is kept has come: larger is farther
    kept: str  # says, in an error message, what is left of the work


def run_to_the_end(
    client: Client,
    task: RestartableJob,
    watcher: Callable[[], AbstractContextManager[Watcher]],
) -> None:
    """Let engines do a job, again after every fault as long as each try comes farther.

    `watcher`: makes the receiver of a try's news. An EngineFault says that there is no progress, or
    no way to start the engines again.
    """
    job, reached = task.job, None
    if not client.ids and client.cluster is not None:
        _start_again("the engines are gone", client, task)
    while True:
        try:
            engines = check_engines(client, task.seen)
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
            now = task.progress()
            in_vain = reached is not None and now <= reached
            job, reached = task.again, now
            _start_again(fault, client, task)
            if in_vain:
                raise EngineFault(
                    f"{fault}: twice without any progress, so it is not tried again; {task.kept}"
                ) from fault
        else:
            return


def _start_again(why: object, client: Client, task: RestartableJob) -> None:
    """Say what happened, and start the engines again."""
    warn(f"{why}: the engines are started again")
    try:
        restart(client)
    except EngineFault as error:
        raise EngineFault(f"{why}; {error}; {task.kept}") from error


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
        time.sleep(0.5)


def _all_there(client: Client, count: int) -> bool:
    """Whether a number of engines answer, all of one MPI world."""
    if len(client.ids) != count:
        return False
    try:
        return in_one_world(list(describe_engines(client, within_s=WAKE_S).values()))
    except (EngineFault, ParameterError):
        return False
