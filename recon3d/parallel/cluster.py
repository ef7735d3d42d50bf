"""Engines of ipyparallel in one MPI world, started with the right environment and stopped."""

from __future__ import annotations

import html
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from recon3d.arguments import checked
from recon3d.errors import ParameterError

if TYPE_CHECKING:
    from ipyparallel import Client

from recon3d.parallel.guard import guarded
from recon3d.parallel.thread_policy import WAITING
from recon3d.parallel.work import EngineInfo

BEAT_MS = 500
"""How often engines on this machine show that they live. The controller takes a new one in at its
second beat: with ipyparallel's 3 s, six seconds of every start were waited for nothing else."""

BEATS_MISSED_BY_ENGINE, BEATS_MISSED_BY_CONTROLLER = 60, 175
"""After how many an engine, or the controller, is given up; in all as long as is usual, since a
busy machine may take long to answer. An engine looks half a second after each beat."""


class Cluster:
    """Engines for `recon3d.reconstruct(..., client=cluster.client)`; a context manager.

    A thin layer over `ipyparallel.Cluster`, which is its attribute `cluster`.

    Parameters
    ----------
    n
        How many engines.
    profile
        "mpi" for engines on this machine, "slurm" for a batch job.
    threads
        Threads of each engine; None for the cores of this machine shared out among the engines
        (mpi), or 1 (slurm).
    launch
        slurm: the command that starts all engines in one MPI world; None for the mpiexec
        beside this Python, with which no MPI module is needed.
    options
        slurm: more lines of #SBATCH, such as ("--partition=all", "--time=2:00:00").
    controller_ip
        Where engines find the controller. None for this machine alone (mpi), or for the address
        by which other machines know this one (slurm).
    timeout_s
        How long to wait for all engines; a batch job may have to queue.

    Attributes
    ----------
    cluster
        The `ipyparallel.Cluster`.
    client
        The connected `ipyparallel.Client`, once started.

    Raises
    ------
    ParameterError
        The profile is not known, a number is not positive, or mpiexec is missing.
    """

    @checked(n=">= 1", threads=">= 1", timeout_s="> 0")
    def __init__(
        self,
        n: int = 2,
        profile: Literal["mpi", "slurm"] = "mpi",
        *,
        threads: int | None = None,
        launch: str | None = None,
        options: tuple[str, ...] = (),
        controller_ip: str | None = None,
        timeout_s: float = 120.0,
    ) -> None:
        self.n, self.profile, self.timeout_s = n, profile, timeout_s
        cores = len(os.sched_getaffinity(0))
        self.threads = threads or (max(cores // n, 1) if profile == "mpi" else 1)
        self._launch, self._options, self._ip = launch, options, controller_ip
        self.client: Client | None = None
        self._scratch: tempfile.TemporaryDirectory[str] | None = None
        self.cluster = self._configured()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Start controller and engines, and connect; nothing is left running if that fails.

        Raises a ParameterError where the launcher is missing, or the engines did not come up in
        time.
        """
        command = "mpiexec" if self.profile == "mpi" else "sbatch"
        beside = Path(sys.executable).parent / command
        if not beside.exists() and shutil.which(command) is None:
            hint = "pip install 'recon3d[mpi]'" if command == "mpiexec" else "is Slurm installed?"
            raise ParameterError(f"there is no {command} to start engines with: {hint}")
        try:
            self.cluster.start_cluster_sync()
            self.client = self.cluster.connect_client_sync()
            self.client.wait_for_engines(self.n, timeout=self.timeout_s)
        except TimeoutError as error:
            self.stop()
            raise ParameterError(
                f"{self.n} engines were not there after {self.timeout_s:g} s: is the batch system "
                "busy (a longer timeout_s waits), or do the engines not reach the controller "
                "(controller_ip)?"
            ) from error
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop engines and controller."""
        try:
            if self.client is not None:
                self.client.close()
        finally:
            self.client = None
            try:
                # Without a controller that hears it, engines would say for 3 s that they end.
                self.cluster.stop_engines_sync()
            finally:
                self.cluster.stop_cluster_sync()
                if self._scratch is not None:
                    self._scratch.cleanup()

    def sights(self, timeout_s: float = 60.0) -> list[EngineInfo]:
        """What each engine says of itself, by their ranks.

        Raises a ParameterError where the cluster was not started, a TimeoutError where they are
        busy.
        """
        from recon3d.parallel.work import describe_engine

        if self.client is None:
            raise ParameterError("the cluster is not running: start() it, or use it in a with")
        answers = self.client[:].apply_async(describe_engine).get(timeout_s)
        return sorted(answers, key=lambda info: info.rank)

    def info(self) -> str:
        """Engines of the started cluster, with the host, memory and threads of each, as text."""
        lines = [
            f"engine {info.rank} of {info.size}: {info.host}, process {info.pid}, "
            f"{info.threads} threads, {info.memory_gib:.1f} GiB of memory on the machine"
            for info in self.sights()
        ]
        return "\n".join(lines)

    def _configured(self) -> Any:
        """The cluster of ipyparallel, with the environment that its engines need."""
        import ipyparallel as ipp

        here = Path(sys.executable).parent
        cluster = ipp.Cluster(
            n=self.n,
            engines=self.profile,
            log_level=50,
            engine_timeout=self.timeout_s,
            delay=0.0,  # engines are told where the controller is once it is there
            controller_ip=self._ip or ("*" if self.profile == "slurm" else "127.0.0.1"),
        )
        counted = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = dict.fromkeys(counted, str(self.threads)) | WAITING
        # A notebook that is killed cannot stop them.
        controller = cluster.config.LocalControllerLauncher
        controller.controller_cmd = guarded([sys.executable, "-m", "ipyparallel.controller"])
        mpiexec = here / "mpiexec"
        if self.profile == "mpi":
            launcher = cluster.config.MPIEngineSetLauncher
            path = f"{here}{os.pathsep}{os.environ.get('PATH', '')}"
            launcher.environment = environment | {"PATH": path}
            launcher.mpi_cmd = guarded([str(mpiexec) if mpiexec.exists() else "mpiexec"])
            launcher.engine_args = [f"--IPEngine.max_heartbeat_misses={BEATS_MISSED_BY_CONTROLLER}"]
            cluster.controller_args = [
                f"--HeartMonitor.period={BEAT_MS}",
                f"--HeartMonitor.max_heartmonitor_misses={BEATS_MISSED_BY_ENGINE}",
            ]
        else:
            launcher = cluster.config.SlurmEngineSetLauncher
            # ipyparallel would leave its batch file in the working directory.
            self._scratch = tempfile.TemporaryDirectory(prefix="recon3d-")
            launcher.batch_file_name = str(Path(self._scratch.name) / "engines.sbatch")
            launcher.environment = environment
            launcher.batch_template = self._batch_script(here, environment)
        return cluster

    def _batch_script(self, here: Path, environment: dict[str, str]) -> str:
        """The script that Slurm is given; ipyparallel fills in what is in braces.

        One job, and in it one launcher of all engines: plain srun would leave each alone. Idle
        engines end 18 s after their controller.
        """
        launch = self._launch or f"{here / 'mpiexec'} -n {self.n}"
        lines = [
            "#!/bin/sh",
            "#SBATCH --job-name=recon3d-{cluster_id}",
            "#SBATCH --ntasks={n}",
            f"#SBATCH --cpus-per-task={self.threads}",
            "#SBATCH --output={profile_dir}/log/slurm-%j.log",
            *(f"#SBATCH {option}" for option in self._options),
            *(f"export {name}={value}" for name, value in environment.items()),
            f'export PATH={here}:"$PATH"',
            f"{launch} {{program_and_args}} --IPEngine.max_heartbeat_misses=6",
        ]
        return "\n".join(lines) + "\n"

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.info() if self.client else repr(self))}</pre>"

    def __repr__(self) -> str:
        state = "running" if self.client is not None else "not running"
        return f"<Cluster: {self.n} engines x {self.threads} threads, {self.profile}, {state}>"
