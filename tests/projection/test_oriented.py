"""Voxels of one orientation each against the operator with a bin of its own for every voxel."""

import numpy as np
import pytest

from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.projection.oriented_voxels import BLOCK, OrientedVoxels, gather_slopes, visible_share
from recon3d.projection.weights import (
    Acceptance,
    FrameSettings,
    Turning,
    frame_weights,
    scaled_settings,
)
from recon3d.reconstruction.fit.orientations import _of_shared

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
    orientations = np.stack([a, b, np.zeros_like(a)])
    projector = Projector(POINTS, (voxel_um,) * 3)
    return OrientedVoxels(projector, orientations, rng.uniform(0.5, 2, len(POINTS)))


def both(grain):
    turned = TURNING.settings_of(grain.orientations, OMEGA)
    settings = scaled_settings(frame_settings().of(0), turned, ACCEPTANCE)
    return settings, frame_weights(*settings)


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
    rest = rng.normal(size=(PIXELS.count + 1, len(of_frames))).astype(np.float32)
    rest[-1] = 0
    # Two unknowns of a voxel's own, a shared one, and one that moves gamma with its place.
    turning, tilts = rng.normal(size=(3, 4)), rng.normal(size=(1, 3))
    turning[:, 3] = 0
    count = len(POINTS)
    own, strengths = np.zeros((count, 2, 5)), np.zeros((count, 2))
    moments = np.zeros((-(-count // BLOCK), 3, 4, 5))
    where = (POINTS, AFFINE, PIXELS.lookup)
    laws = (turning, tilts, of_voxels, of_frames)
    gather_slopes(0, len(moments), own, moments, strengths, *laws, *where, rest)
    shared = _of_shared(moments.sum(axis=0), turning[:, 2:], tilts)
    # Summed over the voxels, they are what each voxel would have of its own.
    all_own = np.zeros((count, 4, 5))
    gather_slopes(0, len(moments), all_own, moments, strengths.copy(), *laws, *where, rest)
    np.testing.assert_allclose(all_own[:, 2:, 2:].sum(axis=0), shared, rtol=1e-9, atol=1e-9)
    ones = OrientedVoxels(grain.projector, grain.orientations, np.ones(count))

    def overlap(step):
        """The derivative of <prediction, rest> by each voxel's unknowns, one by one."""
        moved = of_voxels + step
        return np.vdot(ones.frames((of_frames, moved), AFFINE, PIXELS), rest)

    def slope_by(direction):
        return (overlap(1e-2 * direction) - overlap(-1e-2 * direction)) / 2e-2

    for voxel in (17, 62, 80):
        for unknown in range(2):
            step = np.zeros_like(of_voxels)
            step[voxel] = turning[:, unknown]
            assert own[voxel, unknown, 4] == pytest.approx(slope_by(step), rel=0.02, abs=2e-3)
    together = np.tile(turning[:, 2], (count, 1)), np.zeros_like(of_voxels)
    together[1][:, 1] = POINTS @ tilts[0]
    for unknown, step in enumerate(together):
        found = shared[unknown, 2]
        assert found == pytest.approx(slope_by(step), rel=0.02, abs=0.05)
    block = own[:, :, :2]
    assert np.allclose(block, block.transpose(0, 2, 1))
    assert np.linalg.eigvalsh(block).min() >= -1e-6
    # Shared unknown 2 moves every voxel as a sum of its own would.
    shares = np.linalg.lstsq(turning[:2, :2], turning[:2, 2], rcond=None)[0]
    assert own[:, :, 2] == pytest.approx(block @ shares, rel=1e-3, abs=1e-3)
    assert (strengths[:, 1] > 0).all()


@pytest.mark.parametrize("squared", [0.0, 0.3, 4.0, 15.9, 16.0, 1e8])
def test_weights_are_gaussians_up_to_four_widths(squared):
    share = np.empty(1)
    of_frames = np.array([[np.sqrt(squared), 0, 0], [np.nan] * 3])
    visible_share(0, 1, share, np.zeros((1, 3)), of_frames)
    expected = np.exp(-squared / 2) if squared < 16 else 0
    assert share[0] == pytest.approx(expected, rel=1e-5, abs=0)


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
