"""The same settings, chosen in the widgets and typed on the command line, give the same files."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from recon3d.cli.main import main
from recon3d.config.declare import as_text
from recon3d.config.experiment import Experiment
from recon3d.config.settings_file import SettingsFile
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.writers.edf_scan import simulate_scan
from recon3d.widgets import Session

PHI0, CHI0 = -3.5, 1.2
PLACES = {"PATH", "path", "getdata"}
"""Attributes that name folders, which differ."""
WHOLE_FRAME = {"poi": (22, 20), "imgsize": (44, 40)}
OTHERWISE = {*PLACES, "date", "suggested", "_text_sums"}


@dataclass(frozen=True)
class Data:
    """Frames with background frames, a flat field and a map of bad pixels."""

    folder: Path
    flat_field: Path
    bad_pixels: Path

    def session(self, folder: Path, **more) -> Session:
        """A session with a settings file, and its results, in a folder."""
        folder.mkdir(exist_ok=True)
        return Session.start(
            self.folder,
            "topotomo_",
            settings=folder / "choices.ini",
            show_progress=False,
            **WHOLE_FRAME,
            **{"phi0": PHI0, "chi0": CHI0, "bgdir": self.folder / "background"} | more,
        )

    def typed(self, out: Path, *options: str, **changes: str) -> None:
        """`recon3d getdata` with all places typed, some of them changed."""
        places = {
            "data": str(self.folder),
            "name": "topotomo_",
            "background": str(self.folder / "background"),
            "background_name": "-",
            "poi": "22,20",
            "imgsize": "44,40",
            "outputpath": str(out),
            "outputdirname": "results",
            "phi0": str(PHI0),
            "chi0": str(CHI0),
            "steps": "0.032",
            "numbers": "7",
            "framebg": "4",
            "binth": "14.5",
        }
        words = [*(places | changes).values(), *options, "--quiet"]
        assert main(["getdata", *words]) == 0


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Data:
    folder = tmp_path_factory.mktemp("parity") / "frames"
    plan = replace(
        demo_plan(),
        omega_deg=tuple(18.0 * k for k in range(10)),
        rows=40,
        cols=44,
        magnification_pix_per_um=2.6,
    )
    phantom = make_phantom(size_um=8.0, spread_deg=0.05, seed=4)
    simulate_scan(folder, phantom, plan, voxels=12, dark_frames=2, show_progress=False)
    rng = np.random.default_rng(3)
    flat, bad = folder / "flat.npy", folder / "bad.npy"
    np.save(flat, rng.uniform(0.8, 1.2, (40, 44)))
    np.save(bad, (rng.uniform(size=(40, 44)) < 0.01).astype(np.uint8))
    return Data(folder, flat, bad)


def contents(path: Path) -> dict[str, object]:
    """All arrays and attributes of an HDF5 file, but for places, dates and who chose a value."""
    found: dict[str, object] = {}

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset) and name.rpartition("/")[2] not in OTHERWISE:
            found[name] = (item.dtype.str, item.shape, np.array(item[()]).tobytes())
        for key, value in item.attrs.items():
            if key not in OTHERWISE:
                found[f"{name}:{key}"] = str(value)

    with h5py.File(path) as file:
        note("", file)
        file.visititems(note)
    return found


def same_files(one: Path, other: Path, names: tuple[str, ...]) -> None:
    """Compare HDF5 files array for array, and all others byte for byte."""
    for name in names:
        if name.endswith(".h5"):
            first, second = contents(one / name), contents(other / name)
            assert first.keys() == second.keys()
            assert [key for key in first if first[key] != second[key]] == [], name
        else:
            assert (one / name).read_bytes() == (other / name).read_bytes(), name


CLEANED = ("scan.h5", "dataarray_final.npy", "mu.npy", "gamma.npy", "omega.npy")
GRAIN = ("grain.h5", "grain_ang.npy")

STEPS = [
    ("dark", False, ["--no-dark"], {}),
    ("hot", False, ["--hot-pixels", "0"], {}),
    ("frame_background", False, [], {"framebg": "0"}),
    ("framebg", 6, [], {"framebg": "6"}),
    ("binth", 31.5, [], {"binth": "31.5"}),
    ("min_region", 55, ["--min-region", "55"], {}),
    ("fill_holes", False, ["--keep-holes"], {}),
    ("close_mask", False, ["--close-radius", "0"], {}),
    ("use_background", False, [], {"background": "-"}),
    ("normalize", "total", ["--normalize", "total"], {}),
    ("normalize", "current", ["--normalize", "current"], {}),
    ("normalize", "none", ["--normalize", "none"], {}),
    (
        "mask",
        False,
        ["--min-region", "0", "--close-radius", "0", "--keep-holes"],
        {"binth": "0"},
    ),
]


@pytest.mark.parametrize(("name", "value", "options", "changes"), STEPS)
def test_a_step_of_cleaning(data, tmp_path, name, value, options, changes):
    chosen = tmp_path / "chosen"
    session = data.session(chosen, framebg=4, binth=14.5, min_region=20)
    widget = session.tune_threshold()
    before = widget.params
    getattr(widget, name).value = value
    assert widget.params != before
    widget.background.cancel()
    assert session.store.provenance["cleaning"]["binth"] == widget.value.binth
    usual = [] if "--min-region" in options else ["--min-region", "20"]
    data.typed(tmp_path / "typed", *usual, *options, **changes)
    same_files(chosen / "results", tmp_path / "typed" / "results", CLEANED)


def test_flat_field_and_bad_pixels(data, tmp_path):
    images = {"flat_field": data.flat_field, "bad_pixels": data.bad_pixels}
    session = data.session(tmp_path, framebg=4, binth=14.5, **images)
    widget = session.tune_threshold()
    typed = ["--flat-field", str(data.flat_field), "--bad-pixels", str(data.bad_pixels)]
    for wanted, options in ((False, []), (True, typed)):
        widget.use_detector.value = wanted
        widget.background.cancel()
        shown = np.array(widget._figure.images["before"].get_array())
        assert session.store.path.is_file()
        out = tmp_path / f"typed{wanted}"
        data.typed(out, *options)
        same_files(tmp_path / "results", out / "results", CLEANED)
    assert shown.shape == (40, 44)


def test_a_step_that_is_switched_on_again_is_as_before(data, tmp_path):
    session = data.session(tmp_path, framebg=4, binth=14.5)
    widget = session.tune_threshold()
    first, after = widget.params, np.array(widget._figure.images["after"].get_array())
    for step in widget.steps:
        if not step.disabled and step is not widget.mask:
            step.value = False
            step.value = True
    widget.background.cancel()
    assert widget.params == first
    assert SettingsFile(tmp_path / "choices.ini").getdata().bgdir == first["bgdir"]
    np.testing.assert_array_equal(widget._figure.images["after"].get_array(), after)


def test_the_background_changes_what_is_shown(data, tmp_path):
    widget = data.session(tmp_path, binth=14.5).tune_threshold()
    widget.dark.value = widget.hot.value = widget.frame_background.value = False
    with_it = np.array(widget._figure.images["background"].get_array())
    widget.use_background.value = False
    widget.background.cancel()
    without = np.array(widget._figure.images["background"].get_array())
    assert with_it.mean() > without.mean() + 10


def test_the_region_of_interest(data, tmp_path):
    session = data.session(tmp_path, framebg=4, binth=14.5, bgdir="-")
    widget = session.choose_roi()
    widget.select(5, 3, 37, 35)
    widget.background.cancel()
    center, size = widget.value
    session.tune_threshold().background.cancel()
    assert session.store.shape[2:] == (33, 33)
    words = {"poi": f"{center[0]},{center[1]}", "imgsize": f"{size[0]},{size[1]}"}
    data.typed(tmp_path / "typed", background="-", **words)
    same_files(tmp_path / "results", tmp_path / "typed" / "results", CLEANED)


@pytest.fixture(scope="module")
def cleaned(data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("cleaned")
    session = data.session(folder, framebg=4, binth=14.5, min_region=20)
    assert session.store.path.is_file()
    return folder


PARAMETERS = [
    {"method": "backprojection", "cutoff": 0.8, "voxels": 14},
    {"iterations": 2, "bin_size": 0.02, "align": "none", "split_half": False},
    {"iterations": 3, "tv_weight": 0.05, "align": "axis", "split_half": False},
]


@pytest.mark.parametrize("parameters", PARAMETERS)
def test_parameters_of_the_reconstruction(data, cleaned, tmp_path, parameters):
    """Started in the widget, by the settings file, and by an .ini file that holds the same."""
    chosen = tmp_path / "chosen"
    shutil.copytree(cleaned, chosen)
    session = data.session(chosen)
    films = session.check_projections()
    films.value = (36.0,)
    widget = session.reconstruct()
    for name, value in parameters.items():
        getattr(widget, name).value = value
    widget.done()
    by_widget = tmp_path / "widget"
    shutil.copytree(chosen / "results", by_widget)
    assert main(["reconstruct", "--settings", str(chosen / "choices.ini"), "--quiet"]) == 0
    same_files(by_widget, chosen / "results", GRAIN)
    ini = tmp_path / "typed.ini"
    ini.write_text(typed_ini(data, widget.params | films.params, by_widget), "utf-8")
    assert main(["reconstruct", str(ini), "--quiet", "--memory", "8"]) == 0
    same_files(by_widget, chosen / "results", GRAIN)


def typed_ini(data: Data, params: dict[str, object], folder: Path) -> str:
    """The .ini beside the frames, with what the widget says typed into it."""
    lines = (data.folder / "experiment.ini").read_text("utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("path", "grain_steps"))]
    added = [f"{key} {as_text(value)}" for key, value in params.items() if key != "memory_gib"]
    return "\n".join([*kept, *added, f"path {folder}", ""])


@pytest.mark.parametrize(
    ("name", "value"),
    [("voxels", 10), ("bin_size", 0.01), ("align", "axis"), ("tv_weight", 0.2)],
)
def test_every_control_is_in_the_settings_file(data, cleaned, tmp_path, name, value):
    chosen = tmp_path / "chosen"
    shutil.copytree(cleaned, chosen)
    session = data.session(chosen)
    widget = session.reconstruct()
    getattr(widget, name).value = value
    widget.memory.value = 3.5
    widget.save()
    filed: Experiment = session.settings.experiment()
    assert filed == widget.value
    assert session.settings.memory_gib() == 3.5
