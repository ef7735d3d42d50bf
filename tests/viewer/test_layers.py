"""What the layers hold, without napari."""

import numpy as np

from recon3d.analysis.surface import Deferred, coarsened
from recon3d.colors import orientation_colors
from recon3d.config.volume import Volume
from recon3d.plot.grain.scene import GrainScene
from recon3d.viewer.layers import all_layers, open_grain, orientation_volume
from recon3d.viewer.window import first_voxel, voxel_at


def test_the_volume_has_the_colours_of_the_key_closely():
    tilts = np.random.default_rng(1).normal(0.02, 0.05, (9, 8, 7, 2)).astype(np.float32)
    tilts[0, 0, 0] = np.nan
    mask = np.ones((9, 8, 7), bool)
    mask[1] = False
    rgba = orientation_volume(tilts, mask, 0.06, (0.02, -0.01))
    shown = mask & np.isfinite(tilts).all(axis=-1)
    np.testing.assert_array_equal(rgba[..., 3] == 255, shown)
    exact = 255 * orientation_colors(*tilts[shown].T, 0.06, (0.02, -0.01))
    assert np.abs(rgba[shown, :3] - exact).max() < 0.51


def test_a_line_of_sight_meets_the_first_voxel_from_either_side():
    volume = Volume((1.0, 2.0, 3.0), (5.0, 5.0, 5.0), (5, 5, 5))
    shown = np.zeros((5, 5, 5), bool)
    shown[1:4, 2, 2] = True
    assert first_voxel(volume, shown, (1, 2, 3), (1, 0, 0)) == (1, 2, 2)
    assert first_voxel(volume, shown, (90, 2, 3), (-2, 0, 0)) == (3, 2, 2)
    assert first_voxel(volume, shown, (0, 4, 3), (1, 0, 0)) is None
    assert voxel_at(volume, (3.4, 2, 3)) == (4, 2, 2)
    assert voxel_at(volume, (3.6, 2, 3)) is None


def test_a_deferred_array_is_worked_out_once_and_is_the_array():
    calls = []

    def make():
        calls.append(1)
        return np.arange(24, dtype=np.float32).reshape(2, 3, 4)

    array = Deferred((2, 3, 4), np.float32, make)
    assert (array.ndim, array.size, array.dtype, calls) == (3, 24, np.float32, [])
    np.testing.assert_array_equal(array[1, :, 2], [14, 18, 22])
    np.testing.assert_array_equal(np.asarray(array), make())
    assert len(calls) == 2


def was_read(array):
    return "values" in vars(array)


def test_layers_that_are_not_looked_at_cost_nothing(planted):
    layers = all_layers(GrainScene.of(planted))
    images = [data for data, _, kind in layers if kind == "image"]
    assert len(images) == 8
    assert not any(was_read(data) for data in images)


def test_what_a_large_grain_rarely_needs_is_read_when_it_is(grain_path):
    whole = open_grain(grain_path)
    few = coarsened(open_grain(grain_path, largest=2000), 2)
    assert isinstance(few.mask, np.ndarray)
    assert not was_read(few.completeness)
    np.testing.assert_array_equal(few.completeness, whole.completeness[1::2, 1::2, 1::2])
