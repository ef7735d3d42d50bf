"""The operator of one projection against its own explicit matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector

POINTS = np.stack(np.meshgrid(*[np.arange(-1.0, 1.5)] * 3, indexing="ij"), -1).reshape(-1, 3)


def operator(seed, voxel_um, dtype=np.float64):
    rng = np.random.default_rng(seed)
    geometry = ProjectionGeometry(10.4, 1.3, 4.2, 5.1)
    pixels = IlluminatedPixels.from_mask(rng.random((9, 11)) > 0.2)
    weights = rng.random((4, 5)).astype(dtype)
    affine = geometry.affine(rng.uniform(-180, 180))
    return FrameOperator(Projector(POINTS, (voxel_um,) * 3), affine, pixels, weights), rng


def explicit(a):
    """The matrix itself, (pixels · frames, voxels · bins)."""
    shape = len(a.projector.points_um), a.weights.shape[1]
    units = np.eye(np.prod(shape)).reshape(-1, *shape)
    return np.stack([a.forward(unit)[:-1].ravel() for unit in units], axis=1)


@given(
    seed=st.integers(0, 2**31),
    voxel_um=st.sampled_from([0.0, 1.0, 2.5]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_forward_and_adjoint_are_transposes(seed, voxel_um, dtype):
    a, rng = operator(seed, voxel_um, dtype)
    volume = rng.random((len(POINTS), 5)).astype(dtype)
    frames = rng.random((a.pixels.count + 1, 4)).astype(dtype)
    frames[-1] = 0
    back = np.zeros_like(volume)
    a.adjoint(frames, back)
    left = np.vdot(a.forward(volume), frames)
    assert left == pytest.approx(np.vdot(volume, back), rel=1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("voxel_um", [0.0, 2.5])
def test_both_are_the_explicit_matrix(voxel_um):
    a, rng = operator(3, voxel_um)
    matrix = explicit(a)
    assert matrix.shape == (a.pixels.count * 4, len(POINTS) * 5)
    volume = rng.random((len(POINTS), 5))
    assert a.forward(volume)[:-1].ravel() == pytest.approx(matrix @ volume.ravel())
    frames = np.concatenate([rng.random((a.pixels.count, 4)), np.zeros((1, 4))])
    back = np.zeros_like(volume)
    a.adjoint(frames, back)
    assert back.ravel() == pytest.approx(matrix.T @ frames[:-1].ravel())


def test_the_explicit_matrix_is_the_product_of_its_factors():
    a, _ = operator(5, 0.0)
    one_bin = FrameOperator(a.projector, a.affine, a.pixels, np.ones((1, 1)))
    assert explicit(a) == pytest.approx(np.kron(explicit(one_bin), a.weights))


def test_lengths_are_what_ones_project_to():
    a, _ = operator(7, 1.5)
    one_bin = FrameOperator(a.projector, a.affine, a.pixels, np.ones((1, 1)))
    assert a.lengths()[:-1, 0] == pytest.approx(explicit(one_bin).sum(axis=1))
