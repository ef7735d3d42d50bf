"""Pixels that say nothing: dead ones, and those beyond an edge of the illumination."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.files.grain import Grain
from recon3d.projection.operator import Projector
from recon3d.projection.oriented_voxels import OrientedVoxels
from recon3d.reconstruction.build import prepare
from recon3d.reconstruction.fit.orientations import Unknowns, gather
from recon3d.reconstruction.model.scan_model import ImagePixels, UnknownPixels, dead_pixels
from recon3d.reconstruction.quality.reprojection import model_of, reproject
from recon3d.reconstruction.run import reconstruct


def test_lines_and_pixels_between_bright_ones_are_dead_and_rims_are_not():
    row, col = np.indices((40, 50))
    total = np.sqrt(np.maximum(15.0**2 - (row - 20) ** 2 - (col - 25) ** 2, 0)).astype(np.float32)
    assert not dead_pixels(total).any()
    total[:, [20, 31, 32]] = 0.5
    total[25, 26] = 0
    expected = np.zeros(total.shape, bool)
    expected[13:28, [20, 31, 32]] = True
    expected[25, 26] = True
    assert (dead_pixels(total) & expected).sum() >= 0.95 * expected.sum()
    assert set(np.flatnonzero(dead_pixels(total).any(axis=0))) == {20, 26, 31, 32}


def test_what_is_not_lit_is_unknown_in_its_own_projection():
    lit = np.array([[(0, 0), (4, 6)], [(1, 0), (4, 3)]])
    dead = np.zeros((4, 6), bool)
    dead[2, 2] = True
    unknown = UnknownPixels(dead, lit)
    assert np.array_equal(np.argwhere(unknown.of(0)), [(2, 2)])
    assert (~unknown.of(1)).sum() == 3 * 3 - 1
    assert unknown.mark(np.ones((4, 6), np.float32), 1)[1].tolist() == [1, 1, 1, -1, -1, -1]


@pytest.fixture(scope="module")
def cut(planted):
    # Smaller images of a grain all end as sharply as at an edge.
    whole = {"rows": 96, "cols": 96, "magnification_pix_per_um": 6.0}
    scan = planted("demo", faults=("edge:0.334",), **whole)
    return scan, prepare(scan.store, scan.experiment)[0]


def test_an_edge_of_the_illumination_is_found_where_it_is(cut):
    scan, model = cut
    plan = scan.truth.plan
    radius_pix = scan.truth.phantom.radius_um * plan.magnification_pix_per_um
    edge = plan.roi_centre_pix[1] + 0.3 * radius_pix
    middle = slice(6, 12)
    assert np.abs(model.unknown.lit[middle, 1, 1] - (edge - 2.5)).max() < 2
    others = np.delete(model.unknown.lit, middle, axis=0)
    assert np.array_equal(others, np.tile([(0, 0), (96, 96)], (12, 1, 1)))


def test_what_was_found_of_the_light_is_known_to_the_grain_on_disk(cut, tmp_path):
    scan, model = cut
    experiment = scan.experiment.with_settings(method="backprojection")
    reconstruct(scan.store, experiment, show_progress=False).save(tmp_path / "grain.h5")
    grain = Grain.load(tmp_path / "grain.h5")
    again = model_of(grain, scan.store, scan.experiment)
    assert np.array_equal(again.unknown.lit, model.unknown.lit)
    assert again.acceptance.rocking_width_deg == grain.provenance["rocking_width"]
    # Nothing is predicted to be missing where the beam did not reach.
    predicted = reproject(grain, again, 8).sum(axis=0)
    dark = again.unknown.of(8)
    assert predicted[dark].sum() > 0.1 * predicted.sum()
    assert predicted[~dark].sum() == pytest.approx(again.summed(8)[~dark].sum(), rel=1e-3)


def test_edges_of_the_light_are_told_in_pixels_of_the_detector():
    pixels = ImagePixels((2, 3), (0.5 + 1, 1.0), (9, 12))
    # Two rows make one, and the first of the region is left over.
    edges = np.array([(0, 0), (4, 4)]) * pixels.size + pixels.corner
    assert np.allclose(edges, [(1, 0), (9, 12)])


def test_unknown_pixels_count_for_nothing_in_a_normal_matrix(cut):
    model = cut[1]
    points = np.array([[0.0, 0.0, 0.0]])
    voxels = OrientedVoxels(Projector(points, (0.4, 0.4, 0.4)), np.zeros((3, 1)), np.ones(1))
    lit = replace(model, projections=np.array([8]))
    dead = np.ones(model.image_shape, bool)
    nothing = replace(lit, unknown=replace(model.unknown, dead=dead))
    free = Unknowns(shift=False, centre_mu=False, centre_gamma=False)
    seen, unseen = (gather(one, voxels, free, "test")[0] for one in (lit, nothing))
    assert seen.own[0, 0, 0] > 0
    assert not unseen.own.any()
    assert not unseen.strengths.any()


def test_the_axis_is_found_past_an_edge(cut):
    scan, model = cut
    assert model.rotation_center == pytest.approx(scan.truth.rotation_center_pix, abs=0.2)
