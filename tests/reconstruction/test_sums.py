"""Summed projections for other programs: their vectors say where a voxel lands."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.geometry import ProjectionGeometry
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.quality.reprojection import export_sums, parallel_vectors


@given(
    omega=st.floats(-360, 360),
    theta=st.floats(2, 40),
    point=st.tuples(*[st.floats(-9, 9)] * 3),
)
def test_a_ray_through_a_voxel_meets_the_pixel_it_lands_on(omega, theta, point):
    affine = ProjectionGeometry(theta, 3.1, 20.3, 31.7).affine(omega)
    ray, centre, along_cols, along_rows = parallel_vectors(affine, (40, 60)).reshape(4, 3)
    # p + s ray = centre + (col - 29.5) u + (row - 19.5) v
    s, col, row = np.linalg.solve(
        np.stack([-ray, along_cols, along_rows], axis=1), np.array(point) - centre
    )
    assert affine @ [*point, 1] == pytest.approx([row + 19.5, col + 29.5], abs=1e-6)
    assert np.dot(ray, along_cols) == pytest.approx(0, abs=1e-9)
    assert np.isfinite(s)


def test_the_file_holds_the_sums_of_the_used_projections(planted, tmp_path):
    scan = planted("demo", handedness=-1)
    left_out = float(scan.store.omega_deg[2])
    model = build_model(scan.store, scan.experiment.with_settings(omega_exclude=(left_out,)), -1)
    export_sums(model, tmp_path / "sums.h5")
    with h5py.File(tmp_path / "sums.h5") as file:
        assert left_out not in file["omega"][()]
        assert file["vectors"].shape == (len(model.projections), 12)
        assert file["sums"][3] == pytest.approx(scan.store.read_projection(4).sum(axis=0))
