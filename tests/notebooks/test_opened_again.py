"""Pages of a finished scan that voila serves, opened one after the other, change no file."""

from __future__ import annotations

import pytest
from browsing import cut_off, files, looks
from widget_scan import widget_session

ERRORS = "[data-mime-type='application/vnd.jupyter.error']"
PAGES = (
    ("01_choose_roi", "suggested with framebg"),
    ("02_tune_threshold", "of the signal is kept"),
    ("04_reconstruct", "press start"),
)
"""Pages with choices, and what each says when it is there; others are opened in the night."""


@pytest.fixture(scope="module")
def finished(copied):
    # Backprojected: quicker, and the pages open a grain as they open any other.
    assert widget_session(copied, method="backprojection").grain.mask.any()
    return copied


def test_pages_that_are_opened_one_after_the_other_change_no_file(page, finished, voila):
    before = files(finished)
    assert {path.name for path in before} >= {"choices.ini", "scan.h5", "grain.h5"}
    served = voila(finished)
    # The first one is opened again at the end.
    for name, text in (*PAGES, PAGES[0]):
        page.goto(f"{served}/{name}.ipynb", wait_until="commit")
        page.get_by_text(text).first.wait_for()
        page.locator("canvas").first.wait_for()
        assert page.locator(ERRORS).count() == 0
        if name == "01_choose_roi":
            page.get_by_text("the experiment (.ini file)").click()
            page.get_by_text("detector", exact=True).click()
            page.get_by_text("omega_sense").wait_for()
        for width in (1280, 900, 1280):
            page.set_viewport_size({"width": width, "height": 1400})
            page.wait_for_timeout(500)
            for _ in looks(page):  # a figure follows the page's width in its own time
                if not (cut := cut_off(page)):
                    break
            assert cut == [], (name, width)
        changed = [path.name for path, kept in files(finished).items() if before[path] != kept]
        assert not changed, name
    assert files(finished) == before
