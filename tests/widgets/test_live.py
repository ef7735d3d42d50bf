"""Widgets that stay open while a scan is being written."""

import shutil

import pytest

from recon3d.reconstruction.preview import preview_grain
from recon3d.widgets import Projections
from recon3d.widgets.live import Live

FRAMES = 49


@pytest.fixture
def arriving(simulated, tmp_path):
    """A folder into which the frames of the simulated scan are copied one by one."""
    folder = tmp_path / "arriving"
    folder.mkdir()
    shutil.copy(simulated.folder / "experiment.ini", folder)
    names = sorted(path.name for path in simulated.folder.glob("*.edf"))

    def arrive(first, last):
        for name in names[first:last]:
            shutil.copy(simulated.folder / name, folder / name)

    arrive.folder = folder
    return arrive


def follow_until(live, count):
    """Wait until every open widget knows as many projections."""
    last = [widget.projection for widget in live.widgets]
    live.background.wait(until=lambda: all(slider.max == count - 1 for slider in last))


def test_new_projections_appear_in_open_widgets(simulated, arriving, tmp_path):
    arriving(0, 4 * FRAMES + 20)
    from_there = type(simulated)(arriving.folder, simulated.scan)
    session = from_there.session(tmp_path / "choices.ini", growing=True, framebg=6, min_region=40)
    assert session.scan.shape[0] == 4
    roi, threshold = session.choose_roi(), session.tune_threshold()
    film = session.check_projections()
    assert isinstance(film, Projections)
    live = Live(session.settings, [roi, threshold, film], interval_s=0.1)
    try:
        live.value = True
        follow_until(live, 4)
        arriving(4 * FRAMES + 20, 12 * FRAMES)
        follow_until(live, 12)
        assert "12 complete projections" in live.status.value
        assert len(film.glances) == 12
        live.preview()
        live._preview.wait(until=lambda: live.grain is not None)
        assert live.grain.mask.sum() > 100
        assert "µm, made in " in live.caption.value
        assert "from 12 projections at ω = 0.00 to 165.00°" in live.caption.value
        live.value = False
        live._show_grain(live.grain)
        assert live.status.value.count("not following") == 1
        assert bytes(live.picture.value[:4]) == b"\x89PNG"
    finally:
        live.close()
        for widget in (roi, threshold):
            widget.background.cancel()
    assert live.follower is None


def test_what_a_preview_needs_is_compiled_before_it_is_asked_for(
    simulated, arriving, tmp_path, monkeypatch
):
    arriving(0, 4 * FRAMES)
    from_there = type(simulated)(arriving.folder, simulated.scan)
    settings = from_there.session(tmp_path / "choices.ini", framebg=6, min_region=40).settings
    made = []

    def noted(scan, *arguments, **options):
        made.append(options)
        return preview_grain(scan, *arguments, **options)

    monkeypatch.setattr("recon3d.widgets.live.preview_grain", noted)
    live = Live(settings)
    live._preview.wait()
    assert [(one["projections"], one["voxels"]) for one in made] == [(3, 8)]
    assert live.grain is None
    assert live.status.value == ""
    monkeypatch.setenv("SERVER_SOFTWARE", "voila/0.5.11")
    Live(settings)._preview.wait()
    assert len(made) == 1
    live.preview()
    assert "compiles" not in live.status.value
    live.close()


def test_a_preview_waits_for_the_process_that_compiles(simulated, arriving, tmp_path, monkeypatch):
    arriving(0, 20)
    asked = []
    monkeypatch.setattr("recon3d.widgets.live.begin_compiling", lambda: asked.append("begun"))
    monkeypatch.setattr(
        "recon3d.widgets.live.is_compiling", lambda: (asked.append("waited"), len(asked) < 4)[1]
    )
    from_there = type(simulated)(arriving.folder, simulated.scan)
    live = Live(from_there.session(tmp_path / "choices.ini").settings)
    monkeypatch.setattr(live, "_rough", lambda **_: asked.append("made") or "no grain")
    live._preview.wait()
    assert asked == ["begun", "waited", "waited", "waited", "made"]


def test_a_preview_of_nothing_says_so(simulated, arriving, tmp_path):
    arriving(0, 20)
    from_there = type(simulated)(arriving.folder, simulated.scan)
    live = Live(from_there.session(tmp_path / "choices.ini").settings)
    live.preview()
    assert "the first after an installation compiles" in live.status.value
    live._preview.wait()
    assert live.grain is None
    assert "no new complete projection" in live.status.value
