"""Compiled kernels run wherever the program does: with no folder to write in, and after damage."""

import importlib.util
import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numba.np.ufunc.parallel as numba_threads
import pytest

import recon3d
from recon3d.errors import ParameterError
from recon3d.runtime.compiled import KernelCache, _TemporaryFolder

KERNEL = """
from recon3d.runtime.compiled import njit

@njit(cache=True)
def triple(value):
    return 3 * value
"""
PROGRAM = """
from kernel import triple

print(triple(14), sum(triple.stats.cache_hits.values()), triple.stats.cache_path)
"""


@pytest.fixture
def source(tmp_path, monkeypatch) -> Path:
    """A kernel, in a folder of its own, of which numba knows nothing."""
    monkeypatch.setattr(numba_threads.config, "CACHE_DIR", "")
    path = tmp_path / "kernel.py"
    path.write_text(KERNEL, "utf-8")
    return path


def run(source: Path) -> tuple[int, int]:
    """Import the kernel anew and use it: its answer, and whether its code was on disk."""
    spec = importlib.util.spec_from_file_location("kernel", source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.triple(14), sum(module.triple.stats.cache_hits.values())


def run_elsewhere(source: Path, **changes: str) -> list[str]:
    """The same in a process with another environment; and where the code is kept."""
    paths = [str(source.parent), str(Path(recon3d.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths)} | changes
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONPYCACHEPREFIX"):
        environment.pop(name, None)
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_code_is_kept_beside_its_source(source):
    assert [run(source), run(source)] == [(42, 0), (42, 1)]
    assert len(list((source.parent / "__pycache__").glob("kernel.triple*.nbc"))) == 1


@pytest.mark.parametrize("mode", [0o700, 0o777])
def test_code_is_kept_for_this_user_alone_where_home_is_read_only(source, mode):
    # A file where the folder of compiled code would be: not even root can write there.
    (source.parent / "__pycache__").write_text("")
    top = source.parent / f"recon3d-{os.getuid()}"
    top.mkdir()
    top.chmod(mode)  # what others may change is not to be run
    places = {"HOME": "/dev/null", "TMPDIR": str(source.parent)}
    first, second = (run_elsewhere(source, **places) for _ in range(2))
    if mode == 0o777:
        assert first == second == ["42", "0", "None"]
        assert not list(top.iterdir())
    else:
        assert (first[:2], second[:2]) == (["42", "0"], ["42", "1"])
        assert Path(first[2]).parent == top


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("damage", ["cut", "empty", "changed", "other", "zeros"])
def test_damaged_code_is_compiled_again(source, suffix, damage):
    run(source)
    (path,) = (source.parent / "__pycache__").glob(f"*.{suffix}")
    content = path.read_bytes()
    half, changed = len(content) // 2, bytearray(content)
    changed[half] ^= 255
    other = pickle.dumps({"not": "compiled code"})
    path.write_bytes(
        {"cut": content[:half], "empty": b"", "changed": changed, "other": other}.get(
            damage, bytes(len(content))
        )
    )
    assert [run(source), run(source)] == [(42, 0), (42, 1)]


def test_a_disk_that_takes_nothing_costs_only_time(source):
    run(source)
    for path in (source.parent / "__pycache__").glob("*.nb?"):
        path.unlink()
        path.mkdir()  # what is written cannot be renamed to this
    assert [run(source), run(source)] == [(42, 0), (42, 0)]


def test_a_temporary_folder_of_somebody_else_is_not_taken(source, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(source.parent))
    own = os.getuid()
    assert _TemporaryFolder.from_function(run, __file__) is not None
    (source.parent / f"recon3d-{own}").rename(source.parent / f"recon3d-{own + 1}")
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    assert _TemporaryFolder.from_function(run, __file__) is None


def test_a_threading_layer_that_is_not_there_is_told(monkeypatch):
    def no_layer():
        raise ValueError("No threading layer could be loaded.\nHINT: ...")

    monkeypatch.setattr(numba_threads, "_launch_threads", no_layer)
    monkeypatch.setenv("NUMBA_THREADING_LAYER", "tbb")
    with pytest.raises(ParameterError, match="NUMBA_THREADING_LAYER is 'tbb'") as told:
        KernelCache(shutil.copy, threads=True).load_overload(None, None)
    assert "\n" not in str(told.value)


def test_what_tests_start_shares_their_compiled_code(tmp_path):
    words = [sys.executable, "-c", "import recon3d; print(recon3d.__file__)"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == recon3d.__file__
