"""A grain that is bent where its depth shows in μ alone, and its cells."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.projection.operator import Projector, voxel_centres_um
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.build import prepare
from recon3d.reconstruction.fit import bending
from recon3d.reconstruction.fit.bending import Cells
from recon3d.reconstruction.fit.orientations import Place, Refinement, Unknowns
from recon3d.reconstruction.run import reconstruct
from recon3d.runtime.communicator import ALONE

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


def test_a_flattened_bend_and_a_wide_instrument_are_found_together(planted):
    """A planted bend, 3 mdeg/µm too flat, at a rocking width a tenth too wide."""
    scan = planted("demo", faults=("bent",))
    truth = scan.truth.sample_on(scan.experiment.volume)
    grain = np.flatnonzero(truth.inside.transpose(1, 0, 2)).reshape(-1)
    n0, n1, n2 = truth.inside.shape
    layer, x, z = np.unravel_index(grain, (n1, n0, n2))
    inside = np.ravel_multi_index((x, layer, z), (n0, n1, n2))
    points = voxel_centres_um(scan.experiment.volume)[inside]
    handedness = scan.truth.plan.handedness
    along = np.stack([points[:, 0], -handedness * points[:, 2]])
    along -= along.mean(axis=1, keepdims=True)
    a, b = truth.a_deg.ravel()[inside], truth.b_deg.ravel()[inside]
    flat = np.stack([a - 0.003 * along[0], b - 0.003 * along[1], np.zeros_like(a)])
    voxels = OrientedVoxels(
        Projector(points, scan.experiment.volume.voxel_um), flat, np.ones(len(a))
    )
    model, _ = prepare(scan.store, scan.experiment, ALONE)
    plan = scan.truth.plan
    model = replace(
        model,
        acceptance=replace(
            model.acceptance,
            rocking_width_deg=1.1 * plan.rocking_width_deg,
            rolling_width_deg=plan.rolling_width_deg,
        ),
    )
    unknowns = Unknowns(shift=False, centre_mu=False, centre_gamma=False)
    state = Refinement(model, voxels, unknowns, Place(inside, truth.inside.shape))
    for _ in range(4):
        state, _ = bending.bent_and_widened(state, ("rocking_width_deg",))
    model, voxels = state.model, state.voxels
    back = voxels.orientations[:2] - flat[:2]
    assert (back * along).sum() / (along**2).sum() == pytest.approx(0.003, abs=0.0004)
    assert model.acceptance.rocking_width_deg == pytest.approx(plan.rocking_width_deg, rel=0.03)
    left, disagreement = bending.bend_left(model, voxels, ("rocking_width_deg",))
    assert left < 1e-4
    assert 0 < disagreement < 1e-3


def test_cells_hold_the_means_of_their_voxels_and_give_back_a_linear_field():
    points = voxel_centres_um(VOLUME)
    inside = np.flatnonzero(np.linalg.norm(points, axis=1) < 11)
    points = points[inside]
    weights = np.random.default_rng(1).uniform(50, 150, len(inside))
    a, b = 0.001 * points[:, 0] - 0.002 * points[:, 1], 0.003 * points[:, 2]
    orientations = np.stack([a, b, np.zeros_like(a)])
    voxels = OrientedVoxels(Projector(points), orientations, weights)
    cells = Cells.of(voxels, Place(inside, VOLUME.shape))
    assert cells.factor > 1 or len(inside) == len(cells.merged.intensity)
    assert cells.merged.intensity.sum() == pytest.approx(weights.sum())
    # A linear field is the same linear function of where the cells have their centres.
    x, y, z = cells.merged.projector.points_um.T
    assert cells.merged.orientations[0] == pytest.approx(0.001 * x - 0.002 * y, abs=1e-12)
    assert cells.merged.orientations[1] == pytest.approx(0.003 * z, abs=1e-12)
    linear = cells.on_voxels(np.stack([0.01 * x, 0.02 * z]))
    deep = np.linalg.norm(points, axis=1) < 7
    assert linear[0][deep] == pytest.approx(0.01 * points[deep, 0], abs=0.006)
    assert linear[1][deep] == pytest.approx(0.02 * points[deep, 2], abs=0.012)
