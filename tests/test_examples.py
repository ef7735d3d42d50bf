"""The examples of the reference run as they stand, in a folder with a small scan and a grain."""

from __future__ import annotations

import doctest
import inspect
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest

import recon3d as r3
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.simulate.scan_plan import Steps

ROOMS = (r3, r3.analysis, r3.plot, r3.simulate)


def two_halves() -> Grain:
    """A box of 10 x 10 x 10 voxels with a tilt of 0.05° below z = 0 and -0.05° above."""
    volume = Volume((0, 0, 0), (6, 6, 6), (12, 12, 12))
    mask = np.zeros(volume.shape, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    known = np.where(mask, 1, np.nan)
    a = np.where(volume.axis_um(2) < 0, 0.05, -0.05) * known
    return Grain(
        volume,
        occupancy=mask.astype(np.float32),
        mask=mask,
        orientation=np.stack([a, 0 * known], axis=-1).astype(np.float32),
        orientation_error=np.stack([0.001 * known] * 2, axis=-1).astype(np.float32),
        orientation_spread=(0 * known).astype(np.float32),
        completeness=mask.astype(np.float32),
        provenance={"method": "iterative"},
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("examples")
    plan = replace(
        r3.simulate.demo_plan(),
        omega_deg=tuple(np.arange(0, 180, 15.0)),
        drift_pix=((0.0, 0.0),) * 12,
        mu=Steps(0.064, 5),
        gamma=Steps(0.064, 5),
        rows=32,
        cols=32,
        magnification_pix_per_um=2.0,
    )
    phantom = r3.simulate.make_phantom("subgrains", size_um=8, spread_deg=0.03, seed=4)
    r3.simulate.simulate_scan(where / "run1", phantom, plan, voxels=24, show_progress=False)
    scan = r3.open_scan(where / "run1", prefix="topotomo_", show_progress=False)
    r3.clean(scan, r3.Cleaning(framebg=3, binth=12), where / "scan.h5", show_progress=False)
    text = (where / "run1" / "experiment.ini").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("grain_steps")]
    (where / "al.ini").write_text("\n".join([*lines, "grain_steps 12", ""]), "utf-8")
    two_halves().save(where / "grain.h5")
    return where


def examples():
    finder = doctest.DocTestFinder(recurse=False)
    public = {name: getattr(room, name) for room in ROOMS for name in room.__all__}
    objects = (
        (name, one)
        for name, one in public.items()
        if inspect.isroutine(one) or inspect.isclass(one)
    )
    return [
        test for test in chain(*(finder.find(one, name) for name, one in objects)) if test.examples
    ]


def test_the_main_names_have_examples():
    named = {test.name for test in examples()}
    assert named >= {
        "open_scan",
        "clean",
        "suggest",
        "reconstruct",
        "Grain",
        "Experiment",
        "mosaicity",
        "find_cells",
    }


@pytest.mark.parametrize("example", examples(), ids=lambda test: test.name)
def test_an_example_runs_as_it_stands(example, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    failed, _ = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(example)
    assert failed == 0, capsys.readouterr().out
