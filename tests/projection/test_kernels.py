"""The compiled loops against plain ones."""

import numpy as np
import pytest

from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector

ROWS, COLS, FRAMES, BINS = 20, 24, 9, 37
POINTS = np.random.default_rng(3).uniform(-7, 7, (400, 3))


def random_affine(rng):
    affine = rng.normal(0, 1, (2, 4))
    affine[:, 3] = ROWS / 2, COLS / 2
    return affine


def random_frames(rng):
    """Frames of which some are dark all over, and the pixels that any of them lights."""
    frames = np.zeros((FRAMES, ROWS, COLS), np.float32)
    numbers = np.sort(rng.permutation(FRAMES)[:7])
    illuminated = rng.uniform(size=(len(numbers), ROWS, COLS)) > 0.7
    frames[numbers] = rng.uniform(1, 9, illuminated.shape) * illuminated
    return frames, numbers, IlluminatedPixels.from_mask((frames > 0).any(axis=0))


def plain_adjoint(frames, weights, affine):
    """Bilinear backprojection, point by point, of the images of all bins."""
    images = np.einsum("frc,fb->rcb", frames.astype(float), weights)
    padded = np.pad(images, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((len(POINTS), weights.shape[1]))
    for voxel, (row, col) in enumerate(POINTS @ affine[:, :3].T + affine[:, 3]):
        if not (-1 < row < ROWS and -1 < col < COLS):
            continue
        r, c = int(np.floor(row)), int(np.floor(col))
        for i, down in ((0, 1 - row + r), (1, row - r)):
            for j, right in ((0, 1 - col + c), (1, col - c)):
                out[voxel] += down * right * padded[r + 1 + i, c + 1 + j]
    return out


@pytest.mark.parametrize("most_bytes", [1 << 28, 4 * 300 * 10, 1])
@pytest.mark.parametrize("bins", [1, BINS])
def test_the_operator_is_the_plain_one_however_few_bins_fit_into_memory(
    monkeypatch, bins, most_bytes
):
    monkeypatch.setattr("recon3d.projection.operator.MOST_BYTES", most_bytes)
    rng = np.random.default_rng(1)
    frames, _, pixels = random_frames(rng)
    weights, affine = rng.uniform(size=(FRAMES, bins)).astype(np.float32), random_affine(rng)
    operator = FrameOperator(Projector(POINTS), affine, pixels, weights)
    volume = np.full((len(POINTS), bins), 2, np.float32)
    operator.adjoint(pixels.gather(frames), volume)
    expected = plain_adjoint(frames, weights, affine)
    assert expected.max() > 10
    np.testing.assert_allclose(volume, expected + 2, rtol=2e-5, atol=2e-5)
    values = rng.uniform(size=volume.shape).astype(np.float32)
    seen = operator.forward(values)
    backward = (values * expected).sum()
    assert (seen * pixels.gather(frames)).sum() == pytest.approx(backward, rel=1e-5)
