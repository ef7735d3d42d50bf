"""The projection against an explicit matrix, and its adjoint against itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recon3d.experiment import Volume
from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import LitPixels, Projector, voxel_centres_um

GEOMETRY = ProjectionGeometry(
    theta_deg=10.4, magnification_pix_per_um=1.7, centre_row_pix=9.3, centre_col_pix=11.2
)
VOLUME = Volume((0.3, -0.2, 0.1), (9.0, 8.0, 10.0), (7, 6, 8))
SHAPE = (20, 24)


def explicit_matrix(points_um, omega_deg, shape):
    """Bilinear weights written out voxel by voxel: (pixels, voxels)."""
    matrix = np.zeros((*shape, len(points_um)))
    affine = GEOMETRY.affine(omega_deg)
    for voxel, point in enumerate(points_um):
        row, col = affine @ [*point, 1]
        for r in range(shape[0]):
            for c in range(shape[1]):
                weight = max(0, 1 - abs(row - r)) * max(0, 1 - abs(col - c))
                matrix[r, c, voxel] = weight
    return matrix.reshape(-1, len(points_um))


@pytest.mark.parametrize("bins", [1, 3, 40])
def test_forward_is_the_explicit_matrix(bins):
    points = voxel_centres_um(VOLUME)
    values = np.random.default_rng(0).random((len(points), bins))
    pixels = LitPixels.from_mask(np.ones(SHAPE, bool))
    images = Projector(GEOMETRY, points).forward(values, 33.0, pixels)
    assert np.allclose(images[:-1], explicit_matrix(points, 33.0, SHAPE) @ values)
    assert not images[-1].any()


def test_only_the_chosen_pixels_are_filled():
    points = voxel_centres_um(VOLUME)
    values = np.random.default_rng(1).random((len(points), 2))
    mask = np.random.default_rng(2).random(SHAPE) > 0.5
    images = Projector(GEOMETRY, points).forward(values, -70.0, LitPixels.from_mask(mask))
    expected = explicit_matrix(points, -70.0, SHAPE)[mask.ravel()] @ values
    assert np.allclose(images[:-1], expected)


@given(
    omega_deg=st.floats(-360, 360),
    bins=st.integers(1, 40),
    dtype=st.sampled_from([np.float32, np.float64]),
    seed=st.integers(0, 2**31),
)
def test_adjoint_is_exact(omega_deg, bins, dtype, seed):
    rng = np.random.default_rng(seed)
    points = voxel_centres_um(VOLUME)
    # A detector smaller than the projection, with dark pixels: borders and holes count too.
    pixels = LitPixels.from_mask(rng.random((12, 13)) > 0.3)
    projector = Projector(GEOMETRY, points)
    volume = rng.random((len(points), bins)).astype(dtype)
    images = rng.random((pixels.count + 1, bins)).astype(dtype)
    images[-1] = 0
    back = np.zeros_like(volume)
    projector.adjoint(images, omega_deg, pixels, back)
    left = np.vdot(projector.forward(volume, omega_deg, pixels), images)
    right = np.vdot(volume, back)
    assert left == pytest.approx(right, rel=1e-5 if dtype is np.float32 else 1e-12)


def test_gather_takes_lit_pixels_in_order():
    frames = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = mask[2, 0] = True
    pixels = LitPixels.from_mask(mask)
    assert pixels.gather(frames).tolist() == [[6, 18], [8, 20], [0, 0]]
    assert np.array_equal(pixels.mask, mask)


def test_voxel_centres_follow_the_volume():
    points = voxel_centres_um(VOLUME).reshape(*VOLUME.shape, 3)
    assert points[:, 0, 0, 0] == pytest.approx(VOLUME.axis_um(0))
    assert points[0, :, 0, 1] == pytest.approx(VOLUME.axis_um(1))
    assert points[0, 0, :, 2] == pytest.approx(VOLUME.axis_um(2))
    assert points.mean(axis=(0, 1, 2)) == pytest.approx(VOLUME.position_um)
