"""Normalisation: which way it goes, its reference, and beams that fail."""

import numpy as np
import pytest

from recon3d.cleaning.normalize import Normalizer
from recon3d.errors import DataError

ALL = np.ones(4, bool)
NAN = np.full(4, np.nan)


def test_current_brings_every_frame_to_the_mean_of_the_first_projection():
    normalizer = Normalizer("current")
    first = np.array([198.0, 200, 202, 204])
    np.testing.assert_allclose(normalizer.factors(first * 10, ALL, first), 201 / first)
    second = np.array([150.0, 149, 148, 147])
    np.testing.assert_allclose(normalizer.factors(second * 10, ALL, second), 201 / second)
    assert normalizer.reference_current_ma == 201


def test_total_brings_every_projection_to_the_first_that_has_signal():
    normalizer = Normalizer("total")
    assert (normalizer.factors(np.zeros(4), ALL, NAN) == 1).all()
    assert (normalizer.factors(np.array([0.0, 0, 700, 300]), ALL, NAN) == 1).all()
    factors = normalizer.factors(np.array([100.0, 200, 100, 100]), ALL, NAN)
    np.testing.assert_allclose(factors, 2)


def test_auto_takes_the_current_where_every_valid_frame_has_one():
    normalizer = Normalizer("auto")
    currents, totals = np.array([200.0, 200, 200, np.nan]), np.array([10.0, 20, 30, 40])
    normalizer.factors(totals, np.array([True, True, True, False]), currents)
    np.testing.assert_allclose(normalizer.factors(totals, ALL, currents), 60 / 100)
    np.testing.assert_allclose(normalizer.factors(totals, ALL, np.full(4, 100.0)), 2)
    assert dict(normalizer.used) == {"current": 2, "total": 1}


def test_none_leaves_the_counts():
    assert (Normalizer("none").factors(np.arange(4.0), ALL, np.arange(4.0)) == 1).all()


def test_a_current_that_was_asked_for_must_be_there():
    with pytest.raises(DataError, match="1 of 4 frames"):
        Normalizer("current").factors(np.ones(4), ALL, np.array([200.0, 200, 0, 200]))


def test_frames_without_beam_are_not_blown_up():
    normalizer = Normalizer("auto", reference_current_ma=200.0, reference_total=1000.0)
    factors = normalizer.factors(np.ones(4), ALL, np.array([200.0, 100, 2, 1]))
    np.testing.assert_allclose(factors, [1, 2, 1, 1])
    assert (normalizer.factors(np.array([-3.0, 1, 0, 1]), ALL, NAN) == 1).all()
    assert normalizer.unscaled == [0, 1]


def test_a_projection_without_frames_has_no_factors():
    normalizer = Normalizer("current")
    assert (normalizer.factors(np.zeros(4), ~ALL, NAN) == 1).all()
    assert normalizer.reference_current_ma is None
    assert normalizer.unscaled == []
