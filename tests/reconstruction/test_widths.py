"""The instrument's widths come out of the data."""

import numpy as np
import pytest

from recon3d.projection.weights import Acceptance
from recon3d.reconstruction.fit.bending import descend
from recon3d.reconstruction.fit.frames import best_scale
from recon3d.reconstruction.run import reconstruct


def test_descend_finds_the_least_of_a_bowl_from_either_side():
    def bowl(acceptance):
        return abs(np.log(acceptance.rocking_width_deg / 0.016))

    for start in (0.004, 0.016, 0.1):
        best = Acceptance(start, 0.03)
        for factor in (1.4, 1.15, 1.07):
            best = descend(bowl, best, "rocking_width_deg", factor)
        assert best.rocking_width_deg == pytest.approx(0.016, rel=0.07)
        assert best.rolling_width_deg == 0.03


def test_the_best_scale_looks_at_lit_pixels_only():
    predicted = np.array([[1.0, 2.0, 5.0]], np.float32)
    measured = np.array([[3.0, 6.0, 0.0]], np.float32)
    assert best_scale(predicted, measured) == pytest.approx(3)
    assert best_scale(np.zeros_like(predicted), measured) == 0


def test_widths_of_a_planted_scan(planted):
    scan = planted("demo", handedness=-1)
    experiment = scan.experiment.with_settings(
        handedness=-1, align="none", iterations=3, split_half=False
    )
    found = reconstruct(scan.store, experiment, show_progress=False).provenance
    plan = scan.truth.plan
    assert found["rocking_width"] == pytest.approx(plan.rocking_width_deg, rel=0.12)
    assert found["rolling_width"] == pytest.approx(plan.rolling_width_deg, rel=0.12)
