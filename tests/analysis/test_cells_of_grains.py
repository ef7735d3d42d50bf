"""Cells of planted grains whose table is known."""

import numpy as np
import pytest

from recon3d.analysis.cells import _absorb, find_cells
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.simulate.phantom import make_phantom


def planted(kind="subgrains", n=40, noise_deg=0.002, **changes):
    """A planted grain, and the tilts of its voxels without noise."""
    phantom = make_phantom(kind, 12.0, 0.06, seed=1)
    volume = Volume((0.0, 0.0, 0.0), (13.0, 13.0, 13.0), (n, n, n))
    axes = [volume.axis_um(axis) for axis in range(3)]
    sample = phantom.sample(*np.meshgrid(*axes, indexing="ij", sparse=True))
    mask = sample.density > 0
    true = np.stack([np.broadcast_to(t, mask.shape) for t in (sample.a_deg, sample.b_deg)], axis=-1)
    noise = noise_deg * np.random.default_rng(0).normal(size=true.shape)
    orientation = np.where(mask[..., None], true + noise, np.nan).astype(np.float32)
    one = np.where(mask, 1, 0).astype(np.float32)
    return Grain(volume, one, mask, orientation, one, one, **changes), true


@pytest.mark.parametrize("threshold", [None, 0.01])
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_the_table_is_that_of_the_planted_cells(threshold, noise):
    grain, true = planted(noise_deg=noise)
    found = find_cells(grain, threshold)
    tilts, of_voxel, counts = np.unique(
        true[grain.mask], axis=0, return_inverse=True, return_counts=True
    )
    assert len(found) == len(tilts) == 7
    order = np.argsort(-counts, kind="stable")
    voxel_um3 = (13 / 40) ** 3
    np.testing.assert_allclose(found.table["volume_um3"], counts[order] * voxel_um3, rtol=0.03)
    mean = np.stack([found.table["a_deg"], found.table["b_deg"]], axis=1)
    assert np.abs(mean - tilts[order]).max() < 0.001
    pairs = np.stack([found.boundaries["first"], found.boundaries["second"]], axis=1) - 1
    apart = tilts[order][pairs[:, 0]] - tilts[order][pairs[:, 1]]
    assert np.abs(found.boundaries["misorientation_deg"] - np.hypot(*apart.T)).max() < 0.002
    # Voxels of a cell lie where they were planted.
    place = np.stack(np.meshgrid(*[grain.volume.axis_um(i) for i in range(3)], indexing="ij"), -1)
    for number, cell in enumerate(order):
        centre = place[grain.mask][of_voxel == cell].mean(axis=0)
        row = found.table[number]
        np.testing.assert_allclose([row["x_um"], row["y_um"], row["z_um"]], centre, atol=0.05)
    share = (found.labels[grain.mask] - 1 == np.argsort(order)[of_voxel]).mean()
    assert share > 0.99


@pytest.mark.parametrize("kind", ["single", "gradient", "bent"])
@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_a_grain_without_boundaries_is_one_cell(kind, noise):
    found = find_cells(planted(kind, 32, noise)[0])
    assert len(found) == 1
    assert len(found.boundaries) == 0
    assert not found.boundary_voxels().any()
    assert found.table["neighbours"].tolist() == [0]


def test_blurred_voxels_between_cells_are_no_cell():
    volume = Volume((0.0, 0.0, 0.0), (24.0, 16.0, 16.0), (24, 16, 16))
    orientation, one = np.zeros((24, 16, 16, 2)), np.ones((24, 16, 16), np.float32)
    orientation[12:, ..., 0] = 0.05
    orientation[12:14, 3:9, 3:9, 1] = 0.05
    grain = Grain(volume, one, one > 0, orientation, one, one)
    np.testing.assert_allclose(find_cells(grain).table["voxels"], 12 * 256, atol=72 / 2)
    assert find_cells(grain, min_voxels=27).table["voxels"].min() == 72


def two_halves(step_deg=0.02, error=None):
    """Two halves of a box of 12 x 8 x 10 voxels of 0.5 x 1 x 2 µm, parted across x."""
    volume = Volume((0.0, 0.0, 0.0), (6.0, 8.0, 20.0), (12, 8, 10))
    orientation = np.zeros((12, 8, 10, 2), np.float32)
    orientation[5:, ..., 1] = step_deg
    one = np.ones(volume.shape, np.float32)
    grain = Grain(volume, one, one > 0, orientation, one, one, strain=1e-4 * one)
    if error is not None:
        object.__setattr__(grain, "orientation_error", np.full(orientation.shape, error))
    return grain


def test_areas_neighbours_and_errors_are_those_worked_out_by_hand():
    found = find_cells(two_halves(error=0.002), 0.01)
    assert found.table["voxels"].tolist() == [7 * 80, 5 * 80]
    (boundary,) = found.boundaries
    assert boundary["area_um2"] == pytest.approx(8 * 20)
    assert boundary["misorientation_deg"] == pytest.approx(0.02, rel=1e-5)
    # Half of 2 mdeg is that of all voxels together, 480 and 320 that touch no other cell.
    errors = [0.002 * np.sqrt(1 / count + 0.25) for count in (480, 320)]
    assert found.table["b_error_deg"].tolist() == pytest.approx(errors)
    assert boundary["misorientation_error_deg"] == pytest.approx(np.hypot(*errors))
    assert found.doubts == []
    assert found.table["strain"].tolist() == pytest.approx([1e-4, 1e-4])
    assert found.boundary_voxels().sum() == 2 * 80
    assert repr(found) == "<Cells: 2 at 0.01°, 1 boundaries>"
    assert found._repr_html_().count("<tr>") == 3


def test_cells_that_scatter_unlike_each_other_are_in_doubt():
    grain = two_halves(error=0.002)
    grain.occupancy[:5], grain.occupancy[5:] = 0.86, 1.1
    (doubt,) = find_cells(grain, 0.01).doubts
    # Of 3 and 5 layers that touch neither a cell nor the outside: 0.24 √(3 · 5) / 8.
    assert "wrong by 12 % and the angles between them by 1.4 mdeg" in doubt


def test_voxels_between_two_cells_are_counted_by_their_shares():
    """A layer of 80 voxels at a quarter of the way from their own cell to the other."""
    grain = two_halves()
    grain.orientation[5, ..., 1] = 0.75 * 0.02
    table = find_cells(grain, 0.008).table
    assert table["voxels"].tolist() == [560, 400]
    assert table["volume_um3"].tolist() == pytest.approx([540, 420])


def test_a_threshold_above_the_step_joins_them_and_small_pieces_are_given_away():
    assert len(find_cells(two_halves(), 0.03)) == 1
    grain = two_halves()
    grain.orientation[2:4, 2:4, 2:4] = 0.5
    assert len(find_cells(grain, 0.01)) == 2
    few = find_cells(grain, 0.01, min_voxels=1)
    assert len(few) >= 2


@pytest.mark.parametrize(("threshold", "count"), [(0.012, 2), (0.022, 1), (None, 2)])
def test_a_bridge_of_blurred_voxels_does_not_join_two_cells(threshold, count):
    """64 voxels half-way between the halves, which are 20 mdeg apart."""
    grain = two_halves()
    grain.orientation[3:7, 2:6, 3:7, 1] = 0.01
    assert len(find_cells(grain, threshold, min_voxels=81)) == count


def test_impossible_numbers_are_refused(grain_factory):
    with pytest.raises(ParameterError, match="threshold_deg is 0: expected a number > 0 or None"):
        find_cells(two_halves(), 0)
    with pytest.raises(ParameterError, match=r"grain is 'grain\.h5': expected a grain"):
        find_cells("grain.h5")
    with pytest.raises(ParameterError, match="min_voxels"):
        find_cells(two_halves(), min_voxels=0)
    empty = grain_factory(mask=np.zeros((5, 4, 3), bool))
    with pytest.raises(ParameterError, match="no voxel"):
        find_cells(empty)


def test_what_is_too_small_goes_to_the_neighbour_of_nearest_orientation():
    tilts = np.array([[0.1, 0.0]] * 3 + [[0.28, 0.1]] + [[0.3, 0.1]] * 3)
    faces = np.stack([np.arange(6), np.arange(1, 7)], axis=1)
    pieces = np.array([0, 0, 0, -1, 1, 1, 1])
    assert _absorb(pieces, tilts, faces, 2).tolist() == [0, 0, 0, 1, 1, 1, 1]
