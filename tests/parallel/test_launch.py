"""How a program learns that a launcher started it, and what it is told when that went wrong."""

import builtins
import os

import pytest

import recon3d as r3
from recon3d.errors import ParameterError
from recon3d.parallel import mpiexec as launch
from recon3d.runtime.communicator import ALONE


@pytest.fixture
def launcher(monkeypatch):
    """Set the variables of a launcher, and no others."""
    for name in (*launch.LAUNCHERS, *launch.RANKS):
        monkeypatch.delenv(name, raising=False)
    return monkeypatch.setenv


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, (1, "")),
        ({"PMI_SIZE": "4"}, (4, "mpiexec")),
        ({"OMPI_COMM_WORLD_SIZE": "2"}, (2, "mpiexec")),
        ({"SLURM_STEP_NUM_TASKS": "8"}, (8, "srun")),
        ({"PMI_SIZE": "1"}, (1, "")),
        ({"SLURM_NTASKS": "8"}, (1, "")),
    ],
)
def test_launchers_are_known_by_their_variables(variables, expected):
    assert launch.launched(variables) == expected


def test_the_rank_is_known_before_mpi_is_asked():
    assert launch.launched_rank({}) == 0
    assert launch.launched_rank({"PMI_RANK": "3"}) == 3


@pytest.mark.usefixtures("launcher")
def test_without_a_launcher_a_process_is_alone():
    assert launch.world() is ALONE


def test_a_launcher_without_mpi4py_is_told(launcher, monkeypatch):
    launcher("PMI_SIZE", "2")
    real = builtins.__import__

    def without_mpi(name, *rest):
        if name.startswith("mpi4py"):
            raise ImportError("no mpi4py")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without_mpi)
    with pytest.raises(ParameterError, match=r"pip install 'recon3d\[mpi\]'"):
        launch.world()


def test_threads_fit_the_cores():
    assert launch.threads_each(ALONE) == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"n": 0}, "n is 0"), ({"threads": 0}, "threads is 0"), ({"profile": "pbs"}, "mpi or slurm")],
)
def test_impossible_clusters_are_refused(changes, message):
    with pytest.raises(ParameterError, match=message):
        r3.Cluster(**changes)


@pytest.mark.usefixtures("mpi")
def test_the_batch_script_starts_one_world():
    cluster = r3.Cluster(3, profile="slurm", threads=4, options=("--partition=all",))
    script = cluster.cluster.config.SlurmEngineSetLauncher.batch_template
    assert "#SBATCH --ntasks={n}" in script
    assert "#SBATCH --cpus-per-task=4\n" in script
    assert "#SBATCH --partition=all\n" in script
    assert "export NUMBA_NUM_THREADS=4\n" in script
    assert "mpiexec -n 3 {program_and_args}" in script
    assert script.index("#SBATCH --partition") < script.index("export")
    assert repr(cluster) == "<Cluster: 3 engines x 4 threads, slurm, not running>"
    with pytest.raises(ParameterError, match="not running"):
        cluster.info()


@pytest.mark.usefixtures("mpi")
def test_engines_on_this_machine_listen_to_it_alone():
    cluster = r3.Cluster(2, threads=1).cluster
    assert cluster.controller_ip == "127.0.0.1"
    assert cluster.config.MPIEngineSetLauncher.environment["NUMBA_NUM_THREADS"] == "1"
