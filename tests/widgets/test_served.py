"""A page that voila serves shows what was saved, and changes nothing until a button is pressed."""

import shutil

import pytest

from recon3d.errors import ParameterError
from recon3d.widgets import Reconstruct, Session, Threshold
from recon3d.widgets.controls.asked import Waiting


@pytest.fixture
def served(monkeypatch):
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.11")


def files(folder):
    return {
        path: (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def opened(session):
    """Everything that the notebooks 01 to 05 do, without a click; what they show."""
    shown = [session.choose_roi(), session.tune_threshold(), session.clean()]
    shown += [session.check_projections(), session.mosaicity(), session.reconstruct()]
    shown += [session.show_grain(), session.slices(), session.surface(), session.open_viewer()]
    shown.append(session.show_quality())
    for widget in shown:
        if hasattr(widget, "done"):
            widget.done()
        if hasattr(widget, "background"):
            widget.background.wait()
    session.results()
    return shown


@pytest.mark.usefixtures("served")
def test_pages_of_a_finished_grain_change_no_file(finished):
    before = files(finished.folder.parent)
    shown = opened(Session.start(settings=finished.settings.path, show_progress=False))
    assert not any(isinstance(widget, Waiting) for widget in shown)
    assert files(finished.folder.parent) == before


@pytest.mark.usefixtures("served")
def test_nothing_is_cleaned_or_chosen_before_it_is_asked_for(session, tmp_path):
    before = files(tmp_path)
    roi, threshold, cleaning, *others = opened(session)
    assert files(tmp_path) == before
    assert all(isinstance(widget, Waiting) for widget in (cleaning, *others))
    # What the data suggest is shown, though not saved.
    assert threshold.binth.value > 0
    assert roi.status.value
    cleaning.button.click()
    cleaning.background.wait()
    assert "12 projections of 49 frames" in cleaning.children[-1].value
    assert (session.folder / "scan.h5").exists()
    assert not (session.folder / "grain.h5").exists()
    assert isinstance(session.reconstruct(), Reconstruct)


@pytest.mark.usefixtures("served")
def test_a_control_that_is_moved_is_saved(session):
    threshold = session.tune_threshold()
    threshold.background.wait()
    assert "binth" not in session.settings.read()
    threshold.binth.value = 21.5
    assert session.plan.cleaning.binth == 21.5
    assert session.plan.poi == threshold.params["poi"]


@pytest.mark.usefixtures("served")
def test_other_data_are_refused(session, simulated, tmp_path):
    (tmp_path / "other").mkdir()
    shutil.copy(simulated.folder / "topotomo_0000.edf", tmp_path / "other" / "a_0000.edf")
    before = files(tmp_path)
    with pytest.raises(ParameterError, match="other data"):
        Session.start(tmp_path / "other", "a_", settings=session.settings.path)
    assert files(tmp_path) == before


def test_controls_stand_still_until_the_data_have_suggested(session):
    threshold = session.tune_threshold()
    assert threshold.binth.disabled
    assert threshold.framebg.disabled
    threshold.background.wait()
    assert isinstance(threshold, Threshold)
    assert not threshold.binth.disabled
    assert threshold.use_background.disabled  # there is none


def test_a_region_that_the_data_could_not_suggest_is_not_saved(session, monkeypatch):
    def nothing(*_, **__):
        raise ParameterError("no light")
        yield

    monkeypatch.setattr("recon3d.widgets.roi.suggesting", nothing)
    roi = session.choose_roi()
    with pytest.raises(ParameterError, match="no light"):
        roi.done()
    assert "poi" not in session.settings.read()
    roi.value = ((34, 30), (60, 52))
    roi.done()
    assert session.plan.poi == (34, 30)
