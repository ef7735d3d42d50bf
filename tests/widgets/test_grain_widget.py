"""Slices, the surface and the cells of a grain in the notebook, without a browser."""

import numpy as np
import pytest

from recon3d.colors import orientation_colors
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.widgets import GrainCells, GrainSlices, GrainSurface, or_told, show_table


@pytest.fixture
def ball():
    """A ball of 5 µm about (2, 0, 0) µm, whose tilt a grows along x."""
    volume = Volume((2.0, 0.0, 0.0), (14.0, 14.0, 14.0), (28, 28, 28))
    x, y, z = np.meshgrid(*(volume.axis_um(axis) for axis in range(3)), indexing="ij")
    mask = (x - 2) ** 2 + y**2 + z**2 < 25
    tilts = np.where(mask[..., None], np.stack([0.01 * x, 0 * x], axis=-1), np.nan)
    shares = mask.astype(np.float32)
    return Grain(
        volume,
        occupancy=shares,
        mask=mask,
        orientation=tilts.astype(np.float32),
        orientation_spread=np.where(mask, 0.002, np.nan).astype(np.float32),
        completeness=shares,
        strain=None,
        residual=np.zeros(0),
        provenance={"method": "iterative"},
    )


def mesh_of(widget):
    frame, mesh = widget.plot.objects
    assert frame.type == "Lines"
    return np.array(mesh.vertices), np.array(mesh.colors)


def rgb_of(packed):
    return np.stack([packed >> 16 & 255, packed >> 8 & 255, packed & 255], axis=-1) / 255


def test_the_surface_lies_where_the_grain_does_in_its_colours(ball):
    widget = GrainSurface(ball)
    vertices, colors = mesh_of(widget)
    distance = np.linalg.norm(vertices - (2, 0, 0), axis=1)
    assert 4.4 < distance.min() < distance.max() < 5.5
    ends = np.asarray(widget.plot.objects[0].vertices)
    np.testing.assert_allclose(ends.min(axis=0), vertices.min(axis=0), atol=1e-5)
    np.testing.assert_allclose(ends.max(axis=0), vertices.max(axis=0), atol=1e-5)
    range_deg, center_deg = widget.scene.range_deg, widget.scene.center_deg
    expected = orientation_colors(
        0.01 * vertices[:, 0], np.zeros(len(vertices)), range_deg, center_deg
    )
    # A corner takes the colour of the voxel beside it, up to half a micrometre away.
    assert np.abs(rgb_of(colors) - expected).max() < 0.12


def test_a_plane_cuts_it_open_and_the_cut_shows_what_is_inside(ball):
    widget = GrainSurface(ball)
    assert widget.place.disabled  # it would move nothing
    widget.cut.value = "x above"
    assert not widget.place.disabled
    widget.place.value = 50
    vertices, colors = mesh_of(widget)
    # The plane lies in the middle of the box, at x = 2 µm.
    assert vertices[:, 0].max() == pytest.approx(2, abs=0.3)
    on_cut = vertices[:, 0] > 1.8
    inner = on_cut & (np.hypot(*vertices[:, 1:].T) < 2)
    assert np.count_nonzero(inner) > 20
    assert np.ptp(rgb_of(colors)[inner], axis=0).max() < 0.05


def test_nothing_left_is_said(ball):
    widget = GrainSurface(ball)
    widget.cut.value = "z above"
    widget.place.value = 1
    assert "nothing is left" in widget.status.value
    widget.place.value = 60
    assert "nothing" not in widget.status.value


def test_another_quantity_changes_colours_and_key(ball):
    widget = GrainSurface(ball)
    _, before = mesh_of(widget)
    key = widget.key.value
    widget.what.value = "a"
    _, after = mesh_of(widget)
    assert not np.array_equal(before, after)
    assert widget.key.value != key
    assert bytes(widget.key.value).startswith(b"\x89PNG")


def test_light_is_off_where_colours_must_be_true(ball):
    widget = GrainSurface(ball)
    assert widget.plot.lighting == 0
    widget.shade.value = "shaded"
    assert widget.plot.lighting > 0


def test_sliders_move_the_slices(ball, drawn):
    widget = GrainSlices(ball)
    assert widget.value == (14, 14, 14) or widget.value == (13, 13, 13)
    before = drawn(widget.canvas)
    widget.through[0].value = 5
    assert widget.value[0] == 5
    after = drawn(widget.canvas)
    assert not np.array_equal(before, after)
    widget.what.value = "spread"
    assert not np.array_equal(after, drawn(widget.canvas))


def test_slices_grow_with_the_page_and_keep_their_places(grain_factory):
    widget = GrainSlices(grain_factory((9, 8, 7)))
    figure = widget.canvas.figure
    before = figure.get_size_inches().copy()
    places = [ax.get_position(original=True).bounds for ax in figure.axes]
    widget.page.width_px = 1700
    assert figure.get_size_inches()[0] > 1.4 * before[0]
    widget.through[0].value += 1
    assert [ax.get_position(original=True).bounds for ax in figure.axes] == places


@pytest.fixture
def steps():
    """A box of three slabs along z, apart by 10 and by 60 mdeg, each 12 x 12 x 4 voxels."""
    volume = Volume((0, 0, 0), (7, 7, 7), (14, 14, 14))
    mask = np.zeros(volume.shape, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    a = np.repeat([0.0, 0.0, 0.01, 0.07, 0.07], [1, 4, 4, 4, 1])
    tilts = np.zeros((*volume.shape, 2))
    tilts[..., 0] = a
    tilts[~mask] = np.nan
    return Grain(
        volume,
        occupancy=mask.astype(np.float32),
        mask=mask,
        orientation=tilts.astype(np.float32),
        orientation_spread=np.where(mask, 0, np.nan).astype(np.float32),
        completeness=mask.astype(np.float32),
    )


def test_the_data_choose_and_a_threshold_parts_otherwise(steps):
    widget = GrainCells(steps)
    assert widget.threshold.disabled
    assert len(widget.value) == 3
    widget.by_data.value = False
    widget.threshold.value = 30
    assert not widget.threshold.disabled
    assert [cell["voxels"] for cell in widget.value.table] == [2 * 12 * 12 * 4, 12 * 12 * 4]
    assert ">1152</td>" in widget.table.value
    assert ">voxels</th>" in widget.table.value
    assert ">strain</th>" not in widget.table.value  # it was not scanned
    assert "2 cells, 1 boundaries" in widget.status.value
    texts = {text.get_text() for ax in widget.canvas.figure.axes for text in ax.texts}
    assert {"1", "2"} <= texts


def test_a_grain_without_orientations_is_told(grain_factory):
    grain = grain_factory()
    nothing = np.full_like(grain.orientation, np.nan)
    widget = GrainCells(grain_factory(orientation=nothing))
    assert widget.value is None
    assert "no voxel" in widget.status.value


def test_boundaries_are_shown_as_a_table(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    rows = np.array([(10234, 2, 0.041271)], [("first", int), ("second", int), ("angle_deg", float)])
    show_table(rows, "first", "angle_deg")
    assert "<th>first</th><th>angle_deg</th>" in shown[0].data
    assert "<td>10234</td><td>0.04127</td>" in shown[0].data


def test_cells_go_on_after_an_error_of_ours_and_of_no_other(capsys):
    with or_told():
        raise ParameterError("no Burgers vector is known here")
    assert capsys.readouterr().out == "no Burgers vector is known here\n"
    with pytest.raises(KeyError), or_told():
        raise KeyError("mu")
