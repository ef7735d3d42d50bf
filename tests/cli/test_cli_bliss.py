"""The command line with BLISS files: one small scan, simulated and cleaned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from recon3d.cli.main import main
from recon3d.files.store import open_store
from recon3d.simulate import SimulatedDetector, Steps, demo_plan, make_phantom, simulate_scan
from recon3d.simulate.writers.bliss_scan import simulate_bliss

PLAN = replace(
    demo_plan(),
    omega_deg=(0.0, 30.0, 60.0),
    mu=Steps(0.08, 5),
    gamma=Steps(0.06, 3),
    rows=64,
    cols=64,
    magnification_pix_per_um=4.0,
)


def arguments(source, name, folder, background=("-", "-")):
    return [
        *("getdata", str(source), name, *map(str, background), "32,32", "64,64"),
        *(str(folder), "results", f"{PLAN.phi0_deg:g}", f"{PLAN.chi0_deg:g}"),
        *("0.04,0.06", "5,3", "6", "20", "--quiet"),
    ]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("twins")
    phantom, detector = make_phantom("subgrains", 6.0, 0.04, 3), SimulatedDetector(seed=3)
    options = {"dark_frames": 3, "show_progress": False}
    simulate_scan(folder / "edf", phantom, PLAN, detector, **options)
    simulate_bliss(folder / "bliss", phantom, PLAN, detector, external=True, **options)
    return folder


def test_edf_and_bliss_give_the_same_arrays(folders):
    edf, bliss = folders / "edf", folders / "bliss"
    background = (edf / "background", "dark_")
    assert main(arguments(edf, "topotomo_", edf, background)) == 0
    background = (bliss / "background.h5", "-")
    assert main(arguments(bliss / "topotomo.h5", "pco_ff", bliss, background)) == 0
    ours, theirs = (np.load(folder / "results" / "dataarray_final.npy") for folder in (bliss, edf))
    assert theirs.any()
    np.testing.assert_allclose(ours, theirs, atol=0.01)


def test_entries_are_chosen(folders, tmp_path):
    file = folders / "bliss" / "topotomo.h5"
    assert main([*arguments(file, "-", tmp_path), "--entries", "1.1,3-9"]) == 0
    store = open_store(tmp_path / "results" / "scan.h5")
    np.testing.assert_allclose(store.omega_deg, [0, 60], atol=1e-3)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("eiger", [], "no frames of a detector 'eiger'"),
        ("-", ["--entries", "7"], "entries 7: "),
        ("-", ["--motors", "id06"], "no motor 'diffrz'"),
        ("-", ["--motors", "id99"], "expected auto, id06 or id03"),
    ],
)
def test_mistakes_are_explained(folders, tmp_path, capsys, name, options, message):
    file = folders / "bliss" / "topotomo.h5"
    assert main([*arguments(file, name, tmp_path), *options]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_bliss_files_are_simulated(tmp_path, monkeypatch):
    monkeypatch.setattr("recon3d.simulate.presets.PLANS", {"demo": lambda: PLAN})
    command = [
        "simulate",
        str(tmp_path / "sim"),
        "--format",
        "bliss",
        "--prefix",
        "run7_",
        "--quiet",
    ]
    assert main([*command, "--size", "6"]) == 0
    assert main([*command, "--size", "6"]) == 1
    assert main([*command, "--size", "6", "--external", "--overwrite"]) == 0
    assert len(list((tmp_path / "sim").glob("run7_scan*/pco_ff_*.h5"))) == 9
    assert (tmp_path / "sim" / "run7.h5").exists()
