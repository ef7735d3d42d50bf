"""Helpers that tests of several rooms share."""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
from hypothesis import settings
from id06_folders import frame, write_edf

import recon3d
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain

# Kernels of notebooks, servers and engines take the same files as the tests, and with them the
# same compiled code: installed files would be compiled again.
os.environ["PYTHONPATH"] = os.pathsep.join(
    filter(None, [str(Path(recon3d.__file__).parents[1]), os.environ.get("PYTHONPATH")])
)

MOST_WORKERS = 4
"""More of them make the scans that files share too often."""
COME_FIRST = (
    "tests/cli/test_demo.py",
    "tests/config/",
    "tests/files/",
    "tests/readers/",
    "tests/scan/",
)
"""The demo, which compiles most of the kernels, and meanwhile what needs hardly any of them."""

# Compiled kernels take their time at the first call only.
settings.register_profile("compiled", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=3000)
settings.load_profile("compiled")


ONE_THREAD = {"NUMBA_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Test single files by this process, and folders by one process of one thread a core.

    With one more the processes of engines and of mpiexec wait for each other.
    """
    if not any(Path(name.partition("::")[0]).is_dir() for name in config.args):
        return 0
    os.environ |= ONE_THREAD
    return min(len(os.sched_getaffinity(0)), MOST_WORKERS)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Compile first, so that later tests find what they need on disk."""
    items.sort(key=lambda item: not item.nodeid.startswith(COME_FIRST))


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """Let Ctrl-C reach the tests' programs, which a shell lets ones in its background ignore."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


INI = {
    "sg_no": "225",
    "unit_cell": "[4.0495, 4.0495, 4.0495, 90, 90, 90]",
    "hkl": "[2, 0, 0]",
    "wavelength": "0.7293",
    "grain_pos": "[0, 0, 0]",
    "grain_dim": "[20, 24, 28]",
    "grain_steps": "[10, 12, 14]",
    "M": "18.57",
}
"""The keys that every experiment needs: aluminium (200) at 17 keV."""


@pytest.fixture
def repository() -> Path:
    return Path(__file__).parents[1]


@pytest.fixture
def write_ini(tmp_path):
    """Write an .ini of the required keys, with some changed, added, or (None) left out."""

    def write(**changes: str | None) -> Path:
        keys = {key: text for key, text in (INI | changes).items() if text is not None}
        path = tmp_path / "experiment.ini"
        path.write_text("".join(f"{key} {text}\n" for key, text in keys.items()), "utf-8")
        return path

    return write


def make_grain(shape=(5, 4, 3), *, strain: bool = True, **changes) -> Grain:
    """A small grain in which every voxel of every array has a value of its own."""
    volume = Volume((1.0, -2.0, 3.0), (10.0, 6.0, 3.0), shape)
    number = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    mask = np.zeros(shape, bool)
    mask[1:4, 1:3, :2] = True
    inside = np.where(mask, 1, np.nan).astype(np.float32)
    arrays = {
        "occupancy": number / number.max(),
        "mask": mask,
        "orientation": np.stack([number / 1000 * inside, -number / 500 * inside], axis=-1),
        "orientation_spread": number / 2000 * inside,
        "completeness": 1 - number / number.max(),
        "strain": number * 1e-6 * inside if strain else None,
        "residual": np.array([0.5, 0.25, 0.125]),
        "provenance": {"method": "iterative", "iterations": 4, "handedness": -1},
    }
    return Grain(volume, **(arrays | changes))


@pytest.fixture
def grain() -> Grain:
    return make_grain()


@pytest.fixture
def grain_factory():
    return make_grain


@pytest.fixture(scope="session")
def require_or_skip():
    """Skip where what a test needs is missing, or fail where RECON3D_REQUIRE_ALL is 1."""

    def stop(reason: str) -> NoReturn:
        if os.environ.get("RECON3D_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)

    return stop


REAL_DATA = Path(__file__).parents[1] / "../shared/data"


@pytest.fixture(scope="session")
def real_data(require_or_skip):
    """Find a file of real data in the folder that lies beside the repository."""

    def find(name: str) -> Path:
        path = REAL_DATA / name
        if not path.exists():
            require_or_skip(f"{name} is not in ../shared/data, beside the repository")
        return path

    return find


@pytest.fixture(scope="session")
def mpi(require_or_skip) -> None:
    """What the tests with MPI need."""
    for name in ("mpi4py", "ipyparallel"):
        if importlib.util.find_spec(name) is None:
            require_or_skip(f"{name} is not installed: pip install 'recon3d[mpi]'")
    if not (Path(sys.executable).parent / "mpiexec").exists():
        require_or_skip("there is no mpiexec beside this Python: pip install 'recon3d[mpi]'")


@pytest.fixture
def write_folder(tmp_path):
    """Write frames, one a file, with `frame(i)` as the image of position i."""

    def write(positions, *, folder="scan", prefix="topo_", order=None, **options) -> Path:
        where = tmp_path / folder
        where.mkdir(exist_ok=True)
        order = range(len(positions)) if order is None else order
        for number, i in enumerate(order):
            write_edf(where / f"{prefix}{number:04d}.edf", frame(i, **options), positions[i])
        return where

    return write
