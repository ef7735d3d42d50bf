from __future__ import annotations

import h5py
import numpy as np
import pytest
from scipy.spatial import ConvexHull

from recon3d.config.volume import Volume
from recon3d.errors import DataError
from recon3d.simulate.detector import SimulatedDetector
from recon3d.simulate.phantom import (
    PHANTOMS,
    Cells,
    Constant,
    Gradient,
    Phantom,
    Polyhedron,
    make_phantom,
)
from recon3d.simulate.presets import PLANS, demo_plan, off_centre_plan
from recon3d.simulate.truth import Truth, from_plain

BLOCK = Polyhedron(
    ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1), (0, 0, -1)),
    (1.0, 2.0, 1.5, 1.5, 2.0, 2.0),
)


def truth_of(phantom: Phantom) -> Truth:
    return Truth(phantom, demo_plan(), SimulatedDetector())


@pytest.mark.parametrize("name", PHANTOMS)
def test_phantoms_come_back_from_the_file(name, tmp_path):
    phantom = make_phantom(name, seed=9, position_um=(1.0, 2.0, -3.0))
    truth = truth_of(phantom)
    truth.save(tmp_path / "truth.h5", points=8)
    assert Truth.load(tmp_path / "truth.h5") == truth


@pytest.mark.parametrize("name", PLANS)
def test_plans_come_back_from_the_file(name, tmp_path):
    truth = Truth(make_phantom(seed=1), PLANS[name](), SimulatedDetector(seed=3))
    truth.save(tmp_path / "truth.h5", points=8)
    assert Truth.load(tmp_path / "truth.h5").plan == truth.plan


def test_the_truth_knows_the_instrument():
    truth = Truth(make_phantom(), off_centre_plan(), SimulatedDetector())
    assert truth.handedness == -1
    assert truth.turning_center_deg == (0.011, 0.004)
    assert truth.centre_row_pix == pytest.approx(57.0)
    assert truth.rotation_center_pix == pytest.approx(57.4)


def test_the_file_holds_the_grain_for_other_programs(tmp_path):
    phantom = make_phantom("gradient", size_um=8.0, seed=2, position_um=(5.0, 0.0, 0.0))
    truth_of(phantom).save(tmp_path / "truth.h5", points=40)
    with h5py.File(tmp_path / "truth.h5") as file:
        x, y, z = (file[name][()] for name in "xyz")
        i, j, k = np.argwhere(file["density"][()] > 0)[100]
        expected = phantom.sample(x[i], y[j], z[k])
        assert file["a"][i, j, k] == pytest.approx(float(expected.a_deg), abs=1e-6)
        assert file["b"][i, j, k] == pytest.approx(float(expected.b_deg), abs=1e-6)
        assert np.isnan(file["a"][0, 0, 0])
        assert x.mean() == pytest.approx(5.0)
        assert file.attrs["handedness"] == 1
        cell = np.prod([axis[1] - axis[0] for axis in (x, y, z)])
        volume = ConvexHull(phantom.shape.vertices_um).volume
        assert (file["density"][()] > 0).sum() * cell == pytest.approx(volume, rel=0.03)


def test_voxels_get_the_mean_over_their_filled_part():
    phantom = Phantom(BLOCK, a_deg=Gradient((0.01, 0.0, 0.0)), strain=Constant(1e-4))
    volume = Volume((0.0, 0.0, 0.0), (6.0, 6.0, 6.0), (6, 6, 6))
    truth = truth_of(phantom).sample_on(volume)
    np.testing.assert_allclose(truth.occupancy[:, 3, 3], [0, 1, 1, 1, 0, 0])
    np.testing.assert_allclose(truth.occupancy[2, :, 3], [0, 2 / 3, 1, 1, 2 / 3, 0], atol=1e-9)
    np.testing.assert_allclose(truth.a_deg[1:4, 3, 3], [-0.015, -0.005, 0.005], atol=1e-12)
    np.testing.assert_allclose(truth.strain[truth.inside], 1e-4)
    np.testing.assert_array_equal(truth.inside, truth.occupancy >= 0.5)
    assert np.isnan(truth.a_deg[0, 0, 0])


def test_a_voxel_that_is_half_full_is_inside():
    volume = Volume((1.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1, 1, 1))
    truth = truth_of(Phantom(BLOCK)).sample_on(volume, oversampling=2)
    assert truth.occupancy[0, 0, 0] == 0.5
    assert truth.inside.all()


def test_a_voxel_on_the_border_of_two_cells_gets_their_mean():
    cells = Cells(((-1.0, 0.0, 0.0), (1.0 / 3, 0.0, 0.0)), (0.0, 0.03))
    truth = truth_of(Phantom(BLOCK, a_deg=cells)).sample_on(
        Volume((0.0, 0.0, 0.0), (3.0, 3.0, 3.0), (3, 3, 3))
    )
    assert truth.a_deg[1, 1, 1] == pytest.approx(0.02)


def test_the_volume_of_the_truth_is_that_of_the_grain():
    phantom = make_phantom(size_um=10.0, seed=6, position_um=(2.0, -1.0, 0.5))
    truth = truth_of(phantom).sample_on(Volume((2.0, -1.0, 0.5), (11.0, 11.0, 11.0), (40, 40, 40)))
    expected = ConvexHull(phantom.shape.vertices_um).volume
    assert truth.occupancy.sum() * (11 / 40) ** 3 == pytest.approx(expected, rel=0.005)
    assert truth.inside.sum() * (11 / 40) ** 3 == pytest.approx(expected, rel=0.02)


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no HDF5")
    h5py.File(tmp_path / "empty.h5", "w").close()
    for name in ("text.h5", "empty.h5", "missing.h5"):
        with pytest.raises(DataError, match=name):
            Truth.load(tmp_path / name)


def test_unknown_types_are_refused():
    with pytest.raises(DataError, match="another version"):
        from_plain({"type": "Sphere", "radius": 1.0})
    with pytest.raises(DataError, match="another version"):
        from_plain({"type": "Constant", "number": 1.0})
