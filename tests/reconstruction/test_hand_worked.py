"""Small figures that decide what a reconstruction takes from the data, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from recon3d.reconstruction.model.scanned import effective_bins


def test_effective_bins_are_the_square_of_the_sum_over_the_sum_of_squares():
    volume = np.array([[3, 4, 0], [1, 0, 0], [0, 0, 0]], np.float32)
    assert effective_bins(volume) == pytest.approx((49 / 25 + 1) / 2)
    assert effective_bins(np.full((2, 4), 7, np.float32)) == 4
    assert effective_bins(np.zeros((2, 4), np.float32)) == np.inf
