import numpy as np
import pytest

from recon3d.readers.bliss.records import labelled
from recon3d.readers.source import list_damage, trouble_in


def test_every_frame_is_named_with_its_reason():
    damaged = [("a_1.edf", "is empty"), ("a_2.edf", "is empty"), ("a_7.edf", "is cut")]
    assert list_damage(damaged) == "a_1.edf, a_2.edf is empty; a_7.edf is cut"


def test_of_many_frames_the_first_are_named_and_the_rest_counted():
    damaged = [(f"a_{i:04d}.edf", "is empty") for i in range(100)]
    text = list_damage(damaged)
    assert text.startswith("a_0000.edf, a_0001.edf, a_0002.edf, ")
    named = text.count(".edf")
    assert 10 < named < 40
    assert text.endswith(f" and {100 - named} more is empty")
    scattered = [(f"a_{i:04d}.edf", "is empty") for i in range(0, 80, 2)]
    assert list_damage(scattered[:3]) == "a_0000.edf, a_0002.edf, a_0004.edf is empty"
    assert "a_0002.edf" in list_damage(scattered)
    assert "more is empty" in list_damage(scattered)


def test_however_many_they_are_a_message_stays_short():
    """A reason that differs from frame to frame, and names that are long."""
    damaged = [(f"{'x' * 90}_{7 * i:05d}.edf", f"is cut at {i}") for i in range(5000)]
    text = list_damage(damaged)
    assert len(text) < 400
    told = text.count("is cut at")
    assert f"and {5000 - told} more" in text
    assert len(list_damage([("a_1.edf", "word " * 500)])) < 400


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e31])
def test_counts_that_are_no_counts(value):
    pixels = np.ones((3, 4))
    assert trouble_in(pixels) == ""
    pixels[1, 2] = value
    assert "1 counts" in trouble_in(pixels)
    assert trouble_in(np.full((2, 2), 65535, np.uint16)) == ""


def test_a_long_title_is_cut():
    assert labelled("3.1", "x" * 400) == f"3.1 ({'x' * 60} ...)"
    assert labelled("3.1", "ascan mu 0 1 5 0.1") == "3.1 (ascan mu 0 1 5 0.1)"
    assert labelled("3.1", "") == "3.1 (no title)"
