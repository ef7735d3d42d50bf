"""Backprojection by cells of pixels, against indexing and against the exact adjoint."""

import numpy as np
import pytest

from recon3d.projection.cells import (
    AT_A_TIME,
    Rooms,
    View,
    add_views,
    cell_affine,
    cell_width,
    halve,
    lit_cells,
)
from recon3d.projection.operator import IlluminatedPixels, Projector

HALF = 2.0**-8
"""How far the upper half of a value's bits is from it at most."""
STRAIGHT = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])


def view(rng, frames=3, bins=5, shape=(9, 10)):
    mask = rng.random(shape) > 0.3
    images = (rng.random((frames, *shape)) * mask).astype(np.float32)
    cells = IlluminatedPixels.from_mask(mask)
    weights = rng.random((frames, bins)).astype(np.float32)
    affine = STRAIGHT + 0.1 * rng.normal(size=(2, 4))
    return images, View(affine, cells, cells.gather(images), weights)


@pytest.mark.parametrize("count", range(1, AT_A_TIME + 1))
def test_a_voxel_takes_the_cell_on_which_it_falls(count):
    rng = np.random.default_rng(count)
    points = rng.uniform(-2, 12, (200, 3))
    all_images, views = zip(*(view(rng) for _ in range(count)), strict=True)
    volume = np.ones((200, 5), np.float32)
    add_views(Projector(points), views, volume)
    expected = np.ones_like(volume)
    for images, one in zip(all_images, views, strict=True):
        row, col = np.floor(one.affine[:, :3] @ points.T + one.affine[:, 3:] + 0.5).astype(int)
        seen = (row >= 0) & (row < 9) & (col >= 0) & (col < 10)
        expected[seen] += images[:, row[seen], col[seen]].T @ one.weights
    assert np.allclose(volume, expected, rtol=HALF)
    assert not np.allclose(volume, 1, rtol=0.1)


def test_half_of_the_bits_of_a_value_round_it_to_the_nearest():
    values = np.concatenate([[0, 1e-30, 1e30], np.random.default_rng(1).random(997)])
    values = values.astype(np.float32).reshape(10, 100)
    halves = np.empty(values.shape, np.uint16)
    halve(values, halves)
    again = (halves.astype(np.uint32) << 16).view(np.float32)
    assert np.all(np.abs(again - values) <= HALF * values)
    assert abs(np.mean(again[values > 0.1] / values[values > 0.1]) - 1) < 3e-4


def test_bins_in_parts_give_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    points, (_, one) = rng.uniform(0, 9, (50, 3)), view(rng)
    whole, parts = np.zeros((2, 50, 5), np.float32)
    add_views(Projector(points), [one], whole)
    monkeypatch.setattr("recon3d.projection.cells.MOST_BYTES", 8 * one.frames.shape[0])
    add_views(Projector(points), [one], parts)
    assert np.array_equal(whole, parts)
    assert whole.any()


@pytest.mark.parametrize("across", [1, 2, 3, 4])
def test_lit_cells_hold_means_of_their_pixels_and_zeros_lie_beyond(across):
    rng = np.random.default_rng(across)
    frames = rng.random((11, 43, 10)).astype(np.float32)
    frames[:, :, 3:9] = 0
    frames[:9, 40:] = 0
    padded = np.pad(frames, ((0, 0), (0, -43 % across), (0, -10 % across)))
    blocks = padded.reshape(11, padded.shape[1] // across, across, -1, across)
    means = blocks.mean(axis=(2, 4))
    cells, found = lit_cells(frames, across)
    bits = np.empty((2, 43 * 10), np.uint8)
    again, beside = lit_cells(np.asfortranarray(frames), across, bits=bits)
    for place, frame in enumerate(frames):
        lit = bits[place // 8] & (1 << place % 8) > 0
        assert np.array_equal(lit.reshape(frame.shape), frame > 0)
    assert np.array_equal(again.lookup, cells.lookup)
    assert np.array_equal(beside, found)
    assert np.array_equal(cells.mask, means.any(axis=0))
    assert 0 < cells.count < cells.mask.size
    assert np.allclose(found[cells.lookup[1:-1, 1:-1]], np.moveaxis(means, 0, -1), rtol=1e-5)
    assert not found[-1].any()


@pytest.mark.parametrize("across", [1, 2, 5])
def test_the_middle_of_a_cell_is_the_middle_of_its_pixels(across):
    # Cell 3 holds the pixels from 3 x across up to the next one's first.
    row = np.arange(3 * across, 4 * across).mean()
    col = np.arange(7 * across, 8 * across).mean()
    assert cell_affine(STRAIGHT, across) @ [row, col, 0, 1] == pytest.approx([3, 7])


def test_cells_are_narrower_than_voxels():
    assert [cell_width(pix) for pix in (0.7, 1.9, 2.0, 3.0, 4.1, 6.0)] == [None, None, 1, 2, 2, 4]


def test_a_room_is_lent_again_when_it_was_given_back_and_is_large_enough():
    rooms = Rooms()
    first = rooms.lend(3, 4)
    assert not np.shares_memory(rooms.lend(3, 4), first)
    rooms.take_back(first[:2])
    assert np.shares_memory(rooms.lend(2, 6), first)
    rooms.take_back(first)
    assert rooms.lend(5, 4).shape == (5, 4)
