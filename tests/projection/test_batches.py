import numpy as np
from numpy.typing import NDArray

from recon3d.projection import kernels
from recon3d.projection.batches import Batch, LitFrames
from recon3d.projection.frame_kernels import count_lit_frames
from recon3d.projection.operator import LitPixels

ROWS, COLS, FRAMES, BINS = 20, 24, 9, 37
RNG = np.random.default_rng(3)
POINTS = RNG.uniform(-7, 7, (400, 3))


def plain_map(affine: NDArray[np.float64]) -> NDArray[np.float64]:
    return POINTS @ affine[:, :3].T + affine[:, 3]


def random_affine(rng: np.random.Generator) -> NDArray[np.float64]:
    affine = rng.normal(0, 1, (2, 4))
    affine[:, 3] = ROWS / 2, COLS / 2
    return affine


def lit_frames(number: int, rng: np.random.Generator) -> tuple[LitFrames, NDArray[np.float32]]:
    """One projection of few lit frames, and all of its frames."""
    frames = np.zeros((FRAMES, ROWS, COLS), np.float32)
    numbers = np.sort(rng.permutation(FRAMES)[: 2 + number])
    frames[numbers] = rng.uniform(1, 9, (len(numbers), ROWS, COLS)) * (
        rng.uniform(size=(len(numbers), ROWS, COLS)) > 0.7
    )
    pixels = LitPixels.from_mask((frames > 0).any(axis=0))
    return LitFrames(number, numbers, pixels, pixels.gather(frames[numbers])), frames


def plain_adjoint(
    frames: NDArray[np.float32], weights: NDArray[np.float32], affine: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Bilinear backprojection, point by point, of the images of all bins."""
    images = np.einsum("frc,fb->rcb", frames.astype(float), weights)
    padded = np.pad(images, ((1, 1), (1, 1), (0, 0)))
    out = np.zeros((len(POINTS), weights.shape[1]))
    for voxel, (row, col) in enumerate(plain_map(affine)):
        if not (-1 < row < ROWS and -1 < col < COLS):
            continue
        r, c = int(np.floor(row)), int(np.floor(col))
        for i, down in ((0, 1 - row + r), (1, row - r)):
            for j, right in ((0, 1 - col + c), (1, col - c)):
                out[voxel] += down * right * padded[r + 1 + i, c + 1 + j]
    return out


def test_backprojection_of_a_batch_is_the_sum_of_plain_ones() -> None:
    rng = np.random.default_rng(1)
    group, expected, affines, weights = [], np.zeros((len(POINTS), BINS)), [], []
    for number in range(4):
        lit, frames = lit_frames(number, rng)
        rows = rng.uniform(size=(FRAMES, BINS)).astype(np.float32)
        rows[rows < 0.8] = 0
        affines.append(random_affine(rng))
        expected += plain_adjoint(frames, rows, affines[-1])
        group.append(lit)
        weights.append(rows[lit.numbers])
    volume = np.full((len(POINTS), BINS), 2, np.float32)
    Batch.of(group).backproject(volume, POINTS, np.stack(affines), weights)
    assert expected.max() > 10
    np.testing.assert_allclose(volume, expected + 2, rtol=2e-5, atol=2e-5)


def test_lit_frames_are_counted_as_the_images_of_all_frames_tell() -> None:
    rng = np.random.default_rng(2)
    lit, frames = lit_frames(5, rng)
    affine = random_affine(rng)
    wanted = rng.integers(-1, FRAMES, len(POINTS))
    place = np.full(FRAMES + 1, -1)
    place[lit.numbers], place[-1] = np.arange(len(lit.numbers)), -2
    counted = [np.zeros(len(POINTS), np.int32) for _ in range(4)]
    count_lit_frames(*counted[:2], POINTS, affine, frames[lit.numbers], place[wanted])
    images = lit.pixels.gather(frames)
    kernels.count_lit(*counted[2:], POINTS, affine, lit.pixels.lookup, images, wanted)
    assert 0 < counted[0].sum() < counted[1].sum() < len(POINTS)
    np.testing.assert_array_equal(counted[0], counted[2])
    np.testing.assert_array_equal(counted[1], counted[3])
