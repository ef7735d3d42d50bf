"""Voxels of one orientation each against the operator with a bin of its own for every voxel."""

import numpy as np
import pytest

from recon3d.geometry import ProjectionGeometry
from recon3d.projection.bins import OrientationList
from recon3d.projection.forward import FrameOperator
from recon3d.projection.kernels.oriented import gather_slopes
from recon3d.projection.operator import IlluminatedPixels, Projector
from recon3d.projection.oriented import OrientedVoxels
from recon3d.projection.weights import (
    Acceptance,
    FrameSettings,
    Turning,
    frame_weights,
    scaled_settings,
)

POINTS = np.stack(np.meshgrid(*[np.arange(-2.0, 2.5)] * 3, indexing="ij"), -1).reshape(-1, 3)
AFFINE = ProjectionGeometry(10.4, 1.6, 7.2, 8.1).affine(34.0)
PIXELS = IlluminatedPixels.from_mask(np.ones((15, 17), bool))
OMEGA = 34.0
TURNING = Turning(-1, 0.01, -0.02)
ACCEPTANCE = Acceptance(0.016, 0.03)


def frame_settings():
    mu, gamma = np.meshgrid(np.arange(-3, 4) * 0.03, np.arange(-3, 4) * 0.03, indexing="ij")
    mu, gamma = mu.reshape(1, -1).copy(), gamma.reshape(1, -1).copy()
    mu[0, 11] = np.nan
    return FrameSettings(mu, gamma, np.zeros_like(mu))


def voxels(seed=0, voxel_um=1.0):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(scale=0.03, size=(2, len(POINTS)))
    orientations = OrientationList(a, b, np.zeros_like(a))
    projector = Projector(POINTS, (voxel_um,) * 3)
    return OrientedVoxels(projector, orientations, rng.uniform(0.5, 2, len(POINTS)))


def both(grain):
    common = (frame_settings(), 0, OMEGA, grain.orientations, TURNING, ACCEPTANCE)
    return scaled_settings(*common), frame_weights(*common)


@pytest.mark.parametrize("voxel_um", [0.0, 2.0])
def test_frames_are_those_of_a_bin_for_every_voxel(voxel_um):
    grain = voxels(voxel_um=voxel_um)
    settings, weights = both(grain)
    operator = FrameOperator(grain.projector, AFFINE, PIXELS, weights)
    expected = operator.forward(np.diag(grain.intensity).astype(np.float32))
    found = grain.frames(settings, AFFINE, PIXELS)
    assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
    assert not found[:, 11].any()
    assert expected.max() > 0.5


def test_sums_are_sums_of_the_frames():
    grain = voxels()
    settings, _ = both(grain)
    frames = grain.frames(settings, AFFINE, PIXELS)
    summed = grain.summed(settings, AFFINE, PIXELS.mask.shape)
    assert summed.ravel() == pytest.approx(frames[:-1].sum(axis=1), rel=1e-4, abs=1e-4)


def test_slopes_are_those_of_the_squared_differences():
    grain = voxels(voxel_um=0.0)
    (of_frames, of_voxels), _ = both(grain)
    rng = np.random.default_rng(1)
    rest = rng.normal(size=(PIXELS.count + 1, len(of_frames)))
    rest[-1] = 0
    turning = rng.normal(size=(3, 2))
    count = len(POINTS)
    matrix, right, strengths = np.zeros((count, 2, 2)), np.zeros((count, 2)), np.zeros((count, 2))
    where = (POINTS, AFFINE, PIXELS.lookup)
    gather_slopes(matrix, right, strengths, turning, of_voxels, of_frames, *where, rest)
    ones = OrientedVoxels(grain.projector, grain.orientations, np.ones(count))

    def overlap(step):
        """The derivative of <prediction, rest> by each voxel's unknowns, one by one."""
        moved = of_voxels + step
        return np.vdot(ones.frames((of_frames, moved), AFFINE, PIXELS), rest)

    for voxel in (17, 62, 80):
        for unknown in range(2):
            step = np.zeros_like(of_voxels)
            step[voxel] = 1e-2 * turning[:, unknown]
            slope = (overlap(step) - overlap(-step)) / 2e-2
            assert right[voxel, unknown] == pytest.approx(slope, rel=0.02, abs=2e-3)
    assert np.allclose(matrix, matrix.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(matrix).min() >= -1e-9
    assert (strengths[:, 1] > 0).all()


def test_frames_out_of_reach_of_all_voxels_are_left_out_without_a_difference():
    grain = voxels()
    (of_frames, of_voxels), _ = both(grain)
    far = of_frames + 100.0 * (np.arange(len(of_frames)) % 2)[:, None]
    reached = grain.reached((far, of_voxels))
    whole = grain.frames((far, of_voxels), AFFINE, PIXELS)
    assert not whole[:, ~reached].any()
    assert 0 < np.count_nonzero(reached) <= len(of_frames) // 2 + 1
    assert np.array_equal(
        grain.frames((far[reached], of_voxels), AFFINE, PIXELS), whole[:, reached]
    )
