"""Pages that voila serves of a finished scan change no file, and say what is missing."""

from __future__ import annotations

import pytest
from widget_scan import CHI0, PHI0, simulate_widget_scan

from recon3d.widgets import Session

ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
PAGES = (
    ("01_choose_roi", "of the light falls outside"),
    ("02_tune_threshold", "of the signal is kept"),
    ("03_check_projections", "frames missing"),
    ("04_reconstruct", "press start"),
    ("05_view_grain", "voxel"),
)
"""Every page, and what it says when it is there."""


def files(folder):
    found = [path for path in folder.rglob("*") if path.suffix in (".ini", ".h5", ".npy", ".edf")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def finished(copied):
    simulate_widget_scan(copied / "frames")
    more = {"phi0": PHI0, "chi0": CHI0, "min_region": 40, "show_progress": False}
    session = Session.start(copied / "frames", "topotomo_", settings=copied / "choices.ini", **more)
    assert session.grain.mask.any()
    return copied


@pytest.fixture(scope="module")
def served(finished, serve_voila):
    with serve_voila(finished) as address:
        yield address


def test_pages_that_are_opened_change_no_file(page, served, finished):
    before = files(finished)
    assert len(before) > 5
    # All kernels start side by side.
    tabs = [page.context.new_page() for _ in PAGES]
    for tab, (name, _) in zip(tabs, PAGES, strict=True):
        tab.goto(f"{served}/{name}.ipynb", wait_until="commit")
    for tab, (_, text) in zip(tabs, PAGES, strict=True):
        tab.bring_to_front()
        tab.get_by_text(text).first.wait_for(timeout=120_000)
        tab.locator("canvas").first.wait_for()
        assert tab.locator(ERRORS).count() == 0
        tab.close()
    assert files(finished) == before


def test_the_analysis_without_a_grain_says_what_is_missing(page, served, finished):
    (finished / "results" / "grain.h5").rename(finished / "kept.h5")
    page.goto(f"{served}/06_analyse_grain.ipynb")
    page.get_by_text("there is no grain of these choices yet").wait_for()
    page.get_by_role("button", name="Reconstruct it").click()
    page.get_by_text("It is there now: load this page again.").wait_for()
    assert page.locator(ERRORS).count() == 0
    page.reload()
    page.get_by_text("boundaries").first.wait_for()
    page.get_by_text("Click into a slice").wait_for()
    assert page.locator(ERRORS).count() == 0
