"""A grain that is bent where its depth shows in μ alone, and its cells."""

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.projection.operator import Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.projection.weights import OrientationList
from recon3d.reconstruction.fit.bending import Cells
from recon3d.reconstruction.fit.orientations import Place
from recon3d.reconstruction.run import reconstruct

VOLUME = Volume((0, 0, 0), (24, 24, 24), (24, 24, 24))


@pytest.mark.parametrize("tilt", [-0.05])
def test_a_bent_grain_and_the_rocking_width_are_found_from_mu_alone(planted, tilt):
    scan = planted("rocking", faults=(f"bent:{tilt}",))
    settings = scan.experiment.with_settings(split_half=False)
    grain = reconstruct(scan.store, settings, show_progress=False)
    # Refined voxel by voxel it is wrong by some 15 mdeg, and the width by two thirds.
    assert scan.compare(grain).median_mdeg < 4
    width = scan.truth.plan.rocking_width_deg
    assert grain.provenance["rocking_width"] == pytest.approx(width, rel=0.2)
    # Nothing was strained.
    assert grain.strain is None or np.nanmedian(np.abs(grain.strain)) < 5e-5


def test_a_bent_grain_and_the_rocking_width_are_found_where_gamma_was_scanned(planted):
    scan = planted("demo", faults=("bent",))
    settings = scan.experiment.with_settings(split_half=False)
    grain = reconstruct(scan.store, settings, show_progress=False)
    # Refined voxel by voxel the width is a quarter too large, and the field flattened by a seventh.
    assert scan.compare(grain).median_mdeg < 2
    width = scan.truth.plan.rocking_width_deg
    assert grain.provenance["rocking_width"] == pytest.approx(width, rel=0.1)


def test_cells_hold_the_means_of_their_voxels_and_give_back_a_linear_field():
    points = voxel_centres_um(VOLUME)
    inside = np.flatnonzero(np.linalg.norm(points, axis=1) < 11)
    points = points[inside]
    weights = np.random.default_rng(1).uniform(50, 150, len(inside))
    a, b = 0.001 * points[:, 0] - 0.002 * points[:, 1], 0.003 * points[:, 2]
    orientations = OrientationList(a, b, np.zeros_like(a))
    voxels = OrientedVoxels(Projector(points), orientations, weights)
    cells = Cells.of(voxels, Place(inside, VOLUME.shape), VOLUME)
    assert cells.factor > 1 or len(inside) == len(cells.merged.intensity)
    assert cells.merged.intensity.sum() == pytest.approx(weights.sum())
    # A linear field is the same linear function of where the cells have their centres.
    x, y, z = cells.merged.projector.points_um.T
    assert cells.merged.orientations.a_deg == pytest.approx(0.001 * x - 0.002 * y, abs=1e-12)
    assert cells.merged.orientations.b_deg == pytest.approx(0.003 * z, abs=1e-12)
    linear = cells.on_voxels(np.stack([0.01 * x, 0.02 * z]))
    deep = np.linalg.norm(points, axis=1) < 7
    assert linear[0][deep] == pytest.approx(0.01 * points[deep, 0], abs=0.006)
    assert linear[1][deep] == pytest.approx(0.02 * points[deep, 2], abs=0.012)
