"""The search for the widths, and the merging of voxels that makes it quick."""

import numpy as np
import pytest

from recon3d.projection.operator import voxel_centres_um
from recon3d.projection.weights import Acceptance
from recon3d.reconstruction.run import reconstruct
from recon3d.reconstruction.widths import coarser_points, descend
from recon3d.volume import Volume


def test_descend_finds_the_least_of_a_bowl_from_either_side():
    def bowl(acceptance):
        return abs(np.log(acceptance.rocking_width_deg / 0.016))

    for start in (0.004, 0.016, 0.1):
        best = Acceptance(start, 0.03)
        for factor in (1.4, 1.15, 1.07):
            best = descend(bowl, best, "rocking_width_deg", factor)
        assert best.rocking_width_deg == pytest.approx(0.016, rel=0.07)
        assert best.rolling_width_deg == 0.03


def test_coarser_points_cover_the_same_voxels():
    volume = Volume((1.0, 0.0, -1.0), (8.0, 8.0, 8.0), (16, 16, 16))
    points = voxel_centres_um(volume)[::3]
    coarse, edges = coarser_points(points, volume, at_most=300)
    assert edges == pytest.approx((1.0, 1.0, 1.0))
    distance = np.abs(points[:, None] - coarse[None]).max(axis=2).min(axis=1)
    assert distance.max() <= 0.5 + 1e-9
    same, edges = coarser_points(points, volume, at_most=10**6)
    assert len(same) == len(points)
    assert edges == pytest.approx(volume.voxel_um)


def test_widths_of_a_planted_scan(planted):
    scan = planted("demo", handedness=-1)
    experiment = scan.experiment.with_settings(
        handedness=-1, align="none", iterations=1, split_half=False
    )
    found = reconstruct(scan.store, experiment, show_progress=False).provenance
    plan = scan.truth.plan
    assert found["rocking_width"] == pytest.approx(plan.rocking_width_deg, rel=0.6)
    assert found["rolling_width"] == pytest.approx(plan.rolling_width_deg, rel=0.3)
