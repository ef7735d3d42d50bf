"""Sliders keep the exact value of a setting, whatever step a browser shows for it."""

import pytest

from recon3d.widgets import Reconstruct
from recon3d.widgets.controls.panel import slider


@pytest.fixture
def moved():
    """A slider in steps of 0.1 at 11.57, and every value that it took."""
    made = slider("binth", 11.57, 0.0, 100.0, step=0.1)
    taken = []
    made.observe(lambda change: taken.append(change["new"]), "value")
    return made, taken


def test_what_a_page_reports_as_it_opens_changes_nothing(moved):
    made, taken = moved
    for _ in range(2):  # two pages show it
        made.set_state({"value": 11.6})
    assert made.value == 11.57
    assert taken == []


def test_a_slider_that_is_moved_takes_every_step(moved):
    made, taken = moved
    for step in (11.6, 11.5, 11.6, 11.7):
        made.set_state({"value": step})
    assert taken == [11.5, 11.6, 11.7]
    made.value = 12.34
    made.set_state({"value": 12.3})
    assert made.value == 12.34


def test_halfway_between_two_steps_both_can_be_chosen():
    made = slider("binth", 11.55, 0.0, 100.0, step=0.1)
    made.set_state({"value": 11.5})
    assert made.value == 11.55
    made.set_state({"value": 11.6})
    assert made.value == 11.6


def test_a_slider_is_as_long_as_its_value_needs():
    made = slider("passes", 50, 1, 30)
    assert (made.value, made.max) == (50, 50)


def test_an_opened_page_keeps_every_number_of_a_reconstruction(finished, session):
    chosen = {
        "tv_weight": 0.0512,
        "completeness_cutoff": 0.4567,
        "memory_gib": 3.2,
        "iterations": 47,
    }
    session.settings.update(chosen)
    widget = Reconstruct(finished.store, session.experiment, session.settings)
    shown = {"tv_weight": 0.05, "cutoff": 0.46, "memory": 3.0}
    for name, value in shown.items():
        getattr(widget, name).set_state({"value": value})
    assert {key: widget.params[key] for key in chosen} == chosen
