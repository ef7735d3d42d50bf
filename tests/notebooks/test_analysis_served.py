"""The page of the analysis, as voila serves it, says what is missing and makes it when asked."""

from __future__ import annotations

import pytest
from widget_scan import widget_session

ERRORS = "[data-mime-type='application/vnd.jupyter.error']"


@pytest.fixture(scope="module")
def served(copied, voila):
    assert widget_session(copied).store.shape[0] == 12
    with (copied / "frames" / "experiment.ini").open("a", encoding="utf-8") as ini:
        ini.write("method backprojection\n")  # it compiles in half the time
    return voila(copied)


def test_the_analysis_without_a_grain_says_what_is_missing(page, served):
    page.goto(f"{served}/06_analyse_grain.ipynb")
    page.get_by_text("there is no grain of these choices yet").wait_for()
    page.get_by_role("button", name="Reconstruct it").click()
    page.get_by_text("It is there now: load this page again.").wait_for()
    assert page.locator(ERRORS).count() == 0
    page.reload(timeout=180_000)
    page.get_by_text("boundaries").first.wait_for()
    page.get_by_text("Click into a slice").wait_for()
    assert page.locator(ERRORS).count() == 0
