"""Lit pixels as bits, and what is told by them."""

import numpy as np
import pytest

from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.completeness import (
    DARK,
    UNMEASURED,
    IlluminatedBits,
    count_illuminated,
    pack,
    read_illuminated,
)


def test_bits_are_kept_while_there_is_room_and_read_again_otherwise(planted, monkeypatch):
    scan = planted("demo", handedness=-1)
    model = build_model(scan.store, scan.experiment, -1)
    first, second = (int(k) for k in model.projections[:2])
    _, frames, rows, cols = model.store.shape
    one = -(-frames // 8) * rows * cols
    monkeypatch.setattr("recon3d.reconstruction.fit.completeness.MOST_BYTES", one)
    bits = IlluminatedBits(model)
    found = [read_illuminated(model, k, 1, bits) for k in (first, second)]
    reads = []
    read = type(scan.store).read_illuminated
    monkeypatch.setattr(
        type(scan.store), "read_illuminated", lambda store, k: reads.append(k) or read(store, k)
    )
    for illuminated in found:
        numbers, packed = bits.of(illuminated.projection)
        assert np.array_equal(numbers, illuminated.numbers)
        assert np.array_equal(packed, pack(model.frames(illuminated.projection)[numbers]))
    # The first took the room that there was.
    assert reads == [second]


def test_cells_hold_the_means_of_their_pixels(planted):
    scan = planted("demo", handedness=-1)
    model = build_model(scan.store, scan.experiment, -1)
    number = int(model.projections[3])
    whole, cells = (read_illuminated(model, number, across, None) for across in (1, 2))
    assert np.array_equal(whole.numbers, cells.numbers)
    assert np.allclose(whole.images.sum(axis=0), 4 * cells.images.sum(axis=0), rtol=1e-4)
    assert whole.cells.count > cells.cells.count > whole.cells.count / 4


@pytest.mark.parametrize("cols", [7, 8, 21])
def test_voxels_count_where_their_own_frame_is_lit(cols):
    rng = np.random.default_rng(cols)
    frames = rng.random((14, 11, cols)) * (rng.random((14, 11, cols)) > 0.5)
    known = rng.random((11, cols)) > 0.1
    points = rng.uniform(-2, 23, (300, 3))
    affine = np.array([[0.6, 0.1, 0, 0.3], [0, 0.8, 0.1, -0.4]])
    # Six kinds of voxel: those of four of the frames, of a dark frame, and of none.
    frame_of = np.array([12, 0, DARK, 7, UNMEASURED, 8])
    kinds = rng.integers(-1, 6, 300)
    hits, seen = np.zeros((2, 300), np.int32)
    count_illuminated(hits, seen, points, affine, pack(frames), known, frame_of, kinds)
    expected = np.zeros((2, 300), int)
    for voxel, (point, kind) in enumerate(zip(points, kinds, strict=True)):
        row, col = np.floor(affine @ [*point, 1] + 0.5).astype(int)
        if kind < 0 or kind == 4 or not (0 <= row < 11 and 0 <= col < cols):
            continue
        if not known[row, col]:
            continue
        expected[1, voxel] = 1
        expected[0, voxel] = kind != 2 and frames[frame_of[kind], row, col] > 0
    assert 0 < expected[0].sum() < expected[1].sum() < 300
    assert np.array_equal([hits, seen], expected)
