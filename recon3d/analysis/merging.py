"""Voxels joined to cells by a threshold, or by clusters that persist over many thresholds."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from recon3d.analysis.misorientation import beside
from recon3d.runtime.compiled import njit

FloatArray = NDArray[np.float64]
Integers = NDArray[np.int64]


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
