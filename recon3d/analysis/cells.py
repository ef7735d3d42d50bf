"""The cells of a grain: where they are, their orientations, and the boundaries between them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import prange
from numpy.typing import NDArray
from scipy.ndimage import center_of_mass

from recon3d.analysis.cell_errors import at_boundaries, tilt_errors_deg, volume_errors_um3
from recon3d.analysis.merging import (
    FloatArray,
    Integers,
    connected,
    faces_of,
    single_linkage,
    stable_clusters,
)
from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.runtime.compiled import njit

Table = NDArray[np.void]
"""A NumPy table with named columns."""

CELL_COLUMNS = (
    "cell", "voxels", "volume_um3", "volume_error_um3", "x_um", "y_um", "z_um", "a_deg", "b_deg",
    "a_error_deg", "b_error_deg", "spread_deg", "strain", "neighbours",
)  # fmt: skip
BOUNDARY_COLUMNS = (
    "first", "second", "area_um2", "misorientation_deg", "misorientation_error_deg",
    "step_deg",
)  # fmt: skip
LEAST_INNER = 0.05
"""Share of a cell's voxels that touch no other cell, below which it is blur between others."""

LARGE_ERROR = 0.05
"""Error of the cells' volumes, as a share, from which it is a doubt."""

_SHOWN_ROWS = 20
_WHOLE = ("cell", "voxels", "neighbours", "first", "second")


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of a grain, the largest first.

    Parameters
    ----------
    labels, shape (nx, ny, nz)
        Number of the cell that a voxel belongs to, from 1; 0 outside the grain.
    table
        A row for each cell: its number, voxels, volume (voxels at a boundary by the share that
        their orientation tells) with its error, centre, mean tilts of the voxels that touch no
        other cell, with their errors (NaN where the grain has no `orientation_error`), spread
        (root mean square of the distance from the mean), mean strain (NaN where not scanned), and
        how many cells it touches. How the errors are worked out: `recon3d.analysis.cell_errors`.
    boundaries
        A row for each pair of cells that touch: their numbers, the area of the faces between
        their voxels (1.5 times that of a smooth surface, on average over directions), the angle
        between their mean orientations, and the median step of orientation across a face.
        Angles are of (a, b): turns about **G** are not seen, so true ones are no smaller.
    threshold_deg
        The angle by which they were parted; None where the data chose.
    """

    labels: NDArray[np.int32]
    table: Table
    boundaries: Table
    threshold_deg: float | None

    @property
    def volume_error(self) -> float:
        """Median error of the cells' volumes, as a share; NaN where it is not known."""
        return float(np.median(self.table["volume_error_um3"] / self.table["volume_um3"]))

    @property
    def doubts(self) -> list[str]:
        """What the numbers of the tables may be wrong by, where that is much; else empty."""
        share, angles = self.volume_error, self.boundaries["misorientation_error_deg"]
        if not share > LARGE_ERROR:
            return []
        told = f" and the angles between them by {1e3 * np.median(angles):.1f} mdeg"
        return [
            f"the volumes of the cells may be wrong by {100 * share:.0f} %"
            f"{told if np.isfinite(angles).any() else ''} (one standard error): some parts of "
            "the grain seem to scatter more than others, as with few counts or a wrong model"
        ]

    def boundary_voxels(self) -> NDArray[np.bool_]:
        """Voxels that touch another cell, (nx, ny, nz)."""
        return at_boundaries(self.labels)

    def __len__(self) -> int:
        return len(self.table)

    def __repr__(self) -> str:
        how = "by stability" if self.threshold_deg is None else f"at {self.threshold_deg:g}°"
        return f"<Cells: {len(self)} {how}, {len(self.boundaries)} boundaries>"

    def _repr_html_(self) -> str:
        shown = [name for name in CELL_COLUMNS if np.isfinite(self.table[name]).any()]
        style = 'style="text-align:right;padding:0 8px"'
        head = "".join(f"<th {style}>{name}</th>" for name in shown)
        rows = "".join(
            f"<tr>{''.join(f'<td {style}>{row[name]:{_format(name)}}</td>' for name in shown)}</tr>"
            for row in self.table[:_SHOWN_ROWS]
        )
        more = len(self) - _SHOWN_ROWS
        below = f"<p>and {more} smaller ones</p>" if more > 0 else ""
        below += "".join(f"<p>Doubt: {doubt}</p>" for doubt in self.doubts)
        return f"<table><caption>Cells</caption><tr>{head}</tr>{rows}</table>{below}"


def _format(name: str) -> str:
    return "d" if name in _WHOLE else ".3g"


@checked(threshold_deg="> 0", min_voxels=">= 1")
def find_cells(
    grain: Grain, threshold_deg: float | None = None, *, min_voxels: int | None = None
) -> Cells:
    """Part a grain into cells of nearly one orientation.

    Orientations are first replaced by the median over 3 x 3 x 3 voxels, which keeps edges and
    takes out noise. Cells are the clusters that persist over the widest range of thresholds (see
    `stable_clusters`): Campello, Moulavi & Sander 2013, "Density-based clustering based on
    hierarchical density estimates", with the steps between neighbours as distances. Pieces that
    are too small go to the neighbour of nearest orientation.

    With a threshold, cells are parted where the steps between all their voxels exceed it too, as
    in EBSD, and joined where their means differ by no more than it: a few blurred voxels between
    two cells do not make them one.

    Parameters
    ----------
    grain
        The grain.
    threshold_deg
        The angle that parts two cells; None to let the data choose.
    min_voxels
        Voxels of the smallest cell. 0.2 % of the grain's, and at least 27, where None; then cells
        without an inside, of one or two voxels across, are taken for blur between others, too.

    Returns
    -------
    cells
        One cell where nothing parts the grain.

    Raises
    ------
    ParameterError
        No voxel has an orientation, or a number is not positive.

    Examples
    --------
    >>> import recon3d as r3
    >>> cells = r3.analysis.find_cells(r3.Grain.load("grain.h5"), threshold_deg=0.03)
    >>> len(cells.table), len(cells.boundaries)
    (2, 1)
    """
    known = grain.oriented
    if not known.any():
        raise ParameterError("no voxel of the grain has an orientation: there are no cells")
    count = int(np.count_nonzero(known))
    least = max(27, round(0.002 * count)) if min_voxels is None else min_voxels
    smooth = _medians(np.asarray(grain.orientation, np.float32), known)
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
    pieces = _sharpen(pieces, grain.orientation[known].astype(np.float64), tilts, faces)
    if min_voxels is None:
        pieces = _without_slivers(pieces, tilts, faces, least)
    pieces = _by_size(pieces)
    labels = np.zeros(known.shape, np.int32)
    labels[known] = pieces + 1
    found = _Found(grain, known, pieces, faces)
    return Cells(labels, found.table(labels), found.boundaries(), threshold_deg)


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
        means = _means(pieces, tilts).T
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
        means = _means(pieces, tilts)
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
        means = _means(pieces, smooth)
        voxel, other = pairs[pieces[pairs[:, 0]] != pieces[pairs[:, 1]]].T
        own = np.hypot(*(tilts[voxel] - means[pieces[voxel]]).T)
        there = np.hypot(*(tilts[voxel] - means[pieces[other]]).T)
        beside = np.hypot(*(tilts[voxel] - tilts[other]).T)
        moves = np.maximum(there, beside) + 2 * noise < own
        order = np.argsort(-there[moves], kind="stable")  # the nearest is written last
        pieces = pieces.copy()
        pieces[voxel[moves][order]] = pieces[other[moves][order]]
    return pieces


def _by_size(pieces: Integers) -> Integers:
    """Number the cells anew, the largest first."""
    sizes = np.bincount(pieces)
    numbers = np.empty(sizes.size, np.int64)
    numbers[np.argsort(-sizes, kind="stable")] = np.arange(sizes.size)
    return numbers[pieces]


def _means(pieces: Integers, tilts: FloatArray) -> FloatArray:
    sizes = np.maximum(np.bincount(pieces), 1)
    return np.stack([np.bincount(pieces, t) / sizes for t in tilts.T], axis=1)


class _Found:
    """What is worked out of every cell and boundary.

    `known`, (nx, ny, nz): the voxels of known orientation. `pieces`, (voxels,): the cell of each of
    them, from 0. `faces`, (faces, 2): which of them share a face.
    """

    def __init__(
        self, grain: Grain, known: NDArray[np.bool_], pieces: Integers, faces: Integers
    ) -> None:
        self.grain, self.known, self.pieces = grain, known, pieces
        self.tilts = grain.orientation[known].astype(np.float64)
        self.sizes = np.bincount(pieces)
        cells = pieces[faces]
        parting = cells[:, 0] != cells[:, 1]
        self.faces, self.cells = faces[parting], np.sort(cells[parting], axis=1)
        self.pairs, self.of_face = np.unique(self.cells, axis=0, return_inverse=True)
        inner = np.ones(pieces.size, bool)
        inner[self.faces] = False  # a voxel that two cells share has an orientation between theirs
        inner |= (np.bincount(pieces[inner], minlength=self.sizes.size) == 0)[pieces]
        self.means = _means(pieces[inner], self.tilts[inner])
        self.errors = np.full_like(self.means, np.nan)
        if grain.orientation_error is not None:
            error = np.asarray(grain.orientation_error, np.float64)[known]
            self.errors = tilt_errors_deg(pieces, inner, error)

    def _mean(self, values: FloatArray) -> FloatArray:
        return np.bincount(self.pieces, values) / self.sizes

    def _shares(self) -> FloatArray:
        """Voxels of each cell, those beside another one by the share that each has of them.

        An orientation at a share t of the way from the mean of one cell to that of another is
        that of a voxel of which the other has the share t.
        """
        voxel = np.concatenate([self.faces[:, 0], self.faces[:, 1]])
        beyond = self.pieces[np.concatenate([self.faces[:, 1], self.faces[:, 0]])]
        own = self.pieces[voxel]
        way, off = self.means[beyond] - self.means[own], self.tilts[voxel] - self.means[own]
        share = (way * off).sum(axis=1) / np.maximum((way**2).sum(axis=1), 1e-30)
        share = np.clip(share, 0, 0.5)
        order = np.argsort(np.hypot(*(off - share[:, None] * way).T), kind="stable")
        first = order[np.unique(voxel[order], return_index=True)[1]]  # the cell that fits best
        count = self.sizes.size
        given, taken = (np.bincount(cell[first], share[first], count) for cell in (own, beyond))
        return np.asarray(self.sizes - given + taken, np.float64)

    def table(self, labels: NDArray[np.int32]) -> Table:
        """The table of cells."""
        grain, count = self.grain, self.sizes.size
        index = np.array(center_of_mass(self.known, labels, range(1, count + 1)))
        centre = [
            np.interp(index[:, axis], np.arange(n), grain.volume.axis_um(axis))
            for axis, n in enumerate(grain.volume.shape)
        ]
        off = self.tilts - self.means[self.pieces]
        spread = np.sqrt(self._mean((off**2).sum(axis=1)))
        strain = np.full(count, np.nan)
        if grain.strain is not None:
            strain = self._mean(np.nan_to_num(np.asarray(grain.strain)[self.known].astype(float)))
        volumes = self._shares() * np.prod(grain.volume.voxel_um)
        return _table(
            CELL_COLUMNS,
            [
                np.arange(1, count + 1), self.sizes, volumes,
                volume_errors_um3(grain.occupancy, labels, grain.volume.voxel_um),
                *centre, *self.means.T, *self.errors.T, spread, strain,
                np.bincount(self.pairs.ravel(), minlength=count),
            ],
        )  # fmt: skip

    def boundaries(self) -> Table:
        """The table of boundaries."""
        voxel = self.grain.volume.voxel_um
        across = [voxel[1] * voxel[2], voxel[0] * voxel[2], voxel[0] * voxel[1]]
        places = np.argwhere(self.known)[self.faces]
        axis = np.argmax(places[:, 0] != places[:, 1], axis=1)
        area = np.bincount(self.of_face, np.take(across, axis), len(self.pairs))
        jump = np.hypot(*(self.tilts[self.faces[:, 0]] - self.tilts[self.faces[:, 1]]).T)
        steps = [np.median(jump[self.of_face == k]) for k in range(len(self.pairs))]
        first, second = self.pairs.T
        apart = self.means[first] - self.means[second]
        angle = np.hypot(*apart.T)
        variance = self.errors[first] ** 2 + self.errors[second] ** 2
        along = apart / np.maximum(angle, 1e-30)[:, None]
        error = np.sqrt((along**2 * variance).sum(axis=1))
        columns = [first + 1, second + 1, area, angle, error, np.array(steps)]
        return _table(BOUNDARY_COLUMNS, columns)


def _table(names: tuple[str, ...], columns: list[Any]) -> Table:
    kinds = [(name, np.int64 if name in _WHOLE else np.float64) for name in names]
    table = np.empty(len(columns[0]), kinds)
    for name, column in zip(names, columns, strict=True):
        table[name] = column
    return table


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
