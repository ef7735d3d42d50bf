"""Engines for a reconstruction: their number, start, stop and state."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ipywidgets as controls

from recon3d.arguments import check_options, checked
from recon3d.errors import ParameterError
from recon3d.parallel.cluster import Cluster
from recon3d.widgets.controls.panel import Panel, button, row

if TYPE_CHECKING:
    from ipyparallel import Client

    from recon3d.parallel.work import EngineInfo

NONE = "no engines: this process works alone"
MOST = 4096
_TICK_S = 0.2
REFUSAL_S = 5.0
_ANSWER_S = 5.0


class Engines(Panel):
    """Controls for the engines that share a reconstruction; they end with this process.

    Parameters
    ----------
    interval_s
        Seconds between two looks at the engines.
    options
        Further keyword arguments of `recon3d.Cluster`, such as `profile`.
    """

    @checked(interval_s="> 0")
    def __init__(self, *, interval_s: float = 2.0, **options: Any) -> None:
        check_options(Cluster, options)
        super().__init__()
        self.interval_s, self.options = interval_s, options
        self.cluster: Cluster | None = None
        self._settled = threading.Event()
        self._settled.set()
        self._working = False
        self._told = 0.0
        cores = len(os.sched_getaffinity(0))
        self.number = _whole("engines", min(cores, 4), "processes that share the work")
        self.threads = _whole("threads", 1, "of each engine")
        self.number.observe(lambda _: self._share_out(cores), "value")
        self._share_out(cores)
        self.start_button = button("Start engines", self.start, "takes some ten seconds")
        self.stop_button = button("Stop engines", self.stop, "and give their memory back")
        self.children = [
            row(self.number, self.threads, self.start_button, self.stop_button),
            self.status,
        ]
        missing = missing_for_engines()
        self.tell(missing or NONE)
        self._enable(start=not missing, stop=False)

    @property
    def value(self) -> int:
        """How many engines are running."""
        return 0 if self.client is None else len(self.client.ids)

    @property
    def client(self) -> Client | None:
        """The client of running engines; None while there are none."""
        return None if self.cluster is None else self.cluster.client

    def start(self) -> None:
        """Start engines in the background."""
        if self.cluster is not None or not self._settled.is_set():
            return
        self._settled.clear()
        self._enable(start=False, stop=True)
        self.tell("starting engines ...")
        self.background.start(self._start(self.number.value, self.threads.value), self.tell)

    def stop(self) -> None:
        """Stop the engines in the background; refused while they work."""
        if self._working:
            self.tell("the engines are working: stop the reconstruction first", bad=True)
            self._told = time.monotonic() + REFUSAL_S  # news of them would hide it
            return
        self._settled.clear()
        self._enable(start=False, stop=False)
        self.tell("stopping the engines ...")
        self.background.start(self._stop(), self._stopped)

    @checked(timeout_s="> 0")
    def wait(self, timeout_s: float = 180.0) -> Client | None:
        """Wait until engines that are starting or stopping have done so; else a TimeoutError."""
        if not self._settled.wait(timeout_s):
            raise TimeoutError(f"the engines take longer than {timeout_s:g} s")
        return self.client

    @checked()
    def work(self, working: bool) -> None:
        """Note whether the engines are at work: then they tell how they are by themselves."""
        self._working = working

    def show_news(self, news: Sequence[dict[str, Any]]) -> None:
        """Show what working engines said last, once a second."""
        known = sorted((one for one in news if "load" in one), key=lambda one: one["rank"])
        if not known or time.monotonic() - self._told < 1:
            return
        self._told = time.monotonic()
        loads = ", ".join(f"{one['load']:.0%}" for one in known)
        used = sum(one["used_gib"] for one in known)
        self.tell(f"{len(known)} engines at work, {loads} busy; {used:.2f} GiB in use")

    def close(self) -> None:
        """Stop the engines, and close the widget."""
        self.background.cancel()
        self._settled.wait()
        self._end()
        super().close()

    def _start(self, number: int, threads: int) -> Iterator[str | None]:
        try:
            cluster = Cluster(number, threads=threads, **self.options)
            self.cluster = cluster.start()
        finally:
            self._settled.set()
        while True:
            if not self._working:
                yield self._look()
            for _ in range(max(round(self.interval_s / _TICK_S), 1)):
                time.sleep(_TICK_S)
                yield None

    def _look(self) -> str | None:
        """How the engines are; None where they are too busy to say."""
        import ipyparallel.error as failures

        assert self.cluster is not None
        try:
            return describe(self.cluster.sights(_ANSWER_S))
        except TimeoutError:
            return None
        except (failures.KernelError, ParameterError) as error:
            raise ParameterError(
                "the engines are gone: stop what is left of them, and start them again"
            ) from error

    def _stop(self) -> Iterator[str]:
        try:
            self._end()
        finally:
            self._settled.set()
        yield NONE

    def _end(self) -> None:
        cluster, self.cluster = self.cluster, None
        if cluster is not None:
            cluster.stop()

    def _stopped(self, text: str) -> None:
        self.tell(text)
        self._enable(start=True, stop=False)

    def _show_error(self, error: Exception) -> None:
        self._enable(start=self.cluster is None, stop=self.cluster is not None)
        super()._show_error(error)

    def _share_out(self, cores: int) -> None:
        self.threads.value = max(cores // self.number.value, 1)

    def _enable(self, *, start: bool, stop: bool) -> None:
        self.start_button.disabled, self.stop_button.disabled = not start, not stop
        self.number.disabled = self.threads.disabled = not start


def describe(infos: Sequence[EngineInfo]) -> str:
    """Engines, hosts and memory in one line."""
    hosts: dict[str, list[EngineInfo]] = defaultdict(list)
    for info in infos:
        hosts[info.host].append(info)
    parts = []
    for host, those in hosts.items():
        threads = "thread" if those[0].threads == 1 else "threads"
        used = sum(info.used_gib for info in those)
        parts.append(
            f"{host}: {len(those)} engines x {those[0].threads} {threads}, {used:.2f} of "
            f"{those[0].memory_gib:.1f} GiB in use"
        )
    ready = "1 engine is" if len(infos) == 1 else f"{len(infos)} engines are"
    return f"{ready} ready; {'; '.join(parts)}"


def missing_for_engines() -> str:
    """What has to be installed before engines can be started; "" where nothing has."""
    names = ("ipyparallel", "mpi4py")
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if not (Path(sys.executable).parent / "mpiexec").exists() and not shutil.which("mpiexec"):
        missing.append("mpiexec")
    if not missing:
        return ""
    return f"{NONE}; for engines, {' and '.join(missing)} must be there: pip install 'recon3d[mpi]'"


def _whole(name: str, value: int, tip: str) -> controls.BoundedIntText:
    return controls.BoundedIntText(
        value=value,
        min=1,
        max=MOST,
        description=name,
        tooltip=tip,
        style={"description_width": "100px"},
        layout=controls.Layout(width="180px"),
    )
