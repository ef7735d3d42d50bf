"""The projection against an explicit matrix, and its adjoint against itself."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from recon3d.config.volume import Volume
from recon3d.geometry import ProjectionGeometry
from recon3d.projection.operator import (
    IlluminatedPixels,
    Projector,
    box_taps,
    spread,
    voxel_centres_um,
)

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
    pixels = IlluminatedPixels.from_mask(np.ones(SHAPE, bool))
    images = Projector(points).forward(values, GEOMETRY.affine(33.0), pixels)
    assert np.allclose(images[:-1], explicit_matrix(points, 33.0, SHAPE) @ values)
    assert not images[-1].any()


def test_only_the_chosen_pixels_are_filled():
    points = voxel_centres_um(VOLUME)
    values = np.random.default_rng(1).random((len(points), 2))
    mask = np.random.default_rng(2).random(SHAPE) > 0.5
    images = Projector(points).forward(
        values, GEOMETRY.affine(-70.0), IlluminatedPixels.from_mask(mask)
    )
    expected = explicit_matrix(points, -70.0, SHAPE)[mask.ravel()] @ values
    assert np.allclose(images[:-1], expected)


def test_what_falls_outside_an_image_is_what_the_matrix_lacks():
    points = voxel_centres_um(VOLUME)
    expected = 1 - explicit_matrix(points, 33.0, (9, 11)).sum(axis=0)
    cut, share = Projector(points).outside(GEOMETRY.affine(33.0), (9, 11))
    assert np.array_equal(cut, np.flatnonzero(expected > 1e-6))
    assert share == pytest.approx(expected[cut], abs=1e-6)
    assert 0 < cut.size < len(points)
    assert not Projector(points).outside(GEOMETRY.affine(33.0), (40, 40))[0].size


def test_the_footprint_counts_in_what_falls_outside():
    # Half of the voxel is taken to be on the last column, and 5/8 of a footprint of
    # (1/8, 1/4, 1/4, 1/4, 1/8) around it are on the image.
    affine = np.array([[0.0, 0.0, 1.0, 6.0], [0.0, 1.0, 0.0, 11.5]])
    _, share = Projector(np.zeros((1, 3)), (4.0, 4.0, 4.0)).outside(affine, (13, 12))
    assert share == pytest.approx([1 - 5 / 16])


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
    pixels = IlluminatedPixels.from_mask(rng.random((12, 13)) > 0.3)
    projector = Projector(points)
    affine = GEOMETRY.affine(omega_deg)
    volume = rng.random((len(points), bins)).astype(dtype)
    images = rng.random((pixels.count + 1, bins)).astype(dtype)
    images[-1] = 0
    back = np.zeros_like(volume)
    projector.adjoint(images, affine, pixels, back)
    left = np.vdot(projector.forward(volume, affine, pixels), images)
    right = np.vdot(volume, back)
    assert left == pytest.approx(right, rel=1e-5 if dtype is np.float32 else 1e-12)


def test_gather_takes_lit_pixels_in_order():
    frames = np.arange(2 * 3 * 4, dtype=np.float32).reshape(2, 3, 4)
    mask = np.zeros((3, 4), bool)
    mask[1, 2] = mask[2, 0] = True
    pixels = IlluminatedPixels.from_mask(mask)
    assert pixels.gather(frames).tolist() == [[6, 18], [8, 20], [0, 0]]
    assert np.array_equal(pixels.mask, mask)


def test_voxel_centres_follow_the_volume():
    points = voxel_centres_um(VOLUME).reshape(*VOLUME.shape, 3)
    assert points[:, 0, 0, 0] == pytest.approx(VOLUME.axis_um(0))
    assert points[0, :, 0, 1] == pytest.approx(VOLUME.axis_um(1))
    assert points[0, 0, :, 2] == pytest.approx(VOLUME.axis_um(2))
    assert points.mean(axis=(0, 1, 2)) == pytest.approx(VOLUME.position_um)


@pytest.mark.parametrize("voxel_um", [(0.0, 0.0, 0.0), (1.5, 0.4, 2.0)])
@pytest.mark.parametrize("omega_deg", [0.0, 21.0])
def test_pixels_are_covered_where_the_projection_is_not_zero(omega_deg, voxel_um):
    points = voxel_centres_um(VOLUME)[::3]
    projector = Projector(points, voxel_um)
    affine = GEOMETRY.affine(omega_deg)
    image = projector.image(np.ones(len(points)), affine, (14, 15))
    assert np.array_equal(projector.covered_pixels(affine, (14, 15)), image > 0)


@pytest.mark.parametrize("width", [0.3, 1.0, 1.7, 2.0, 3.0, 3.4])
def test_box_taps_keep_the_total_and_the_variance(width):
    taps = box_taps(width)
    place = np.arange(taps.size) - taps.size // 2
    assert taps.sum() == pytest.approx(1)
    assert taps == pytest.approx(taps[::-1])
    # A box of whole width w has variance (w^2 - 1) / 12 on the pixels.
    if width.is_integer() and width % 2:
        assert taps @ place**2 == pytest.approx((width**2 - 1) / 12)
    assert (taps.size == 1) == (width <= 1)


@pytest.mark.parametrize("frames", [1, 4, 6])
def test_spread_is_its_own_adjoint_on_any_set_of_pixels(frames):
    rng = np.random.default_rng(5)
    pixels = IlluminatedPixels.from_mask(rng.random((9, 10)) > 0.4)
    taps = box_taps(2.6), box_taps(1.5)
    first, second = (rng.random((pixels.count + 1, frames)) for _ in range(2))
    first[-1] = second[-1] = 0
    left, right = spread(first, pixels, *taps), spread(second, pixels, *taps)
    assert np.vdot(left, second) == pytest.approx(np.vdot(first, right))


@pytest.mark.parametrize("share", [1.0, 0.6, 0.1])
@pytest.mark.parametrize("frames", [1, 6])
def test_spread_is_a_convolution_among_the_pixels_that_are_worked_on(frames, share):
    rng = np.random.default_rng(6)
    mask = rng.random((9, 10)) <= share
    images = rng.random((frames, 9, 10)) * mask
    pixels = IlluminatedPixels.from_mask(mask)
    taps = np.outer(box_taps(2.6), box_taps(1.5))
    out = spread(pixels.gather(images), pixels, box_taps(2.6), box_taps(1.5))
    assert not out[-1].any()
    for frame, image in enumerate(images):
        expected = ndimage.convolve(image, taps, mode="constant")
        assert np.allclose(out[:-1, frame], expected[mask])


def test_a_full_volume_casts_an_even_shadow_where_voxels_exceed_pixels():
    geometry = ProjectionGeometry(10.4, 1.7, 14.5, 14.5)
    volume = Volume((0, 0, 0), (12.0, 12.0, 12.0), (12, 12, 12))
    projector = Projector(voxel_centres_um(volume), volume.voxel_um)
    pixels = IlluminatedPixels.from_mask(np.ones((30, 30), bool))
    images = projector.forward(np.ones((12**3, 1)), geometry.affine(0.0), pixels)
    smooth = spread(images, pixels, *projector.footprint(geometry.affine(0.0)))
    ripple, smoothed = (x[:-1, 0].reshape(30, 30)[13:17, 8:22].std() for x in (images, smooth))
    assert smoothed < ripple / 2
