"""What the layers hold, without napari."""

import numpy as np

from recon3d.plot.colors import orientation_colors
from recon3d.viewer.layers import orientation_volume
from recon3d.viewer.pick import first_voxel, voxel_at
from recon3d.volume import Volume


def test_the_volume_has_the_colours_of_the_key_closely():
    tilts = np.random.default_rng(1).normal(0.02, 0.05, (9, 8, 7, 2)).astype(np.float32)
    tilts[0, 0, 0] = np.nan
    mask = np.ones((9, 8, 7), bool)
    mask[1] = False
    rgba = orientation_volume(tilts, mask, 0.06, (0.02, -0.01))
    shown = mask & np.isfinite(tilts).all(axis=-1)
    np.testing.assert_array_equal(rgba[..., 3] == 255, shown)
    exact = 255 * orientation_colors(*tilts[shown].T, 0.06, (0.02, -0.01))
    assert np.abs(rgba[shown, :3] - exact).max() < 1.6


def test_a_line_of_sight_meets_the_first_voxel_from_either_side():
    volume = Volume((1.0, 2.0, 3.0), (5.0, 5.0, 5.0), (5, 5, 5))
    shown = np.zeros((5, 5, 5), bool)
    shown[1:4, 2, 2] = True
    assert first_voxel(volume, shown, (1, 2, 3), (1, 0, 0)) == (1, 2, 2)
    assert first_voxel(volume, shown, (90, 2, 3), (-2, 0, 0)) == (3, 2, 2)
    assert first_voxel(volume, shown, (0, 4, 3), (1, 0, 0)) is None
    assert voxel_at(volume, (3.4, 2, 3)) == (4, 2, 2)
    assert voxel_at(volume, (3.6, 2, 3)) is None
