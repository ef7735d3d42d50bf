"""The cells of a grain: where they are, their orientations, their boundaries, and all errors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, center_of_mass

from recon3d.analysis.merging import FloatArray, Integers, means_of, part_voxels
from recon3d.analysis.misorientation import beside
from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain

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
LARGE_ERROR = 0.05
"""Error of the cells' volumes, as a share, from which it is a doubt."""

SHARED = 0.5
"""Share of a voxel's error that all voxels of its cell have in common: on 13 planted scans without
a doubt, 82 % of the cells' means are then right within one standard error, 96 % within two."""

RIM_VOXELS = 3
"""How far outside the mask occupancy still belongs to the grain."""

LEAST_PART = 8
"""Voxels of the smallest part of a cell whose mean occupancy counts."""

FACES_PER_AREA = 1.5
"""Area of the faces of voxels for one of the smooth surface, on average over directions."""

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
        how many cells it touches. How the errors are worked out: `tilt_errors_deg`,
        `volume_errors_um3`.
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
    pieces, faces = part_voxels(grain.orientation, known, threshold_deg, min_voxels)
    labels = np.zeros(known.shape, np.int32)
    labels[known] = pieces + 1
    found = _Found(grain, known, pieces, faces)
    return Cells(labels, found.table(labels), found.boundaries(), threshold_deg)


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
        self.means = means_of(pieces[inner], self.tilts[inner])
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


def tilt_errors_deg(pieces: Integers, inner: NDArray[np.bool_], errors: FloatArray) -> FloatArray:
    r"""One standard deviation of the mean tilts of each cell, (cells, 2).

    :math:`σ^2 = \sum σ_i^2 / N^2 + (s \tilde σ)^2`, of the N voxels that the mean is over: what
    voxels have alone averages out, the share s of the typical error :math:`\tilde σ` does not.
    `pieces`, (voxels,): the cell of each voxel, from 0. `inner`: those that the mean is over.
    `errors`, (voxels, 2): one standard deviation of their tilts.
    """
    cells, of = range(int(pieces.max()) + 1), pieces[inner]
    count = np.bincount(of)
    alone = np.stack([np.bincount(of, part**2) for part in errors[inner].T], axis=1)
    typical = np.stack([np.median(errors[pieces == k], axis=0) for k in cells])
    return np.sqrt(alone / count[:, None] ** 2 + (SHARED * typical) ** 2)


def volume_errors_um3(
    occupancy: NDArray[Any], labels: NDArray[np.int32], voxel_um: tuple[float, ...]
) -> FloatArray:
    r"""One standard deviation of the volume of each cell; NaN where no cell has an inside.

    :math:`σ_V^2 = (s V)^2 + (d A)^2 + v^2 F / 12`:

    - s is the scatter of the mean occupancy of parts of the cells (octants, without their
      outermost voxels). It is 0 where the same volume scatters alike everywhere; what one part
      scatters more than another, by light, widths or absorption that the model lacks, is
      taken for volume where cells meet.
    - d is the distance by which the grain's outer surface, of area A on this cell, would have to
      move to hold as many voxels as there is occupancy, with the partly filled voxels of the rim.
    - v is the volume of a voxel, and F the number of those cut by the cell's surface, each
      counted whole or not at all.

    `labels`, (nx, ny, nz): the cell of each voxel, from 1; 0 outside.
    """
    occupancy, inside = np.nan_to_num(np.asarray(occupancy)), labels > 0
    voxel_um3 = float(np.prod(voxel_um))
    count = int(labels.max(initial=0)) + 1
    faces, outer_um2 = np.zeros(count), np.zeros(count)
    for axis in range(3):
        along = np.moveaxis(np.pad(labels, 1), axis, 0)
        low, high = along[:-1].ravel(), along[1:].ravel()
        low, high = np.sort([low, high], axis=0)[:, low != high]
        faces += np.bincount(low, minlength=count) + np.bincount(high, minlength=count)
        outer_um2 += np.bincount(high[low == 0], minlength=count) * voxel_um3 / voxel_um[axis]
    cut, area_um2 = faces[1:] / FACES_PER_AREA, outer_um2[1:] / FACES_PER_AREA
    held = occupancy[binary_dilation(inside, iterations=RIM_VOXELS)].sum()
    moved_um = (held - np.count_nonzero(inside)) * voxel_um3 / max(area_um2.sum(), 1e-30)
    volumes = np.bincount(labels[inside], minlength=count)[1:] * voxel_um3
    scatter = _scatter_of_parts(occupancy, labels)
    return np.sqrt((scatter * volumes) ** 2 + (moved_um * area_um2) ** 2 + voxel_um3**2 * cut / 12)


def _scatter_of_parts(occupancy: NDArray[Any], labels: NDArray[np.int32]) -> float:
    """Standard deviation of the mean occupancy of cells' octants; NaN where there are none."""
    deep = binary_erosion(labels > 0) & ~at_boundaries(labels)
    cell, places = labels[deep].astype(np.int64), np.argwhere(deep)
    sizes = np.maximum(np.bincount(cell), 1)
    centres = np.stack([np.bincount(cell, part) / sizes for part in places.T], axis=1)
    octant = 8 * cell + (places > centres[cell]) @ [4, 2, 1]
    sizes = np.bincount(octant)
    kept = sizes >= LEAST_PART
    if not kept.any():
        return np.nan
    means = np.bincount(octant, occupancy[deep])[kept] / sizes[kept]
    mean = np.average(means, weights=sizes[kept])
    return float(np.sqrt(np.average((means - mean) ** 2, weights=sizes[kept])))


def at_boundaries(labels: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Voxels that touch another cell, (nx, ny, nz)."""
    found = np.zeros(labels.shape, bool)
    for sides in map(beside, range(3)):
        low, high = (labels[side] for side in sides)
        parts = (low != high) & (low > 0) & (high > 0)
        for side in sides:
            found[side] |= parts
    return found
