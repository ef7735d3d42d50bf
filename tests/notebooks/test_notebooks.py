"""Every notebook, run from top to bottom as a new user does: nothing edited, nothing clicked."""

import ast

import numpy as np
import pytest

from recon3d.analysis.misorientation import dice
from recon3d.cli.main import main
from recon3d.cli.notebooks import jupyterlab_command, notebook_sources
from recon3d.config.experiment import Experiment
from recon3d.config.settings_file import SettingsFile
from recon3d.files.grain import Grain
from recon3d.simulate.lesson import planted_grain
from recon3d.simulate.truth import Truth

NAMES = [path.stem for path in notebook_sources()]


@pytest.fixture
def nbformat():
    import nbformat

    return nbformat


def test_there_are_seven():
    assert NAMES == [
        "00_learn_dfxm",
        "01_choose_roi",
        "02_tune_threshold",
        "03_check_projections",
        "04_reconstruct",
        "05_view_grain",
        "06_analyse_grain",
    ]


@pytest.mark.parametrize("path", notebook_sources(), ids=NAMES)
def test_it_is_stored_without_outputs(nbformat, path):
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None
        assert set(cell.metadata) == set()


@pytest.mark.parametrize("path", notebook_sources(), ids=NAMES)
def test_its_logic_lives_in_the_library(nbformat, path):
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            nodes = [*ast.walk(ast.parse(cell.source))]
            logic = (ast.FunctionDef, ast.ClassDef, ast.If, ast.While, ast.Try, ast.Lambda)
            assert not any(isinstance(node, logic) for node in nodes)
            assert cell.source.count("\n") < 20


@pytest.mark.parametrize("name", NAMES)
def test_it_runs_from_top_to_bottom(run_notebook, name):
    run_notebook(name)


def test_what_came_out_is_the_planted_grain(copied):
    """Runs after the notebooks, which left everything in their folder."""
    settings = SettingsFile(copied / "choices.ini")
    assert {"poi", "imgsize", "framebg", "binth", "iterations"} <= set(settings.read())
    grain = Grain.load(copied / "results" / "grain.h5")
    experiment = Experiment.from_ini(copied / "simulated" / "experiment.ini")
    planted = planted_grain(Truth.load(copied / "simulated" / "truth.h5"), experiment)
    assert dice(grain.mask, planted.mask) > 0.9
    both = grain.mask & planted.mask
    error = np.linalg.norm((grain.orientation - planted.orientation)[both], axis=-1)
    assert np.median(error) < 0.003


def test_changed_notebooks_are_not_replaced_unless_asked(nbformat, tmp_path, capsys):
    folder = tmp_path / "lab"
    assert main(["notebooks", str(folder)]) == 0
    assert main(["notebooks", str(folder)]) == 0
    (folder / "01_choose_roi.ipynb").write_text("mine", "utf-8")
    assert main(["notebooks", str(folder)]) == 1
    assert "01_choose_roi.ipynb were changed" in capsys.readouterr().err
    assert (folder / "01_choose_roi.ipynb").read_text("utf-8") == "mine"
    assert main(["notebooks", str(folder), "--overwrite"]) == 0
    assert nbformat.read(folder / "01_choose_roi.ipynb", 4).cells


def test_jupyterlab_is_opened_for_this_machine_only(tmp_path):
    command = jupyterlab_command(tmp_path)
    assert "--ServerApp.ip=127.0.0.1" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    (page,) = [word for word in command if word.startswith("--LabApp.default_url=")]
    assert page.endswith(f"/{NAMES[1]}.ipynb")
