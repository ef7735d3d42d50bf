"""Every fault of the catalogue: the exit status, the message, and what is left behind."""

import hashlib
from pathlib import Path

import pytest
from fault_catalogue import load, with_table

from recon3d.cli.main import main
from recon3d.errors import shortened
from recon3d.files.grain import Grain
from recon3d.files.store import open_store

FAULTS = load()
SKIPPABLE = [fault for fault in FAULTS if fault.left_out]
RESULTS = ("scan.h5", "dataarray_final.npy", "mu.npy", "grain.vti", "Image_properties.txt")


def names(faults):
    return [f"{fault.room}: {fault.what}" for fault in faults]


def results(folder: Path, scan: Path) -> list[str]:
    """What is in a folder under final names, and any temporary file."""
    return [
        path.name
        for path in folder.rglob("*")
        if ".part" in path.name
        or (path.name in RESULTS and scan / "out" not in path.parents and path.is_file())
    ]


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file() and "out" not in path.parts
    }


@pytest.mark.parametrize("fault", FAULTS, ids=names(FAULTS))
def test_a_fault(fault, fresh, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    scan = fresh(fault.scan)
    words = fault.make(scan)
    before = digests(tmp_path)
    status = run(words)
    message = capfd.readouterr().err
    assert status == fault.status, message
    assert fault.matches(message), message
    assert "Traceback" not in message
    assert "unexpected" not in message
    assert {path: text for path, text in digests(tmp_path).items() if path in before} == before
    if status:
        assert len(message.strip().splitlines()) <= 2
        assert results(tmp_path, scan) == []
    elif not fault.message:
        # The scan of these tests is narrower than its grain: only such doubts are told.
        label = "recon3d: warning: "
        told = {line.removeprefix(label) for line in message.splitlines() if label in line}
        assert not told or told == {shortened(doubt) for doubt in doubts_in(scan)}


def doubts_in(scan: Path) -> tuple[str, ...]:
    return tuple(Grain.load(scan / "out" / "grain.h5").doubts)


@pytest.mark.parametrize("fault", SKIPPABLE, ids=names(SKIPPABLE))
def test_the_rest_comes_out_with_skip_damaged(fault, fresh, tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = fault.make(fresh(fault.scan))
    assert run([*words, "--skip-damaged"]) == 0
    message = capfd.readouterr().err
    store = open_store(tmp_path / "out" / "scan.h5")
    for name in fault.left_out:
        assert name.split(",")[0] in message
        assert any(name in line for line in store.left_out), store.left_out
    assert store.provenance["frames_left_out"] == len(store.left_out)
    assert (store.integrated > 0).sum() > 20
    assert (store.integrated[~store.valid] == 0).all()


def run(words: list[str]) -> int:
    try:
        return main(words)
    except SystemExit as stop:
        return stop.code


def test_the_table_in_the_docs_is_this_catalogue(repository):
    page = (repository / "docs" / "faults.md").read_text("utf-8")
    assert page == with_table(page), "run: python tests/faults/fault_catalogue.py"
