"""Lit pixels as bits, and the voxels that light them, against indexing."""

import numpy as np
import pytest

from recon3d.reconstruction.fit.completeness import DARK, UNMEASURED, count_illuminated, pack


@pytest.mark.parametrize("cols", [7, 8, 21])
def test_voxels_count_where_their_own_frame_is_lit(cols):
    rng = np.random.default_rng(cols)
    frames = rng.random((4, 11, cols)) * (rng.random((4, 11, cols)) > 0.5)
    known = rng.random((11, cols)) > 0.1
    points = rng.uniform(-2, 23, (300, 3))
    affine = np.array([[0.6, 0.1, 0, 0.3], [0, 0.8, 0.1, -0.4]])
    # Six kinds of voxel: those of the four frames, of a dark frame, and of none.
    frame_of = np.array([2, 0, DARK, 3, UNMEASURED, 1])
    kinds = rng.integers(-1, 6, 300)
    hits, seen = np.zeros((2, 300), np.int32)
    bits = (pack(frames), pack(known))
    count_illuminated(hits, seen, points, affine, *bits, cols, frame_of, kinds)
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
