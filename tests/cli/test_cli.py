"""The commands as a user types them, on small simulated scans."""

import inspect
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon3d.cli.main import build_parser, main, plain_numbers, run_command
from recon3d.cli.table import COMMANDS
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import open_store
from recon3d.reconstruction.quality.reprojection import experiment_of, find_model, reproject
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.writers.edf_scan import simulate_scan


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small EDF scan with its .ini, in a folder with a space and an accent."""
    out = tmp_path_factory.mktemp("scans") / "grain é 1"
    plan = replace(
        demo_plan(),
        omega_deg=tuple(range(0, 180, 20)),
        rows=56,
        cols=60,
        magnification_pix_per_um=4.0,
    )
    phantom = make_phantom(size_um=8.0, spread_deg=0.05, seed=4)
    simulate_scan(out, phantom, plan, voxels=20, dark_frames=2, show_progress=False)
    return out


def getdata(folder, *options, **changes):
    arguments = {
        "datadir": str(folder),
        "dataname": "topotomo_",
        "bgdir": "-",
        "bgname": "-",
        "poi": "30,28",
        "imgsize": "60,56",
        "outputpath": str(folder),
        "outputdirname": "results",
        "phi0": "-3.5",
        "chi0": "1.2e0",
        "angsteps": "0.032",
        "numangsteps": "7",
        "framebg": "6",
        "binth": "12",
    } | changes
    return main(["getdata", *arguments.values(), "--quiet", "--min-region", "40", *options])


def test_the_whole_road(folder, capsys):
    assert getdata(folder) == 0
    results = folder / "results"
    written = {"scan.h5", "dataarray_final.npy", "mu.npy", "gamma.npy", "omega.npy"}
    assert written <= {path.name for path in results.iterdir()}
    array = np.load(results / "dataarray_final.npy", mmap_mode="r")
    assert array.shape == (7, 7, 9, 56, 60)
    assert main(["reconstruct", str(folder / "experiment.ini"), "--iterations", "2"]) == 0
    grain = Grain.load(results / "grain.h5")
    assert 0 < grain.mask.mean() < 0.6
    saved = np.load(results / "grain_ang.npy")
    assert np.array_equal(saved[..., :2], grain.orientation, equal_nan=True)
    assert main(["export", str(results / "grain.h5"), str(folder / "grain.vti")]) == 0
    assert (folder / "grain.vti").stat().st_size > 4 * grain.mask.size
    assert "warning" not in capsys.readouterr().err


def test_provenance_is_in_the_file(folder):
    assert getdata(folder, outputdirname="again") == 0
    provenance = open_store(folder / "again" / "scan.h5").provenance
    assert provenance["cleaning"]["framebg"] == 6
    assert provenance["getdata"]["dataname"] == "topotomo_"
    assert provenance["hot_pixels_replaced"] > 0
    grain = Grain.load(folder / "results" / "grain.h5").provenance
    for name in ("hot_pixels_replaced", "pixels_dropped_by_mask", "wrapped_pixels"):
        assert grain[name] == provenance[name]


def test_background_arrays_and_options(folder):
    status = getdata(
        folder,
        "--arrays",
        "none",
        "--normalize",
        "total",
        bgdir=str(folder / "background"),
        bgname="dark_",
        outputdirname="with_background",
    )
    assert status == 0
    assert not (folder / "with_background" / "dataarray_final.npy").exists()


def test_binned_frames_give_the_same_grain_from_the_same_numbers(folder, capsys):
    ini = folder / "experiment.ini"
    options = ("--arrays", "none")
    assert getdata(folder, *options, outputdirname="plain", poi="29,27", imgsize="57,53") == 0
    assert getdata(folder, *options, "--binning", "2", poi="29,27", imgsize="57,53") == 0
    assert "warning" not in capsys.readouterr().err
    stores = [open_store(folder / name / "scan.h5") for name in ("plain", "results")]
    assert stores[1].shape[2:] == (26, 28)
    assert stores[1].provenance["getdata"]["binning"] == "2,2"
    text = ini.read_text("utf-8") + "centre_row 26.5\nmethod backprojection\n"
    grains = []
    for name in ("plain", "results"):
        own = folder / f"{name}.ini"
        own.write_text(f"{text}path {name}\n", "utf-8")
        assert main(["reconstruct", str(own), "--quiet"]) == 0
        grains.append(Grain.load(folder / name / "grain.h5"))
    axes = [grain.provenance["rotation_center"] for grain in grains]
    assert axes[1] == pytest.approx(axes[0], abs=0.15)
    plain, binned = (grain.mask for grain in grains)
    assert 2 * (plain & binned).sum() / (plain.sum() + binned.sum()) > 0.93
    assert "binning_rows 2" in (folder / "results" / "Image_properties.txt").read_text("utf-8")
    assert main(["figures", str(folder / "results" / "grain.h5"), "--film", "none", "--quiet"]) == 0


OF_THE_ORIGINAL = """
ang_mean  [0,0]
ang_types  ["phi_upper","phi_lower","Omega"]
detx_size  512
t_x  "None"
t_y  0
path  "grain #1"  # Folder with npy files
format  "edf"
mode "horizontal"
xyz_up [0,0,0]
stem  "../test/box"
"""


def test_an_ini_in_the_manner_of_the_original_and_a_record_of_the_values_used(folder, capsys):
    assert getdata(folder, "--arrays", "none", outputdirname="grain #1") == 0
    given = (folder / "experiment.ini").read_text("utf-8").splitlines()
    replaced = ("path", "mode", "t_", "det", "grain_steps")
    kept = [line for line in given if not line.startswith(replaced)]
    ini = folder / "original.ini"
    ini.write_bytes("\r\n".join([*kept, "grain_steps 16", OF_THE_ORIGINAL]).encode("utf-16"))
    assert main(["reconstruct", str(ini), "--method", "backprojection", "--quiet"]) == 0
    assert capsys.readouterr().err == ""
    grain = Grain.load(folder / "grain #1" / "grain.h5")
    used = Experiment.from_ini(ini).with_settings(method="backprojection")
    assert experiment_of(grain).volume == used.volume
    for key in set(used.record()) - {"path", "handedness"}:
        assert np.array_equal(grain.provenance[key], used.record()[key]), key
    assert Path(grain.provenance["path"]).name == "grain #1"
    model = find_model(grain, folder / "grain #1" / "grain.h5")
    frames = reproject(grain, model, 0)
    assert frames.shape == model.frames(0).shape
    assert frames.sum() > 0


@pytest.mark.parametrize("bins", ["0", "two", "2x2x2", "1.5", "2x-1", ""])
def test_binning_of_no_pixels_is_refused(folder, capsys, bins):
    assert getdata(folder, "--binning", bins, outputdirname="nothing") == 1
    assert "binning is" in capsys.readouterr().err
    assert not (folder / "nothing").exists()


def test_bins_that_leave_nothing_of_the_region_are_refused(folder, capsys):
    assert getdata(folder, "--binning", "40", outputdirname="nothing") == 1
    assert "at least 2 bins" in capsys.readouterr().err
    assert getdata(folder, "--binning", "5x5", outputdirname="nothing", framebg="30") == 1
    assert "framebg" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_reads_only_arguments_that_it_has(name):
    command = COMMANDS[name]
    read = set(re.findall(r"\barguments\.(\w+)", inspect.getsource(command.run)))
    had = set()
    for one in command.arguments:
        had.add(one.how.get("dest", one.names[0].lstrip("-").replace("-", "_")))
    assert read <= had | {"quiet", "communicator"}


@pytest.mark.parametrize(
    ("number", "status", "word"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "terminated"),
        (signal.SIGHUP, 143, "terminated"),
        (signal.SIGXCPU, 143, "terminated"),
    ],
)
def test_a_signal_ends_a_command_with_one_line(capsys, number, status, word):
    former = signal.signal(number, signal.SIG_DFL)  # it may be ignored, as in the background
    try:
        assert run_command("getdata", lambda: os.kill(os.getpid(), number)) == status
    finally:
        signal.signal(number, former)
    message = capsys.readouterr().err
    assert message == f"recon3d getdata: {word}; what was not complete is removed\n"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"dataname": "nothing_"}, "nothing_"),
        ({"datadir": "no_such_folder"}, "no_such_folder"),
        ({"poi": "30"}, "POI"),
        ({"imgsize": "60,56.5"}, "IMGSIZE"),
        ({"imgsize": "400,56"}, "60 columns"),
        ({"phi0": "north"}, "PHI0"),
        ({"framebg": "40"}, "framebg"),
        ({"framebg": "1.5"}, "FRAMEBG"),
        ({"binth": "nan"}, "BINTH"),
        ({"binth": "1e9"}, "binth"),
        ({"angsteps": "1,2,3"}, "ANGSTEPS"),
    ],
)
def test_mistakes_end_with_a_message_and_no_result(folder, capsys, changes, words):
    assert getdata(folder, outputdirname="failed", **changes) == 1
    message = capsys.readouterr().err
    assert words in message
    assert "Traceback" not in message
    assert not list(folder.glob("failed/*.h5"))


def test_steps_that_disagree_with_the_motors_give_a_warning(folder, capsys):
    changes = {"angsteps": "0.05,0.032", "numangsteps": "7,11", "outputdirname": "warned"}
    assert getdata(folder, **changes) == 0
    message = capsys.readouterr().err
    assert "ANGSTEPS is 0.05°" in message
    assert "NUMANGSTEPS is 11" in message


def test_reconstruct_without_a_cleaned_scan(write_ini, capsys):
    assert main(["reconstruct", str(write_ini())]) == 1
    assert "path" in capsys.readouterr().err
    assert main(["reconstruct", str(write_ini(path="results"))]) == 1
    assert "what getdata wrote" in capsys.readouterr().err


def test_negative_numbers_are_no_options():
    words = ["d", "n", "-", "-", "1,1", "2,2", "o", "r", "-1.4e-06", "-3", "0.1", "7", "8", "12"]
    arguments = build_parser().parse_args(plain_numbers(["getdata", *words]))
    assert (float(arguments.phi0), arguments.chi0, arguments.bgdir) == (-1.4e-06, "-3", "-")


def test_help_names_every_argument_of_getdata(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["getdata", "--help"])
    assert stop.value.code == 0
    text = capsys.readouterr().out
    names = "DATADIR DATANAME BGDIR BGNAME POI IMGSIZE OUTPUTPATH OUTPUTDIRNAME PHI0 CHI0"
    for name in [*names.split(), "ANGSTEPS", "NUMANGSTEPS", "FRAMEBG", "BINTH"]:
        assert f"  {name} " in text


def test_simulate_then_refuse_to_overwrite(tmp_path, capsys):
    out = tmp_path / "scan"
    command = [sys.executable, "-m", "recon3d", "simulate", str(out), "--scan", "rocking"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "truth.h5" in done.stderr
    assert len(list(out.glob("*.edf"))) == 60 * 9
    assert main(["simulate", str(out), "--scan", "rocking", "--quiet"]) == 1
    assert "is there already" in capsys.readouterr().err
