import numpy as np
import pytest
from matplotlib.collections import LineCollection
from matplotlib.image import AxesImage

from recon3d.errors import ParameterError
from recon3d.plot import (
    draw_color_key,
    draw_comparison,
    draw_mosaicity,
    draw_scale_bar,
    draw_slice,
    mosaicity_map_figure,
    orientation_colors,
    orientation_range,
    slices_figure,
)
from recon3d.plot.parts import draw_outline, new_figure, scale_bar_length_um


@pytest.fixture
def ax():
    return new_figure(3, 3).add_subplot()


def drawn(figure):
    """The figure's pixels, which also proves that it can be drawn."""
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())


def bar_length(bar):
    return bar.size_bar.get_children()[0].get_width()


class TestColors:
    def test_the_centre_is_a_light_grey(self):
        rgb = orientation_colors(0.0, 0.0, 0.1)
        assert np.ptp(rgb) < 1e-3
        assert 0.8 < rgb.mean() < 0.95

    def test_directions_have_the_hues_of_the_key(self):
        right, up, left, down = orientation_colors([1, 0, -1, 0], [0, 1, 0, -1], 1.0)
        assert np.argmax(right) == 0
        assert right[0] - right[1:].max() > 0.3
        assert up[1] > up[2] + 0.3
        assert np.argmin(left) == 0
        assert left[0] < left[1:].min() - 0.3
        assert np.argmax(down) == 2

    def test_colours_at_the_rim_are_all_different_and_within_srgb(self):
        angles = np.radians(np.arange(0, 360, 15))
        rgb = orientation_colors(np.cos(angles), np.sin(angles), 1.0)
        distances = np.linalg.norm(rgb[:, None] - rgb[None], axis=-1)
        assert distances[~np.eye(len(angles), dtype=bool)].min() > 0.04
        # No channel is clipped, so the steps from the centre outwards stay even.
        assert rgb.min() > 0.0
        assert rgb.max() < 1.0

    def test_the_colour_grows_with_the_distance_and_stops_at_the_range(self):
        rgb = orientation_colors([0, 0.25, 0.5, 1, 2, 50], np.zeros(6), 1.0)
        strength = rgb.max(axis=1) - rgb.min(axis=1)
        assert (np.diff(strength[:4]) > 0.05).all()
        np.testing.assert_allclose(rgb[4:], rgb[[3, 3]])

    def test_the_centre_can_be_moved(self):
        moved = orientation_colors([0.3, 0.4], [0.1, 0.1], 0.2, center_deg=(0.3, 0.1))
        np.testing.assert_allclose(moved, orientation_colors([0, 0.1], [0, 0], 0.2), atol=1e-9)

    def test_an_unknown_tilt_has_no_colour(self):
        assert np.isnan(orientation_colors([np.nan, 0], [0, np.nan], 1.0)).all()

    def test_a_range_that_suits(self):
        a = np.append(np.linspace(0.02, 0.06, 201), np.nan)
        assert orientation_range(a, np.where(np.isnan(a), 1, 0)) == (0.02, (0.04, 0.0))
        assert orientation_range([np.nan], [np.nan]) == (1.0, (0.0, 0.0))
        assert orientation_range([0.5, 0.5], [0, 0]) == (1.0, (0.5, 0.0))


class TestKey:
    def test_its_pixels_are_the_colours_of_their_places(self, ax):
        image = draw_color_key(ax, 0.05, pixels=101)
        rgba = image.get_array()
        for a, b in [(0, 0), (0.03, 0), (-0.02, 0.03), (0, -0.04)]:
            row, col = round(50 + b * 1000), round(50 + a * 1000)
            np.testing.assert_allclose(rgba[row, col, :3], orientation_colors(a, b, 0.05))
            assert rgba[row, col, 3] == 1
        assert rgba[0, 0, 3] == rgba[-1, -1, 3] == 0
        assert image.origin == "lower"

    def test_it_is_named_and_scaled_about_its_centre(self, ax):
        image = draw_color_key(ax, 0.05, ("μ (°)", "γ (°)"), center_deg=(0.1, -0.2), pixels=101)
        assert (ax.get_xlabel(), ax.get_ylabel()) == ("μ (°)", "γ (°)")
        np.testing.assert_allclose(ax.get_xticks(), [0.05, 0.1, 0.15])
        np.testing.assert_allclose(ax.get_yticks(), [-0.25, -0.2, -0.15])
        drawn(ax.figure)
        assert [text.get_text() for text in ax.get_xticklabels()] == ["0.050", "0.100", "0.150"]
        left, right, bottom, top = image.get_extent()
        # Pixel centres reach from -range to +range: half a pixel more on every side.
        assert (left, right) == pytest.approx((0.0495, 0.1505))
        assert (bottom, top) == pytest.approx((-0.2505, -0.1495))


class TestParts:
    @pytest.mark.parametrize(
        ("width", "length"),
        [(10, 2), (20, 5), (30, 10), (3, 1), (2.9, 0.5), (0.5, 0.1), (1000, 200)],
    )
    def test_scale_bars_are_round(self, width, length):
        assert scale_bar_length_um(width) == pytest.approx(length)

    def test_the_bar_is_as_long_as_it_says(self, ax):
        ax.imshow(np.zeros((4, 5)), extent=(-3, 17, 0, 16))
        bar = draw_scale_bar(ax)
        assert bar_length(bar) == 5
        assert bar.txt_label.get_text() == "5 µm"
        drawn(ax.figure)
        box = bar.size_bar.get_children()[0].get_window_extent()
        assert box.width / ax.bbox.width == pytest.approx(5 / 20, rel=1e-3)

    def test_the_outline_is_the_edge_of_the_pixels(self, ax):
        mask = np.zeros((4, 5), bool)
        mask[1:3, 2:4] = True
        lines = draw_outline(ax, mask, (0, 10, 0, 4)).get_segments()
        points = np.concatenate(lines)
        assert len(lines) == 8
        assert points[:, 0].min() == 4
        assert points[:, 0].max() == 8
        assert (points[:, 1].min(), points[:, 1].max()) == (1, 3)


class TestSlices:
    @pytest.mark.parametrize("axis", ["x", "y", "z"])
    def test_every_voxel_is_where_the_axes_say(self, ax, grain, axis):
        index = 1
        image = draw_slice(ax, grain, axis, index, "completeness")
        values, (left, right, bottom, top) = image.get_array(), image.get_extent()
        assert image.origin == "lower"
        rows, cols = values.shape
        horizontal, vertical = {"x": "zy", "y": "xz", "z": "xy"}[axis]
        for row in range(rows):
            for col in range(cols):
                place = {
                    axis: grain.volume.axis_um("xyz".index(axis))[index],
                    horizontal: left + (col + 0.5) * (right - left) / cols,
                    vertical: bottom + (row + 0.5) * (top - bottom) / rows,
                }
                voxel = tuple(
                    np.argmin(abs(grain.volume.axis_um(i) - place[name]))
                    for i, name in enumerate("xyz")
                )
                assert values[row, col] == pytest.approx(grain.completeness[voxel])
                np.testing.assert_allclose(
                    [grain.volume.axis_um(i)[j] for i, j in enumerate(voxel)],
                    [place[name] for name in "xyz"],
                )
        assert (ax.get_xlabel()[0], ax.get_ylabel()[0]) == (horizontal, vertical)

    def test_y_is_named_as_the_direction_of_g(self, ax, grain):
        draw_slice(ax, grain, "z", 0)
        assert ax.get_ylabel().startswith("y ∥ G")

    def test_orientation_is_coloured_inside_the_mask_only(self, ax, grain):
        image = draw_slice(ax, grain, "z", 1, range_deg=0.05, center_deg=(0, 0))
        rgba = image.get_array()
        np.testing.assert_array_equal(rgba[..., 3].T, grain.mask[:, :, 1])
        a, b = grain.orientation[2, 1, 1]
        np.testing.assert_allclose(rgba[1, 2, :3], orientation_colors(a, b, 0.05))

    @pytest.mark.parametrize("what", ["spread", "strain"])
    def test_other_quantities_respect_the_mask(self, ax, grain, what):
        values = draw_slice(ax, grain, "z", 1, what).get_array()
        shown = ~np.ma.getmaskarray(np.ma.masked_invalid(values))
        np.testing.assert_array_equal(shown.T, grain.mask[:, :, 1])

    def test_units_and_scales(self, ax, grain):
        spread = draw_slice(ax, grain, "z", 1, "spread")
        assert spread.get_array()[1, 2] == pytest.approx(1e3 * grain.orientation_spread[2, 1, 1])
        strain = draw_slice(ax, grain, "z", 1, "strain")
        assert strain.get_array()[1, 2] == pytest.approx(1e6 * grain.strain[2, 1, 1])
        low, high = strain.get_clim()
        assert low == -high < 0
        assert draw_slice(ax, grain, "z", 0, "spread").get_clim() == spread.get_clim()
        assert draw_slice(ax, grain, "z", 0, "completeness").get_clim() == (0, 1)

    def test_the_mask_is_outlined(self, ax, grain):
        draw_slice(ax, grain, "z", 1, "occupancy")
        (outline,) = [child for child in ax.collections if isinstance(child, LineCollection)]
        assert len(outline.get_segments()) == 2 * (3 + 2)

    @pytest.mark.parametrize(
        ("axis", "index", "what", "message"),
        [
            ("w", 0, "orientation", "expected one of x, y, z"),
            ("z", 3, "orientation", "slices 0 to 2"),
            ("z", -1, "orientation", "slices 0 to 2"),
            ("z", 0, "colour", "expected orientation, a, b"),
        ],
    )
    def test_what_is_not_there_is_refused(self, ax, grain, axis, index, what, message):
        with pytest.raises(ParameterError, match=message):
            draw_slice(ax, grain, axis, index, what)

    def test_a_grain_without_strain_says_so(self, ax, grain_factory):
        with pytest.raises(ParameterError, match="no strain"):
            draw_slice(ax, grain_factory(strain=False), "z", 0, "strain")

    @pytest.mark.parametrize(
        "what", ["orientation", "occupancy", "completeness", "spread", "strain"]
    )
    def test_the_figure_of_three_slices(self, grain, what):
        figure = slices_figure(grain, what)
        pixels = drawn(figure)
        assert pixels[..., :3].min() < 255
        *slices, key = figure.axes
        assert [ax.get_title()[0] for ax in slices] == ["z", "x", "y"]
        boxes = [ax.get_position() for ax in slices]
        # They stand side by side on one line, and all have one scale.
        assert [box.y0 for box in boxes] == pytest.approx([boxes[0].y0] * 3)
        assert boxes[0].x1 < boxes[1].x0 < boxes[1].x1 < boxes[2].x0 < key.get_position().x0
        width, height = figure.get_size_inches()
        scales = [
            inches * size / np.ptp(limits)
            for box, ax in zip(boxes, figure.axes[:3], strict=True)
            for inches, size, limits in (
                (box.width, width, ax.get_xlim()),
                (box.height, height, ax.get_ylim()),
            )
        ]
        np.testing.assert_allclose(scales, scales[0])
        assert bool(key.get_xlabel()) == (what == "orientation")

    def test_the_slices_go_through_the_grain_or_where_told(self, grain, grain_factory):
        # The mask's mean index is (2, 1.5, 0.5).
        assert slices_figure(grain).axes[1].get_title() == "x = 1 µm"
        figure = slices_figure(grain, through=(0, 3, 2))
        titles = [ax.get_title() for ax in figure.axes[:3]]
        assert titles == ["z = 4 µm", "x = -3 µm", "y = 0.25 µm"]
        empty = grain_factory(mask=np.zeros((5, 4, 3), bool))
        assert drawn(slices_figure(empty)).size > 0


class TestProjections:
    def test_a_mosaicity_map_keeps_to_its_mask(self, ax):
        a, b = np.meshgrid(np.linspace(-0.1, 0.1, 5), np.linspace(-0.1, 0.1, 4))
        mask = np.zeros((4, 5), bool)
        mask[1:3, 1:4] = True
        b[2, 2] = np.nan
        image = draw_mosaicity(ax, a, b, (0, 5, 0, 4), 0.1, mask)
        rgba = image.get_array()
        expected = mask & np.isfinite(b)
        np.testing.assert_array_equal(rgba[..., 3], expected)
        np.testing.assert_allclose(rgba[expected][:, :3], orientation_colors(a, b, 0.1)[expected])
        assert image.origin == "upper"

    def test_measured_and_modelled_have_one_scale(self):
        figure = new_figure(4, 2)
        left, right = figure.subplots(1, 2)
        measured = np.arange(20.0).reshape(4, 5)
        images = draw_comparison(left, right, measured, 3 * measured, (0, 5, 0, 4))
        assert images[0].get_clim() == images[1].get_clim()
        assert images[0].get_clim()[1] == pytest.approx(57, rel=0.01)
        np.testing.assert_array_equal(images[0].get_array(), measured)
        assert (left.get_title(), right.get_title()) == ("measured", "modelled")
        with pytest.raises(ParameterError, match=r"\(3, 5\): expected \(4, 5\)"):
            draw_comparison(left, right, measured, measured[:3], (0, 5, 0, 4))

    def test_the_map_of_a_projection_shows_the_mean_setting(self):
        mu, gamma = (part.ravel() for part in np.mgrid[-1:2, -1:2] * 0.1)
        frames = np.zeros((9, 6, 8), np.float32)
        frames[0, 1:3, 1:4] = 100
        frames[8, 3:5, 4:7] = 100
        frames[4, 0, 0] = 1
        figure = mosaicity_map_figure(frames, mu, gamma, 0.25, title="ω = 12.8°")
        total_ax, _, map_ax, key_ax = figure.axes
        np.testing.assert_array_equal(total_ax.images[0].get_array(), frames.sum(axis=0))
        rgba = map_ax.images[0].get_array()
        # The faint pixel is no part of the map.
        assert rgba[0, 0, 3] == 0
        assert rgba[..., 3].sum() == 12
        assert np.linalg.norm(rgba[1, 1, :3] - rgba[4, 6, :3]) > 0.3
        assert isinstance(key_ax.images[0], AxesImage)
        assert map_ax.images[0].get_extent() == [0, 2, 0, 1.5]
        assert key_ax.get_xlabel() == "μ (°)"
        assert drawn(figure).shape[1] > 1000

    def test_an_empty_projection_can_be_shown(self):
        figure = mosaicity_map_figure(np.zeros((2, 4, 4), np.float32), [0, 1], [0, 1], 0.1)
        assert figure.axes[2].images[0].get_array()[..., 3].max() == 0
        drawn(figure)
