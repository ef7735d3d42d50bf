"""How a scan's grid is told from motors that move along."""

from types import SimpleNamespace

import numpy as np
import pytest

from recon3d.scan.grid import _explained


@pytest.mark.parametrize(
    ("pattern", "share"),
    [
        ((-2, -1, 0, 1, 2), 1.0),
        ((2, -1, -2, -1, 2), 0.0),
        # Of (-2, 1, 0, -1, 2) a straight line explains (Σxy)² / Σx² Σy² = 6² / (10 · 10).
        ((-2, 1, 0, -1, 2), 0.36),
    ],
)
def test_what_follows_a_motor_otherwise_at_every_angle_is_explained_by_it(pattern, share):
    index = np.repeat([0, 1, 2], 5)
    x = np.tile(np.arange(-2.0, 3.0), 3)
    y = np.array([1.0, -1.0, 0.5])[index] * np.tile(pattern, 3) + np.array([3.0, 0.0, 7.0])[index]
    coordinates = SimpleNamespace(values={"mu": x, "gamma": y}.get)
    candidate = SimpleNamespace(moving=["mu"], omega=SimpleNamespace(count=3, index=index))
    assert _explained(coordinates, "gamma", candidate) == pytest.approx(share)
