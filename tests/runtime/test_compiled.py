"""Compiled kernels run wherever the program does: with no folder to write in, and after damage."""

import importlib.util
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numba
import numba.np.ufunc.parallel as numba_threads
import numpy as np
import pytest

import recon3d
from recon3d.runtime.compiled import in_parts

KERNEL = """
from recon3d.runtime.compiled import njit

@njit(cache=True)
def triple(value):
    return 3 * value
"""
PROGRAM = "from kernel import triple; print(triple(14), triple.stats.cache_path)"


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


def test_code_is_kept_beside_its_source(source):
    assert [run(source), run(source)] == [(42, 0), (42, 1)]
    assert len(list((source.parent / "__pycache__").glob("kernel.triple*.nbc"))) == 1


def test_where_no_folder_can_be_written_the_program_runs_all_the_same(source):
    # A file where the folder of compiled code would be: not even root can write there.
    (source.parent / "__pycache__").write_text("")
    paths = [str(source.parent), str(Path(recon3d.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "HOME": "/dev/null"}
    for name in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONPYCACHEPREFIX"):
        environment.pop(name, None)
    words = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["42", "None"], done.stderr


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


def test_what_tests_start_shares_their_compiled_code(tmp_path):
    words = [sys.executable, "-c", "import recon3d; print(recon3d.__file__)"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == recon3d.__file__


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("count", [0, 1, 7, 100])
def test_threads_share_a_range_once(monkeypatch, threads, count):
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)
    done, parts = np.zeros(count, int), []

    def kernel(first, stop, added):
        done[first:stop] += added
        parts.append(first)

    in_parts(kernel, count, 5)
    assert (done == 5).all()
    assert len(parts) <= (4 * threads if threads > 1 else 1)


@pytest.mark.parametrize("threads", [1, 3])
def test_what_a_part_raises_is_raised(monkeypatch, threads):
    monkeypatch.setattr(numba, "get_num_threads", lambda: threads)

    def kernel(first, stop):
        if first <= 55 < stop:
            raise MemoryError("no room")

    with pytest.raises(MemoryError, match="no room"):
        in_parts(kernel, 100)
