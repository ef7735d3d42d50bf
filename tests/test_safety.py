"""Nothing in a data folder is run or written to: what the source may not do."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import recon3d

PACKAGE = Path(recon3d.__file__).parent
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__", "system", "popen"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "marshal", "shelve", "joblib"}
OPENS = {"File": 1}
WRITERS = ("simulate", "own_files.py", "bliss_scan.py", "checkpoint.py")


def name_of(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def keyword(call: ast.Call, name: str) -> object:
    for given in call.keywords:
        if given.arg == name and isinstance(given.value, ast.Constant):
            return given.value.value
    return None


def is_module(call: ast.Call, *names: str) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id in names
    )


def risks(text: str, *, writes: bool) -> list[str]:
    """What in a module could run, or write to, what it reads."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = {alias.name.split(".")[0] for alias in node.names}
            module = getattr(node, "module", None) or ""
            if (names | {module.split(".")[0]}) & FORBIDDEN_MODULES:
                found.append(f"line {node.lineno}: imports a pickler")
        if not isinstance(node, ast.Call):
            continue
        name = name_of(node)
        plain = isinstance(node.func, ast.Name)
        if (plain and name in FORBIDDEN_CALLS) or (is_module(node, "os") and name == "system"):
            found.append(f"line {node.lineno}: {name}")
        loads = name == "load" and is_module(node, "np", "numpy")
        if loads and keyword(node, "allow_pickle") is not False:
            found.append(f"line {node.lineno}: np.load without allow_pickle=False")
        if name == "File" and is_module(node, "h5py"):
            mode = node.args[1].value if len(node.args) > 1 else keyword(node, "mode")
            if mode != "r" and not (writes and mode == "w"):
                found.append(f"line {node.lineno}: h5py.File in mode {mode!r}")
        if keyword(node, "shell") is True:
            found.append(f"line {node.lineno}: a shell")
    return found


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: path.name)
def test_no_module_runs_or_writes_to_what_it_reads(path):
    writes = any(word in str(path.relative_to(PACKAGE)) for word in WRITERS)
    assert risks(path.read_text("utf-8"), writes=writes) == []


@pytest.mark.parametrize(
    "text",
    [
        "eval('1')",
        "import pickle",
        "from pickle import loads",
        "np.load('a.npy')",
        "np.load('a.npy', allow_pickle=True)",
        "h5py.File('a')",
        "h5py.File('a', 'r+')",
        "h5py.File('a', mode='a')",
        "h5py.File('a', 'w')",
        "os.system('ls')",
        "subprocess.run('ls', shell=True)",
    ],
)
def test_a_risk_is_found(text):
    assert risks(text, writes=False)


def test_what_is_safe_is_not_reported():
    text = (
        "np.load('a', allow_pickle=False)\nh5py.File('a', 'r')\nre.compile('a')\nliteral_eval('1')"
    )
    assert risks(text, writes=False) == []
    assert risks("h5py.File('a', 'w')", writes=True) == []
