"""The rooms of the package, and what an import of it may cost."""

from __future__ import annotations

import ast
import graphlib
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import recon3d

PACKAGE = Path(recon3d.__file__).parent
ROOMS = (
    "errors",
    "arguments",
    "runtime",
    "geometry",
    "colors",
    "config",
    "readers",
    "scan",
    "files",
    "cleaning",
    "projection",
    "reconstruction",
    "analysis",
    "simulate",
    "parallel",
    "plot",
    "widgets",
    "viewer",
    "cli",
    "recon3d",
    "__main__",
)
"""From the bottom up; a module imports its own room and the rooms before it."""
SHOWING = ("plot", "widgets", "viewer")
LONGEST_FILE = 450
MOST_MODULES = 12


def sources() -> dict[str, str]:
    """The text of every module of the package, by its dotted name."""
    named = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        named[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path.read_text("utf-8")
    return named


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else module


def imported(text: str, known: set[str]) -> set[str]:
    """The package's modules that a module imports, anywhere in it.

    The version is a constant of the package itself, so naming it does not count.
    """
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if room_root(alias.name)}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are written in full"
            if not room_root(node.module):
                continue
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole != "recon3d.__version__":
                    found.add(whole if whole in known else node.module)
    return found


def room_root(module: str | None) -> bool:
    return module is not None and module.split(".")[0] == "recon3d"


def packages(modules: dict[str, str], folder: str) -> set[str]:
    """The folders inside a folder."""
    parents = {name.rpartition(".")[0] for name in modules}
    return {name for name in parents if name.rpartition(".")[0] == folder}


def faults(modules: dict[str, str]) -> list[str]:
    """What breaks the rules of the house, in words."""
    rank = {name: number for number, name in enumerate(ROOMS)}
    known = set(modules)
    graph = {name: imported(text, known) for name, text in modules.items()}
    found = []
    for name, text in modules.items():
        if room(name) not in rank:
            found.append(f"{name} is in no known room")
            continue
        if text.count("\n") > LONGEST_FILE:
            found.append(f"{name} has {text.count(chr(10))} lines")
        for other in graph[name]:
            if rank[room(other)] > rank[room(name)]:
                found.append(f"{name} imports {other}, which is above it")
            if room(other) in SHOWING and rank[room(name)] < rank["plot"]:
                found.append(f"{name} imports {other}, which draws")
    for folder, count in Counter(name.rpartition(".")[0] for name in modules).items():
        inside = sum(other.startswith(f"{folder}.") for other in packages(modules, folder))
        if folder != "recon3d" and count - inside > MOST_MODULES:
            found.append(f"{folder} has {count - inside} modules")
    try:
        graphlib.TopologicalSorter({k: v - {k} for k, v in graph.items()}).prepare()
    except graphlib.CycleError as error:
        found.append(f"a cycle: {' -> '.join(error.args[1])}")
    return found


def test_the_package_keeps_the_rules_of_the_house():
    assert faults(sources()) == []


@pytest.mark.parametrize(
    ("modules", "fault"),
    [
        ({"recon3d.geometry": "from recon3d.scan import scan"}, "above it"),
        ({"recon3d.geometry": "import recon3d.scan.scan"}, "above it"),
        ({"recon3d.geometry": "def f():\n    from recon3d import cli"}, "above it"),
        ({"recon3d.scan.a": "from recon3d import Grain"}, "above it"),
        ({"recon3d.cleaning.a": "import recon3d.plot.grain.slices as s"}, "which draws"),
        ({"recon3d.cleaning.a": "if TYPE_CHECKING:\n    import recon3d.viewer"}, "which draws"),
        ({"recon3d.kitchen": "x = 1"}, "no known room"),
        ({"recon3d.errors": "\n" * 451}, "has 451 lines"),
        (
            {
                "recon3d.scan.a": "from recon3d.scan.b import x",
                "recon3d.scan.b": "def f():\n    from recon3d.scan import a",
            },
            "a cycle",
        ),
    ],
)
def test_a_broken_rule_is_found(modules, fault):
    placed = {
        "recon3d": "",
        "recon3d.scan": "",
        "recon3d.scan.scan": "",
        "recon3d.cli.main": "",
        **modules,
    }
    found = faults(placed)
    assert any(fault in text for text in found), found


def test_what_is_allowed_is_not_reported():
    allowed = {
        "recon3d": "from recon3d.files.grain import Grain",
        "recon3d.errors": "import numpy\nfrom pathlib import Path",
        "recon3d.scan": "",
        "recon3d.files.grain": "from recon3d import __version__\nimport recon3d.readers.source",
        "recon3d.readers.source": "from recon3d.errors import DataError",
        "recon3d.cli.main": "from recon3d import __version__, scan",
    }
    assert faults(allowed) == []


def run_python(code: str) -> str:
    """What a fresh interpreter prints, run from the folder that holds the package."""
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=PACKAGE.parent,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def modules_loaded_by(code: str) -> set[str]:
    printed = run_python(f"{code}; import json, sys; print(json.dumps([*sys.modules]))")
    return {name.split(".")[0] for name in json.loads(printed)}


HEAVY = ("numba", "h5py", "fabio", "matplotlib", "scipy", "skimage", "napari", "qtpy", "PyQt6")


def test_importing_the_package_loads_nothing_heavy():
    modules = modules_loaded_by("import recon3d")
    assert "recon3d" in modules
    assert modules.isdisjoint({*HEAVY, "numpy"})


def test_the_rooms_at_the_bottom_load_nothing_heavier_than_numpy():
    for name in ROOMS[: ROOMS.index("readers")]:
        assert modules_loaded_by(f"import recon3d.{name}").isdisjoint(HEAVY), name


def test_importing_the_package_is_quick():
    code = (
        "import time; start = time.process_time(); import recon3d; "
        "print(time.process_time() - start)"
    )
    assert min(float(run_python(code)) for _ in range(3)) < 0.5


def test_the_package_lists_its_api_alone():
    listed = dir(recon3d)
    for name in listed:
        assert not name.startswith("_")
        assert getattr(recon3d, name) is not None
    assert {"Scan", "Volume", "Settings", "Crystal", "Detector", "Goniometer"} <= set(listed)
    assert {"open_scan", "clean", "reconstruct", "view", "Grain", "CleanedScan"} <= set(listed)


def test_every_error_of_ours_can_be_caught_by_its_public_name():
    trees = [ast.parse(text) for text in sources().values()]
    classes = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)]
    bases = {node.name: {getattr(base, "id", "") for base in node.bases} for node in classes}
    ours = {"Recon3DError"}
    while more := {name for name in bases if bases[name] & ours} - ours:
        ours |= more
    assert len(ours) >= 6
    assert ours <= set(dir(recon3d))


def test_figures_are_drawn_as_the_readme_says():
    assert callable(recon3d.plot.slices_figure)


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="reconstrukt"):
        getattr(recon3d, "recon" + "strukt")


def test_modules_stay_importable_as_modules():
    from recon3d import geometry, plot

    assert plot.__name__ == "recon3d.plot"
    assert geometry.__name__ == "recon3d.geometry"
