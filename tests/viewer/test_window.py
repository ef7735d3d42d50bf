"""The window on a screen: real screenshots of a planted grain, and the dock moved by code."""

import colorsys

import numpy as np
import pytest

from recon3d.colors import orientation_colors
from recon3d.errors import ParameterError
from recon3d.plot.grain.scene import GrainScene
from recon3d.viewer.layers import open_grain, voxels_of


def on_canvas(window, picture, point_um):
    """Row and column of a point of the sample in a screenshot, seen along x or z."""
    viewer = window.viewer
    order = viewer.dims.order
    center = np.array(viewer.scene.camera.center)
    rows, cols = picture.shape[:2]
    # Pixels of a screenshot may be finer than those of the canvas.
    zoom = viewer.scene.camera.zoom * cols / viewer.window._qt_viewer.canvas.size[1]
    up, right = point_um[order[-2]] - center[-2], point_um[order[-1]] - center[-1]
    return round(rows / 2 - up * zoom), round(cols / 2 + right * zoom)


def hue(rgb):
    return 360 * colorsys.rgb_to_hsv(*(np.asarray(rgb) / 255))[0]


@pytest.mark.parametrize("mode", ["3D surface", "3D volume", "slices x", "slices z"])
def test_a_red_subgrain_is_red_on_the_screen(window, picture, mode):
    window.dock.mode.value = mode
    window.viewer.reset_view()
    window.viewer.scene.camera.angles = (0.0, 0.0, 0.0)
    seen = picture(window)
    scene = window.scene
    volume = scene.grain.volume
    for index in [(4, 10, 9), (4, 7, 11), (4, 10, 20), (4, 13, 17)]:
        if mode == "slices z":
            window.viewer.dims.set_point(2, volume.axis_um(2)[index[2]])
            seen = picture(window)
            index = (12, *index[1:])
        point = [volume.axis_um(axis)[i] for axis, i in enumerate(index)]
        pixel = seen[on_canvas(window, seen, point)]
        a, b = scene.grain.orientation[index]
        expected = 255 * orientation_colors(a, b, scene.range_deg, scene.center_deg)
        np.testing.assert_allclose(pixel, expected, atol=6, err_msg=f"{mode} {index}")
        planted_red = volume.axis_um(2)[index[2]] < 0
        assert (pixel[0] > pixel[2] + 60) == planted_red
        assert (hue(pixel) < 30 or hue(pixel) > 330) == planted_red


def test_beside_the_grain_there_is_nothing(window, picture):
    seen = picture(window)
    volume = window.scene.grain.volume
    for y in (volume.axis_um(1)[2], volume.axis_um(1)[-2]):
        assert seen[on_canvas(window, seen, (0, y, 1.0))].max() < 30


def test_axes_units_and_scale_bar(window):
    viewer = window.viewer
    assert viewer.dims.axis_labels == ("x", "y ∥ G", "z")
    assert viewer.scene.camera.handedness == "right"
    assert viewer.canvas.overlays.scale_bar.visible
    window.dock.mode.value = "3D volume"
    window.dock.color.value = "strain"
    for name in ("orientation", "strain", "surface"):
        layer = window.layers[name]
        assert {str(unit) for unit in layer.units} == {"micrometer"}
        np.testing.assert_allclose(layer.data_to_world((0, 0, 0)), [-1.875, -0.375, -3.375])


def test_a_scalar_becomes_a_layer_when_it_is_first_looked_at(window, planted):
    window.dock.color.value = "completeness"
    assert "completeness" not in window.layers  # the surface alone is coloured
    window.dock.mode.value = "slices x"
    assert window.layers["completeness"].visible
    assert not window.layers["orientation"].visible
    seen = np.asarray(window.layers["completeness"].data)
    np.testing.assert_allclose(seen[planted.mask], 0.9, rtol=1e-6)


def test_every_quantity_is_a_layer_and_colours_the_grain(window, picture):
    expected = ["orientation", "a", "b", "spread", "completeness", "occupancy", "strain"]
    assert window.scene.quantities == [*expected, "misorientation"]
    pictures = []
    for name in window.scene.quantities:
        window.dock.color.value = name
        assert window.what == name
        pictures.append(picture(window))
        assert pictures[-1].std() > 5
    assert np.abs(pictures[0].astype(int) - pictures[1]).max() > 50
    bar = window.dock.key.figure.axes[0]
    assert bar.get_xlabel() == "neighbour misorientation (mdeg)"
    window.dock.color.value = "orientation"
    assert window.dock.key.figure.axes[0].get_xlabel() == "a (°)"
    with pytest.raises(ParameterError, match="'colour': the grain has orientation, a, b"):
        window.color_by("colour")


def test_the_key_in_the_dock_has_the_colours_of_the_grain(window, picture):
    whole = picture(window, canvas_only=False).reshape(-1, 3).astype(int)
    scene = window.scene
    a, b = scene.center_deg
    for da, db in [(0.5, 0.5), (-0.5, 0.5), (0.5, -0.5)]:
        shown = orientation_colors(
            a + da * scene.range_deg, b + db * scene.range_deg, scene.range_deg, scene.center_deg
        )
        assert np.abs(whole - 255 * shown).max(axis=1).min() < 4


def test_the_level_cuts_the_shape(window):
    inside = window.scene.shown.sum()
    window.dock.level.value = 0.9
    assert not window.dock.own_mask.value
    assert 0 < window.scene.shown.sum() < inside
    alpha = np.asarray(window.layers["orientation"].data)[..., 3]
    np.testing.assert_array_equal(alpha > 0, window.scene.shown)
    window.dock.own_mask.value = True
    assert window.scene.shown.sum() == inside


def test_a_cut_shows_what_is_inside(window, picture):
    before = picture(window)
    place = window.scene.grain.volume.axis_um(2)[14]
    window.dock.clip_place.value = float(place)
    window.dock.clip_axis.value = "z"
    assert window.layers["surface"].vertices[:, 2].min() > 13
    after = picture(window)
    point = (0, 2.0, window.scene.grain.volume.axis_um(2)[8])
    row, col = on_canvas(window, before, point)
    assert before[row, col].max() > 100
    assert after[row, col].max() < 30
    window.dock.clip_flip.value = True
    assert window.layers["surface"].vertices[:, 2].max() < 15
    window.dock.clip_flip.value = False


def test_slices_lie_as_the_figures_show_them(window):
    for axis, shown in (("x", ("y", "z")), ("y", ("z", "x")), ("z", ("y", "x"))):
        window.dock.mode.value = f"slices {axis}"
        assert window.viewer.dims.ndisplay == 2
        assert tuple("xyz"[i] for i in window.viewer.dims.order[1:]) == shown
        assert not window.layers["surface"].visible
        assert window.layers["orientation"].visible
    with pytest.raises(ParameterError, match="axis is 'w'"):
        window.slice_across("w")


def test_a_click_reads_out_a_voxel(window):
    volume = window.scene.grain.volume
    at = [volume.axis_um(axis)[i] for axis, i in enumerate((0, 10, 8))]
    assert window.pick(at, window.viewer.scene.camera.view_direction) == (4, 10, 8)
    text = window.dock.voxel.text.text()
    assert "voxel 4, 10, 8" in text
    assert "(a, b): 50.00, 0.00 mdeg" in text
    assert "strain along G: 100.0" in text
    assert "looked for it at" in window.dock.voxel.note.text()
    assert "scan.h5" in window.dock.voxel.note.text()
    np.testing.assert_array_equal(window.viewer.layers["clicked voxel"].data, [[4, 10, 8]])
    assert window.pick((1e3, 0, 0), (0, 1, 0)) is None


def test_a_mouse_click_in_the_canvas_picks_and_a_drag_does_not(window):
    class Event:
        type = "mouse_press"
        position = tuple(window.scene.grain.volume.position_um)
        view_direction = np.array([1.0, 0.0, 0.0])

    def act(*types):
        event = Event()
        window.voxel = None
        moves = window._clicked(window.viewer, event)
        next(moves)
        for kind in types:
            event.type = kind
            next(moves, None)
        return window.voxel

    assert act("mouse_release") == (4, 10, 14)
    assert act("mouse_move", "mouse_release") is None


def test_boundaries_are_a_layer(window):
    window.dock.angle.value = 50
    window.dock.draw_boundaries.clicked()
    found = np.asarray(window.viewer.layers["boundaries"].data)
    assert np.unique(np.nonzero(found)[2]).tolist() == [13, 14]
    window.viewer.layers.remove("boundaries")


def test_cells_are_a_layer_in_the_colours_of_their_means(window):
    window.dock.draw_cells.clicked()
    layer = window.viewer.layers["cells"]
    found = np.asarray(layer.data)
    np.testing.assert_array_equal(found > 0, window.scene.coarse.mask)
    assert found.max() == 2
    assert {len(np.unique(found[:, :, half])) for half in (slice(None, 14), slice(14, None))} == {2}
    window.viewer.layers.remove("cells")


def test_a_second_grain_is_laid_over(window, planted, grain_factory):
    moved = planted.orientation + np.float32(0.01)
    other = type(planted)(**{**planted.__dict__, "orientation": moved})
    difference = window.lay_over(other)
    known = np.isfinite(difference.misorientation_deg)
    np.testing.assert_array_equal(known, planted.mask)
    layer = window.viewer.layers["difference (mdeg)"]
    np.testing.assert_allclose(layer.data[known], 10 * np.sqrt(2), rtol=1e-3)
    assert "second: surface" in window.viewer.layers
    assert layer.colorbar.visible
    said = "median 14.14, 90 % below 14.14 mdeg; Dice of the masks 1.000"
    assert said in difference.summary()
    assert "change of (a, b): 10.00, 10.00" in difference.summary()
    with pytest.raises(ParameterError, match="grain_steps"):
        window.lay_over(grain_factory())
    for name in [one.name for one in window.viewer.layers]:
        if name.startswith(("second", "difference", "in one")):
            window.viewer.layers.remove(name)


@pytest.mark.parametrize("mode", ["3D surface", "slices x", "slices z"])
def test_the_whole_grain_is_in_view(window, picture, mode):
    window.viewer.scene.camera.zoom = 1000
    window.dock.mode.value = "slices y"
    window.dock.mode.value = mode
    seen = picture(window).astype(int)
    coloured = np.ptp(seen, axis=-1) > 60
    # Axes and scale bar stand at the lower edge.
    coloured[int(0.8 * len(coloured)) :] = False
    rows, cols = np.nonzero(coloured)
    assert rows.min() / len(coloured) > 0.02
    assert 0.02 < cols.min() / coloured.shape[1] < cols.max() / coloured.shape[1] < 0.98
    assert np.ptp(cols) > 0.25 * min(coloured.shape)


def test_shading_changes_brightness_and_can_be_taken_off(window, picture):
    flat = picture(window)
    window.dock.shade.value = True
    assert np.abs(picture(window).astype(int) - flat).max() > 40
    window.dock.shade.value = False
    np.testing.assert_array_equal(picture(window), flat)


def test_every_control_of_the_dock_says_what_it_does(window):
    for panel in (window.dock.look, window.dock.compare):
        for control in panel:
            if control is not window.dock.verdict:
                assert control.tooltip, control.name


def test_a_large_grain_stays_on_disk(grain_path):
    scene = GrainScene.of(open_grain(grain_path, largest=2000), largest=2000)
    assert not isinstance(scene.grain.orientation, np.ndarray)
    full, coarse = voxels_of(scene, "orientation")
    assert full.shape == (24, 20, 28, 4)
    assert np.prod(coarse.shape[:3]) <= 2000
    small = GrainScene.of(open_grain(grain_path))
    whole = voxels_of(small, "orientation")
    np.testing.assert_array_equal(np.asarray(full)[..., 3], whole[..., 3])
    for name in scene.quantities[1:]:
        lazy = np.asarray(voxels_of(scene, name)[0])
        np.testing.assert_allclose(lazy, voxels_of(small, name), rtol=1e-6)
