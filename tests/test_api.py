"""The public calls: wrong arguments are named, and what they return shows itself in a few lines."""

from __future__ import annotations

import pytest
from store_files import make_frames, write

import recon3d as r3


@pytest.fixture
def experiment(write_ini):
    return r3.Experiment.from_ini(write_ini())


def test_a_wrong_argument_is_named_with_what_was_expected(experiment, tmp_path):
    cleaning, out = r3.Cleaning(), tmp_path / "scan.h5"
    for call, message in (
        (lambda: r3.open_scan(5), "path is 5: expected a folder of EDF files"),
        (lambda: r3.open_scan("run1", 5), "prefix is 5: expected"),
        (lambda: r3.clean(cleaning, experiment, out), r"scan is Cleaning\(\): expected a scan"),
        (lambda: r3.clean("run1", cleaning, out), "scan is 'run1': expected a scan, from"),
        (lambda: r3.reconstruct(experiment, cleaning), "clean is Experiment.*: expected a cleaned"),
        (lambda: r3.reconstruct(tmp_path / "none.h5", experiment), r"none\.h5"),
        (lambda: r3.open_store(5), "path is 5: expected the path of a scan.h5"),
        (lambda: r3.Grain.load(5), "path is 5: expected the path of a grain.h5"),
    ):
        with pytest.raises(r3.Recon3DError, match=message) as caught:
            call()
        assert len(str(caught.value)) <= 500


def test_a_path_is_opened_and_what_comes_is_shown_in_a_few_lines(experiment, grain, tmp_path):
    store = write(tmp_path / "scan.h5", make_frames())
    with pytest.raises(r3.ParameterError, match=r"experiment is .*: expected a recon3d\."):
        r3.reconstruct(str(store.path), store)
    for shown in (store, store.motors, experiment, grain, *vars(experiment).values()):
        assert len(repr(shown)) < 800, type(shown)
        assert repr(shown).count("\n") < 8


def test_what_the_commands_refuse_is_refused_in_python_too(experiment, tmp_path):
    frames = make_frames()
    frames[1:] = 0
    store = write(tmp_path / "scan.h5", frames)
    with pytest.raises(r3.DataError, match="1 of 3 projections have signal"):
        r3.reconstruct(store, experiment, show_progress=False)
