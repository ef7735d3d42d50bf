"""Voxels joined to cells: by clusters that persist over many thresholds, or by one."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from recon3d.analysis.misorientation import beside
from recon3d.runtime.compiled import njit

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]

LEAST_INNER = 0.05
"""Share of a cell's voxels that touch no other cell, below which it is blur between others."""


def part_voxels(
    orientation: NDArray[Any],
    known: NDArray[np.bool_],
    threshold_deg: float | None,
    min_voxels: int | None,
) -> tuple[Integers, Integers]:
    """The cell of each known voxel, from 0, and the pairs of them that share a face, (faces, 2).

    `threshold_deg`, `min_voxels`: as in `recon3d.analysis.find_cells`, which says how it is done.
    """
    count = int(np.count_nonzero(known))
    least = max(27, round(0.002 * count)) if min_voxels is None else min_voxels
    smooth = _medians(np.asarray(orientation, np.float32), known)
    tilts = smooth[known].astype(np.float64)
    faces = faces_of(known)
    steps = np.hypot(*(tilts[faces[:, 0]] - tilts[faces[:, 1]]).T)
    extent = float(np.hypot(*np.ptp(tilts, axis=0)))
    pieces = stable_clusters(single_linkage(faces, steps, count), count, least, extent)
    pieces = _absorb(pieces, tilts, faces, least)
    if threshold_deg is not None:
        both = pieces * count + connected(faces[steps <= threshold_deg], count)
        pieces = np.unique(both, return_inverse=True)[1]
        pieces = _join_alike(_absorb(pieces, tilts, faces, least), tilts, faces, threshold_deg)
    pieces = _sharpen(pieces, orientation[known].astype(np.float64), tilts, faces)
    if min_voxels is None:
        pieces = _without_slivers(pieces, tilts, faces, least)
    # Numbered anew, the largest first.
    sizes = np.bincount(pieces)
    numbers = np.empty(sizes.size, np.int64)
    numbers[np.argsort(-sizes, kind="stable")] = np.arange(sizes.size)
    return numbers[pieces], faces


def faces_of(known: NDArray[np.bool_]) -> Integers:
    """Pairs of known voxels that share a face, (faces, 2), numbered in C order of the known."""
    number = np.cumsum(known, dtype=np.int64).reshape(known.shape) - 1
    pairs = []
    for axis in range(3):
        low, high = beside(axis)
        both = known[low] & known[high]
        pairs.append(np.stack([number[low][both], number[high][both]], axis=1))
    return np.concatenate(pairs)


def connected(pairs: Integers, count: int) -> Integers:
    """Number of the connected piece of each of `count` voxels."""
    links = coo_array((np.ones(len(pairs), np.int8), tuple(pairs.T)), shape=(count, count))
    return connected_components(links, directed=False)[1].astype(np.int64)


def single_linkage(pairs: Integers, steps: FloatArray, count: int) -> tuple[Integers, FloatArray]:
    """Join voxels by the smallest steps first.

    Returns the two clusters of each join, (joins, 2): voxels from 0, then the clusters of earlier
    joins; and the step at which they are joined, never falling.
    """
    order = np.argsort(steps, kind="stable")
    joined, which = _join(pairs[order], count)
    return joined, steps[order][which]


@njit(cache=True)
def _join(pairs: Integers, count: int) -> tuple[Integers, Integers]:
    parent, name = np.arange(count), np.arange(count)
    joined, which = np.empty((count, 2), np.int64), np.empty(count, np.int64)
    done = 0
    for pair in range(len(pairs)):
        first, second = _root(parent, pairs[pair, 0]), _root(parent, pairs[pair, 1])
        if first != second:
            joined[done, 0], joined[done, 1], which[done] = name[first], name[second], pair
            parent[second] = first
            name[first] = count + done
            done += 1
    return joined[:done], which[:done]


@njit(cache=True)
def _root(parent: Integers, node: int) -> int:
    while parent[node] != node:
        parent[node] = parent[parent[node]]
        node = parent[node]
    return node


def stable_clusters(
    tree: tuple[Integers, FloatArray], count: int, least: int, extent: float
) -> Integers:
    """The clusters of a single linkage that persist longest, as in HDBSCAN.

    A cluster lives from the step at which it splits off down to that at which it falls apart
    itself. Of a cluster and its parts, those are kept whose lives, summed over their voxels, are
    longer. Lives are counted in the logarithm of the step, so that neither the scale of the
    misorientations nor the level of the noise matters.

    `least`: voxels of the smallest cluster: smaller ones count as voxels that fall off. `extent`:
    the largest difference in the grain: the step at which its whole begins to live. Returns the
    cluster of each voxel, -1 where it fell off before the cluster's end.
    """
    joined, heights = tree
    # Steps of nearly nothing are the precision of the numbers, and no cluster's merit.
    floor = max(1e-3 * extent, 1e-9)
    lives = -np.log(np.maximum(heights, floor) / max(extent, floor))
    return _condense(joined, lives, count, least)


@njit(cache=True)
def _condense(joined: Integers, ends: FloatArray, count: int, least: int) -> Integers:
    nodes = count + len(joined)
    size = np.ones(nodes, np.int64)
    top = np.ones(nodes, np.bool_)
    for join in range(len(joined)):
        size[count + join] = size[joined[join, 0]] + size[joined[join, 1]]
        top[joined[join, 0]] = top[joined[join, 1]] = False
    # From the top: a node carries on its parent's cluster, or begins one where it splits.
    cluster = np.full(nodes, -1, np.int64)
    born, parent, stability = np.zeros(nodes), np.full(nodes, -1, np.int64), np.zeros(nodes)
    begun = 0
    for node in range(nodes - 1, -1, -1):
        if top[node]:
            cluster[node] = begun
            begun += 1
        if node < count:
            continue
        at, mine = ends[node - count], cluster[node]
        first, second = joined[node - count]
        splits = size[first] >= least and size[second] >= least
        for child in (first, second):
            if splits:
                stability[mine] += (at - born[mine]) * size[child]
                cluster[child], parent[begun], born[begun] = begun, mine, at
                begun += 1
            elif size[child] >= least:
                cluster[child] = mine
            else:
                stability[mine] += (at - born[mine]) * size[child]
                cluster[child] = mine
    # From the bottom: keep a cluster, or its parts.
    kept, below = np.zeros(begun, np.bool_), np.zeros(begun)
    for number in range(begun - 1, -1, -1):
        kept[number] = stability[number] >= below[number]
        best = max(stability[number], below[number])
        if parent[number] >= 0:
            below[parent[number]] += best
    chosen = np.full(begun, -1, np.int64)
    for number in range(begun):
        above = parent[number]
        if above >= 0 and chosen[above] >= 0:
            chosen[number] = chosen[above]
        elif kept[number]:
            chosen[number] = number
    result = np.empty(count, np.int64)
    for voxel in range(count):
        result[voxel] = chosen[cluster[voxel]]
    return result


def _absorb(pieces: Integers, tilts: FloatArray, faces: Integers, least: int) -> Integers:
    """Give small pieces, and voxels without one (-1), to the nearest orientation beside."""
    pieces = pieces.copy()
    loose = np.flatnonzero(pieces < 0)
    pieces[loose] = pieces.max(initial=-1) + 1 + np.arange(loose.size)
    while True:
        sizes = np.bincount(pieces)
        large = sizes >= least
        if not large.any() or large[pieces].all():
            break
        means = means_of(pieces, tilts).T
        pairs = np.concatenate([faces, faces[:, ::-1]])
        pairs = pairs[~large[pieces[pairs[:, 0]]] & large[pieces[pairs[:, 1]]]]
        if not pairs.size:
            break  # small pieces that touch no cell stay what they are
        # Voxels, not pieces, change hands: a small piece may lie between several cells.
        distance = np.hypot(*(tilts[pairs[:, 0]].T - means[:, pieces[pairs[:, 1]]]))
        order = np.argsort(distance, kind="stable")
        voxels, first = np.unique(pairs[order, 0], return_index=True)
        pieces[voxels] = pieces[pairs[order[first], 1]]
    return pieces


def _without_slivers(pieces: Integers, tilts: FloatArray, faces: Integers, least: int) -> Integers:
    """Give cells that are all boundary to their neighbours: blurred voxels between two cells."""
    apart = pieces[faces[:, 0]] != pieces[faces[:, 1]]
    inner = np.ones(pieces.size, bool)
    inner[faces[apart]] = False
    share = np.bincount(pieces, inner) / np.maximum(np.bincount(pieces), 1)
    sliver = (share < LEAST_INNER)[pieces]
    if not sliver.any() or sliver.all():
        return pieces
    return _absorb(np.where(sliver, -1, pieces), tilts, faces, least)


def _join_alike(
    pieces: Integers, tilts: FloatArray, faces: Integers, threshold_deg: float
) -> Integers:
    """Join neighbours whose means differ by no more than an angle, the most alike first."""
    while True:
        means = means_of(pieces, tilts)
        pairs = np.unique(np.sort(pieces[faces], axis=1), axis=0)
        pairs = pairs[pairs[:, 0] != pairs[:, 1]]
        apart = np.hypot(*(means[pairs[:, 0]] - means[pairs[:, 1]]).T)
        alike = pairs[np.argsort(apart, kind="stable")][: np.count_nonzero(apart <= threshold_deg)]
        if not len(alike):
            return pieces
        # Each piece is joined once before the means are worked out again.
        target = np.arange(pieces.max() + 1)
        taken = np.zeros(target.size, bool)
        for first, second in alike:
            if not (taken[first] or taken[second]):
                taken[[first, second]] = True
                target[second] = first
        pieces = np.unique(target[pieces], return_inverse=True)[1]


def _sharpen(pieces: Integers, tilts: FloatArray, smooth: FloatArray, faces: Integers) -> Integers:
    """Put voxels that the medians rounded off on the side of their own orientation."""
    noise = float(np.median(np.hypot(*(tilts - smooth).T)))
    pairs = np.concatenate([faces, faces[:, ::-1]])
    for _ in range(2):
        means = means_of(pieces, smooth)
        voxel, other = pairs[pieces[pairs[:, 0]] != pieces[pairs[:, 1]]].T
        own = np.hypot(*(tilts[voxel] - means[pieces[voxel]]).T)
        there = np.hypot(*(tilts[voxel] - means[pieces[other]]).T)
        beside = np.hypot(*(tilts[voxel] - tilts[other]).T)
        moves = np.maximum(there, beside) + 2 * noise < own
        order = np.argsort(-there[moves], kind="stable")  # the nearest is written last
        pieces = pieces.copy()
        pieces[voxel[moves][order]] = pieces[other[moves][order]]
    return pieces


def means_of(pieces: Integers, tilts: FloatArray) -> FloatArray:
    """Mean tilts of each cell, (cells, 2)."""
    sizes = np.maximum(np.bincount(pieces), 1)
    return np.stack([np.bincount(pieces, t) / sizes for t in tilts.T], axis=1)


@njit(cache=True, parallel=True)
def _medians(orientation: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Median of each tilt over the known voxels in 3 x 3 x 3, where the voxel itself is known."""
    nx, ny, nz = known.shape
    result = np.full(orientation.shape, np.float32(np.nan))
    for x in prange(nx):
        near = np.empty((2, 27), np.float32)
        for y in range(ny):
            for z in range(nz):
                if not known[x, y, z]:
                    continue
                count = 0
                for i in range(max(x - 1, 0), min(x + 2, nx)):
                    for j in range(max(y - 1, 0), min(y + 2, ny)):
                        for k in range(max(z - 1, 0), min(z + 2, nz)):
                            if known[i, j, k]:
                                near[0, count] = orientation[i, j, k, 0]
                                near[1, count] = orientation[i, j, k, 1]
                                count += 1
                for part in range(2):
                    result[x, y, z, part] = np.median(near[part, :count])
    return result
