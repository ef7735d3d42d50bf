"""Pages of a finished scan that voila serves, opened one after the other, change no file."""

from __future__ import annotations

import pytest
from widget_scan import CHI0, PHI0, simulate_widget_scan

from recon3d.widgets import Session

ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
PAGES = (
    ("01_choose_roi", "suggested with framebg"),
    ("02_tune_threshold", "of the signal is kept"),
    ("03_check_projections", "frames missing"),
    ("04_reconstruct", "press start"),
    ("05_view_grain", "axes in µm"),
)
"""Pages with choices or results, and what each says when it is there."""


def files(folder):
    found = [path for path in folder.rglob("*") if path.suffix in (".ini", ".h5", ".npy", ".edf")]
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


@pytest.fixture(scope="module")
def finished(copied):
    simulate_widget_scan(copied / "frames")
    # Backprojected: quicker, and the pages open a grain as they open any other.
    more = {"phi0": PHI0, "chi0": CHI0, "min_region": 40, "method": "backprojection"}
    settings = copied / "choices.ini"
    session = Session.start(
        copied / "frames", "topotomo_", settings=settings, show_progress=False, **more
    )
    assert session.grain.mask.any()
    return copied


def test_pages_that_are_opened_one_after_the_other_change_no_file(page, finished, serve_voila):
    before = files(finished)
    assert {path.name for path in before} >= {"choices.ini", "scan.h5", "grain.h5"}
    with serve_voila(finished) as served:
        # The first one is opened again at the end.
        for name, text in (*PAGES, PAGES[0]):
            page.goto(f"{served}/{name}.ipynb", wait_until="commit")
            page.get_by_text(text).first.wait_for()
            page.locator("canvas").first.wait_for()
            assert page.locator(ERRORS).count() == 0
            changed = [path.name for path, kept in files(finished).items() if before[path] != kept]
            assert not changed, name
    assert files(finished) == before
