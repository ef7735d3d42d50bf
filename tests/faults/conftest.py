"""What the tests of faults share: small scans, fresh for every test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fault_scans import getdata, set_ini, write_scans

from recon3d.cli.main import main
from recon3d.reconstruction.fit.checkpoint import Checkpoints


@pytest.fixture(scope="session")
def pristine(tmp_path_factory) -> Path:
    """The scans of `fault_scans`, the cleaned one, and a grain of it; not to be changed."""
    folder = tmp_path_factory.mktemp("pristine")
    write_scans(folder)
    cleaned = folder / "cleaned"
    cleaned.mkdir()
    assert main(getdata(folder / "edf", outputpath=str(cleaned), outputdirname="out")) == 0
    shutil.copy(folder / "edf" / "experiment.ini", cleaned)
    ini = set_ini(cleaned / "experiment.ini", path="out", method="backprojection")
    set_ini(ini, align="none", handedness="1")
    assert main(["reconstruct", str(ini), "--quiet"]) == 0
    halt(folder)
    return folder


def halt(folder: Path) -> None:
    """A copy of the cleaned scan with the checkpoint of a run that did not come to its end."""
    halted = shutil.copytree(folder / "cleaned", folder / "halted")
    ini = set_ini(halted / "experiment.ini", method="iterative", iterations="2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "remove", lambda _: None)
        assert main(["reconstruct", str(ini), "--quiet", "--checkpoint", "1e-9"]) == 0
    (halted / "out" / "grain.h5").unlink()


@pytest.fixture
def fresh(pristine, tmp_path):
    """Copy one of the scans: edf, bliss, external, cleaned or halted."""

    def copy(kind: str) -> Path:
        scan = tmp_path / kind
        shutil.copytree(pristine / kind, scan)
        return scan

    return copy
