"""The one file that carries choices from the notebooks to the commands."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.cli.main import build_parser, main, missing_arguments
from recon3d.config.cleaning import Cleaning
from recon3d.config.declare import as_text, texts_of
from recon3d.config.experiment import Experiment
from recon3d.config.getdata import POSITIONAL, GetData
from recon3d.config.settings_file import KEYS, SettingsFile
from recon3d.errors import ParameterError, Recon3DWarning

numbers = st.floats(allow_nan=False, allow_infinity=False)
angles = st.floats(-360, 360)
cleanings = st.builds(
    Cleaning,
    framebg=st.integers(0, 200),
    binth=st.floats(0, 1e6),
    min_region_pix=st.integers(0, 5000),
    dark=st.booleans(),
    hot_pixels=st.floats(0, 50),
    hot_limit=st.none() | st.floats(1, 1e6),
    normalize=st.sampled_from(["auto", "current", "total", "none"]),
    close_radius_pix=st.integers(0, 5),
    fill_holes=st.booleans(),
)


@pytest.fixture
def settings(tmp_path):
    return SettingsFile(tmp_path / "choices.ini")


@given(cleanings)
def test_every_cleaning_survives_as_text(cleaning):
    assert GetData.from_texts({"datadir": "x", **texts_of(cleaning)}).cleaning == cleaning


@given(phi0=angles, chi0=angles, x=st.integers(0, 9999), y=st.integers(0, 9999))
def test_numbers_survive_as_text(phi0, chi0, x, y):
    texts = {"datadir": "x", "phi0": as_text(phi0), "chi0": as_text(chi0), "poi": as_text((x, y))}
    plan = GetData.from_texts(texts)
    assert (plan.phi0, plan.chi0, plan.poi) == (phi0, chi0, (x, y))


@pytest.mark.parametrize(
    ("text", "bins"), [("2", (2, 2)), ("2x1", (2, 1)), ("3,2", (3, 2)), ("[1, 4]", (1, 4))]
)
def test_binning_is_one_number_or_two(settings, text, bins):
    settings.update({"datadir": "x", "binning": text})
    assert settings.getdata().binning == bins
    settings.update({"binning": bins})
    assert settings.getdata().binning == bins


def test_changes_are_merged_and_ordered(settings):
    assert settings.read() == {}
    settings.update({"binth": 12.5, "datadir": Path("run 1"), "omega_exclude": (10.0, 20.5)})
    settings.update({"binth": 14, "split_half": False}, forget=["omega_exclude"])
    lines = settings.path.read_text("utf-8").splitlines()[1:]
    assert lines == ["datadir run 1", "binth 14", "split_half false"]


def test_paths_count_from_the_file(settings):
    settings.update({"datadir": "run1", "bgdir": "-", "outputdirname": "al"})
    here = settings.path.parent
    plan = settings.getdata()
    assert plan.datadir == str(here / "run1")
    assert plan.bgdir == "-"
    assert plan.outputpath == str(here)
    assert settings.experiment_texts() == {"path": str(here / "al")}


def test_it_overrules_the_ini_file(settings, write_ini):
    ini = write_ini(iterations="7", method="backprojection")
    settings.update({"experiment": ini.name, "iterations": 3, "omega_exclude": (15.0,)})
    chosen = settings.experiment()
    assert chosen.settings.iterations == 3
    assert chosen.settings.omega_exclude == (15.0,)
    assert chosen.settings.method == "backprojection"
    assert settings.experiment(ini) == chosen
    assert chosen == Experiment.from_ini(ini, {"iterations": "3", "omega_exclude": "15.0"})


def test_mistakes_are_named(settings):
    with pytest.raises(ParameterError, match="framebgg"):
        settings.update({"framebgg": 3})
    with pytest.raises(ParameterError, match="datadir"):
        settings.getdata()
    with pytest.raises(ParameterError, match="'experiment' is missing"):
        settings.experiment()
    with pytest.raises(ParameterError, match="line end"):
        settings.update({"datadir": "a\nb"})
    settings.path.write_text("datadir x\nbinthh 3\n", "utf-8")
    with pytest.warns(Recon3DWarning, match="did you mean 'binth'"):
        assert settings.read() == {"datadir": "x"}
    settings.path.write_text("datadir x\npoi 3\n", "utf-8")
    with pytest.raises(ParameterError, match="POI is '3': expected 2 whole numbers, in pixels"):
        settings.getdata()


def test_either_all_places_or_a_settings_file(capsys):
    words = [str(number) for number in range(len(POSITIONAL))]
    parser = build_parser()
    assert missing_arguments(parser.parse_args(["getdata", *words])) == []
    assert missing_arguments(parser.parse_args(["getdata", "--settings", "c.ini"])) == []
    some = parser.parse_args(["getdata", *words[:-2], "--settings", "c.ini"])
    assert missing_arguments(some) == ["FRAMEBG", "BINTH"]
    assert missing_arguments(parser.parse_args(["reconstruct"])) == ["INIFILE"]
    for call in (["getdata", *words[:-1]], ["reconstruct"]):
        with pytest.raises(SystemExit) as stop:
            main(call)
        assert stop.value.code == 2
        assert "required" in capsys.readouterr().err


def test_a_settings_file_that_is_not_there(tmp_path, capsys):
    assert main(["getdata", "--settings", str(tmp_path / "none.ini")]) == 1
    assert "no such file" in capsys.readouterr().err


def test_the_command_line_wins_and_says_so(tmp_path, capsys):
    settings = SettingsFile(tmp_path / "choices.ini")
    settings.update({"datadir": "nowhere", "binth": 30.0, "min_region": 7})
    words = ["nowhere", "a_", "-", "-", "3,3", "4,4", str(tmp_path), "o", "0", "0", "1", "1", "0"]
    assert main(["getdata", *words, "12", "--settings", str(settings.path)]) == 1
    assert "BINTH is 12 here and 30.0 in" in capsys.readouterr().err


def test_a_folder_with_a_number_sign(settings):
    settings.update({"datadir": "grain #1", "outputdirname": "#2", "dataname": "it's #3"})
    plan = settings.getdata()
    assert plan.datadir == str(settings.path.parent / "grain #1")
    assert (plan.outputdirname, plan.dataname) == ("#2", "it's #3")
    assert settings.experiment_texts()["path"] == str(settings.path.parent / "#2")


def test_what_is_to_be_suggested():
    texts = {"datadir": "x", "poi": "-", "imgsize": "-", "framebg": "-", "binth": "14"}
    plan = GetData.from_texts(texts)
    assert (plan.poi, plan.imgsize) == (None, None)
    assert plan.cleaning == Cleaning(binth=14)
    assert GetData.from_texts(plan.texts()) == plan


def test_a_dash_for_what_the_motors_tell():
    words = dict.fromkeys(("phi0", "chi0", "angsteps", "numangsteps"), "-")
    assert GetData.from_texts({"datadir": "x"} | words) == GetData(datadir="x")


@given(cleanings, st.booleans(), st.sampled_from(["final", "all", "none"]))
def test_the_texts_of_a_plan_give_it_again(cleaning, skip, arrays):
    plan = GetData(datadir="x #1", cleaning=cleaning, skip_damaged=skip, arrays=arrays, poi=(3, 4))
    assert GetData.from_texts(plan.texts()) == plan


def test_bounds_of_a_setting_are_those_of_the_argument_of_its_name():
    assert KEYS["memory_gib"].bounds == "> 0"
    assert KEYS["tv_weight"].bounds == ">= 0, <= 100"
    assert KEYS["t_x"].bounds == "> -80, < 80"


def test_the_page_of_settings_is_that_of_the_declarations(repository):
    written = runpy.run_path(str(repository / "docs" / "write_settings.py"))
    page = (repository / "docs" / "settings.md").read_text("utf-8")
    assert page == written["page"](), "run python docs/write_settings.py"


def test_every_key_that_the_readme_shows_is_on_the_page(repository):
    page = (repository / "docs" / "settings.md").read_text("utf-8")
    keys = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert {"M", "grain_steps", "orientation_matrix", "BINTH", "min_region", "memory_gib"} <= keys
    readme = (repository / "README.md").read_text("utf-8")
    (example,) = re.findall(r"^```ini\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    assert {line.split()[0] for line in example.splitlines()} <= keys
