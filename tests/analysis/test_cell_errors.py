"""Errors of cells, against planted cells and cases worked out by hand."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from recon3d.analysis.cells import volume_errors_um3

VOXEL = (0.5, 1.0, 2.0)


def two_boxes():
    """Two cells of 6 x 8 x 10 voxels side by side along x, with room around them."""
    labels = np.zeros((20, 16, 18), np.int32)
    labels[4:10, 4:12, 4:14] = 1
    labels[10:16, 4:12, 4:14] = 2
    return labels


def test_voxels_that_are_whole_or_not_at_all_leave_a_twelfth_each():
    labels = two_boxes()
    faces = 2 * (6 * 8 + 6 * 10 + 8 * 10)
    found = volume_errors_um3((labels > 0).astype(np.float32), labels, VOXEL)
    assert found == pytest.approx([np.sqrt(faces / 1.5 / 12)] * 2)


def test_a_surface_that_holds_too_much_moves_outwards():
    """Occupancy beside the mask, a tenth of its voxels: the cells share it by their surfaces."""
    labels = two_boxes()
    occupancy = (labels > 0).astype(np.float32)
    occupancy[4:16, 4:12, 14] = 1
    found = volume_errors_um3(occupancy, labels, VOXEL)
    assert found == pytest.approx([np.sqrt(48**2 + 376 / 1.5 / 12)] * 2, rel=1e-6)
    occupancy[4:16, 4:12, 14] = 0
    occupancy[0, 0, 0] = 100  # far away: it belongs to something else
    assert volume_errors_um3(occupancy, labels, VOXEL) == pytest.approx([4.570] * 2, rel=1e-3)


def test_cells_that_scatter_more_and_less_have_volumes_as_uncertain():
    labels = two_boxes()
    occupancy = np.where(labels == 1, 0.9, 1.1) * (labels > 0)
    found = volume_errors_um3(occupancy, labels, VOXEL)
    assert found == pytest.approx([np.sqrt(48**2 + 376 / 1.5 / 12)] * 2, rel=1e-6)


def test_a_grain_without_an_inside_has_no_known_error():
    labels = np.zeros((5, 5, 5), np.int32)
    labels[2, 1:4, 1:4] = 1
    assert np.isnan(volume_errors_um3(labels.astype(float), labels, (1.0, 1.0, 1.0))).all()


def test_a_cut_at_the_wrong_level_is_within_the_error():
    """A blurred ball, cut beside its middle: the error is as large as what the cut moves."""
    place = np.stack(np.meshgrid(*[np.arange(48) - 23.5] * 3, indexing="ij"))
    ball = (np.linalg.norm(place, axis=0) <= 15).astype(float)
    occupancy = gaussian_filter(ball, 1.0)
    for cut in (0.3, 0.4, 0.6, 0.7):
        labels = (occupancy >= cut).astype(np.int32)
        wrong = labels.sum() - ball.sum()
        (error,) = volume_errors_um3(occupancy, labels, (1.0, 1.0, 1.0))
        assert 0.85 < abs(wrong) / error < 1.15
