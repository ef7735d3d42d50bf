"""The cells of planted grains, and the errors that are told of them."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from recon3d.analysis.cells import find_cells, volume_errors_um3
from recon3d.analysis.merging import _absorb
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
