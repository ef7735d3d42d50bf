r"""The grain by iteration: the operator :math:`I_ω = P_ω f W_ω^T` inverted, f >= 0.

Both rules visit ordered subsets S of the projections. "mlem" is the expectation maximisation of
Hudson & Larkin 1994, IEEE Trans. Med. Imaging 13, 601:

.. math::
    f \leftarrow f \cdot \frac{\sum_{ω \in S} P_ω^T \frac{I_ω}{P_ω f W_ω^T} W_ω}
    {\sum_{ω \in S} P_ω^T 1 W_ω}

"sirt" adds the normalised differences (Gregor & Benson 2008, IEEE Trans. Med. Imaging 27, 918):

.. math::
    f \leftarrow f + \frac{\sum_{ω \in S} P_ω^T \frac{I_ω - P_ω f W_ω^T}{P_ω 1 W_ω^T} W_ω}
    {\sum_{ω \in S} P_ω^T 1 W_ω}
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from recon3d.projection.kernels import FloatArray, Frames, compare, update
from recon3d.projection.operator import FrameOperator, IlluminatedPixels, Projector
from recon3d.projection.weights import BinRuns, OrientationBins, cut_tails
from recon3d.reconstruction.fit.frames import (
    ProjectionImages,
    Residuals,
    read_ahead,
    relative,
    take_pixels,
)
from recon3d.reconstruction.model.scan_model import ScanModel

logger = logging.getLogger(__name__)


LEAST_COVERAGE = 0.2
"""Coverage by frames, as a share of the best covered bin's, below which a bin stays empty."""

FLOOR_COUNTS = 2.0
"""Counts added to measured and predicted frames alike, about what cleaning leaves unsure."""

LEAST_SHARE = 0.005
"""Share of a typical voxel that some voxel must hold in a bin, or the bin is empty."""

WORTH_CLOSING = 0.9
"""Share of the bins above which it is not worth the copy to close the empty ones."""

LEAST_SEEN = 0.1
"""Share of a voxel that a subset sees at least for its step to be made as long as if it saw all."""

LEAST_OF_LARGEST = 1e-3
"""Share of a voxel's largest bin from which the bins before and after it are kept."""

WORTH_PACKING = 0.7
"""Share of the distributions in the runs of bins that are kept, above which they are not packed."""

MOST_BYTES = 1 << 28
"""Memory that may be taken; what does not fit is found anew in every pass."""

MOST_IMAGE_BYTES = 1 << 28
"""Memory that the frames of all projections may take, or none of them are kept."""

LEAST_LENGTH = 0.1
"""Share of the longest path that a pixel is taken to see at least: one at the rim, which hardly
any voxel reaches, must not be blown up."""

BeforeSubset: TypeAlias = "Callable[[IterativeFit], None]"
FillRows: TypeAlias = Callable[[slice, Frames], None]


class IterativeFit:
    """The fit of every voxel's orientation distribution to the frames, pass by pass.

    Memory: the distributions and their update, 8 bytes a voxel and bin, and one projection.

    `points_um`, (voxels, 3): centres of the voxels of the support, `voxel_um` the edges of one.
    `threshold`: counts up to which cleaning sets a pixel to zero. `subset_size`: projections
    between two updates; `usual_subset` where None. `rule`: "mlem" or "sirt". `columns`: numbers of
    the bins that may be filled, in order; all where None. `fill(rows, volume)` fills rows of the
    first distributions; all voxels are alike where None.

    `columns` are the bins that are not closed, `volume`, (voxels, columns), what each voxel
    scatters at each of them, in counts, and `position` how many subsets of a pass are done.
    `residuals` has, after each pass, the root of the squared differences while it ran as a share
    of the frames; `projection_residuals` the same for each projection in the last pass, and
    `pixel_sums`, (rows, cols, 2), squared differences and intensities at each pixel in it.
    """

    def __init__(
        self,
        model: ScanModel,
        bins: OrientationBins,
        points_um: FloatArray,
        voxel_um: tuple[float, ...],
        *,
        threshold: float,
        subset_size: int | None = None,
        rule: str = "mlem",
        columns: NDArray[np.int64] | None = None,
        fill: FillRows | None = None,
    ) -> None:
        self.rule, self.communicator = rule, model.communicator
        self.bins = bins
        self._name(np.arange(bins.size) if columns is None else columns)
        self.projector = Projector(points_um, voxel_um)
        self.threshold = float(threshold)
        size = subset_size or usual_subset(len(model.projections))
        self.groups = deal(model.projections, size)
        self.see_through(model)
        level = model.total_counts() / (len(points_um) * self._coverage.sum(where=self._open))
        # Denormal numbers would make a pass ten times slower.
        self._lowest = np.float32(level * 1e-6)
        self._held = self.communicator.hold((len(points_um), self.columns.size))

        def begin(rows: slice) -> None:
            part = self.volume[rows]
            if fill is None:
                part[...] = level
            else:
                fill(rows, self.volume)
                np.maximum(part, self._lowest, out=part)
            part[:, ~self._open] = 0
            if fill is not None:
                cut_tails(part, np.float32(LEAST_OF_LARGEST))

        self._held.each_row(begin)
        self._runs: BinRuns | None = None
        self.residuals: list[float] = []
        self.projection_residuals = np.full(len(model.projections), np.nan)
        self.pixel_sums = np.zeros((0, 0, 2))
        self.position = 0
        self._residuals = Residuals(model.projections)

    def adopt(self, model: ScanModel) -> None:
        """Go on with a better model of the same projections, from where the fit stands."""
        before, were_open = self._coverage.sum(where=self._open), self._open
        self.see_through(model)
        newly = self._open & ~were_open
        # Wider widths show the same voxel in more frames: less of it explains them.
        less = np.float32(before / self._coverage.sum(where=self._open))

        def lessen(rows: slice) -> None:
            part = self.volume[rows]
            part *= less
            np.maximum(part, self._lowest, out=part, where=(part > 0) | newly)
            part[:, ~self._open] = 0

        self._held.each_row(lessen)
        self._runs = None

    def scale(self, share: NDArray[np.float32]) -> None:
        """Scale the distribution of each voxel by its own share, (voxels,)."""

        def scale(rows: slice) -> None:
            self.volume[rows] *= share[rows, None]

        self._held.each_row(scale)

    @property
    def volume(self) -> Frames:
        """The distributions."""
        volume: Frames = self._held.whole
        return volume

    def _take(self, volume: Frames) -> None:
        """Hold distributions, the same from every member of the communicator."""

        def copy(rows: slice) -> None:
            self.volume[rows] = volume[rows]

        self._held = self.communicator.hold(volume.shape)
        self._held.each_row(copy)
        self._runs = None

    def see_through(self, model: ScanModel) -> None:
        """Predict frames by a model, with the bins that it covers well enough."""
        self.model = model
        count = len(self.communicator.share(model.projections))
        self._cache = ProjectionCache(model, self.projector, self._shown, count)
        self._coverage = np.zeros(self.columns.size)
        for number in map(int, self.communicator.share(model.projections)):
            self._coverage += model.weights(number, self._shown).sum(axis=0)
        self.communicator.sum(self._coverage)
        # Bins at the corners of the scan, which few frames see, would gather whatever misfits.
        self._open = self._coverage >= LEAST_COVERAGE * self._coverage.max()

    def close_empty_bins(self) -> None:
        """Leave out of all that follows the bins that no voxel holds anything of.

        They cost as much as the others: after a pass or two those of a grain are a part of all
        that may be reached. What the others hold of a voxel is hardly changed by it.
        """
        totals = self.volume.sum(axis=1, dtype=np.float64)
        typical = (totals**2).sum() / totals.sum()
        filled = self.communicator.agree(self.volume.max(axis=0) > LEAST_SHARE * typical)

        def cut(rows: slice) -> None:
            cut_tails(self.volume[rows], np.float32(LEAST_OF_LARGEST))

        self._held.each_row(cut)
        self._runs = None
        if filled.mean() < WORTH_CLOSING:
            logger.info("%d of %d orientation bins are filled", int(filled.sum()), filled.size)
            self.keep_bins(self.columns[filled])

    def keep_bins(self, columns: NDArray[np.int64]) -> None:
        """Close all bins but these, given by their numbers, in order."""
        kept = np.isin(self.columns, columns)
        volume = np.ascontiguousarray(self.volume[:, kept])
        del self._held
        self._take(volume)
        self._name(self.columns[kept])
        self.see_through(self.model)

    def _name(self, columns: NDArray[np.int64]) -> None:
        """Name the bins that the volume holds."""
        self.columns = columns
        self._shown = self.bins.centres_deg()[:, columns]

    def run_pass(self, description: str, *, before_subset: BeforeSubset | None = None) -> float:
        """Visit every projection once, and return the residual.

        `before_subset`: called with the fit before each subset, when its state can be saved.
        """
        if self.position == 0:
            self._residuals = Residuals(self.model.projections)
        shares = [
            np.array(self.communicator.share(group)) for group in self.groups[self.position :]
        ]
        numbers = np.concatenate(shares).astype(np.int64)
        images = read_ahead(self._cache.read, numbers, description)
        for share in shares:
            if before_subset is not None:
                before_subset(self)
            self._visit(images, share.size)
            self.position += 1
        # Asking once more lets the stream end, and its progress bar reach the last projection.
        next(images, None)
        self.position = 0
        self._runs = None
        sums, self.pixel_sums = self._residuals.of_all(self.communicator)
        self.projection_residuals = relative(sums[:, 0], sums[:, 1])
        self.residuals.append(float(relative(*sums.sum(axis=0))))
        return self.residuals[-1]

    def _visit(self, images: Iterator[ProjectionImages], count: int) -> None:
        """Update the volume from one subset: this process's share of it, and the others'."""
        sensitivity = np.zeros(self.columns.size, np.float32)
        hidden = np.zeros(len(self.volume), np.float32)
        volume, steps = self._packed()
        for measured in islice(images, count):
            weights = self.model.weights(measured.projection, self._shown)[measured.shown]
            sums = self._accumulate(measured, weights, volume, steps)
            self._residuals.note(measured.projection, sums)
            if measured.projection not in self.model.suspected:
                sensitivity += weights.sum(axis=0)
                hidden += weights.sum() * self._unseen(measured)
        if isinstance(steps, BinRuns):
            steps.add_to(self._held.parts)
        self.communicator.sum(sensitivity)
        self.communicator.sum(hidden)
        self._lengthen(hidden, sensitivity)
        sensitivity[~self._open] = 0

        def change(volume: Frames, factors: Frames) -> None:
            update(volume, factors, sensitivity, self._lowest, self.rule == "mlem")

        self._held.update(change)

    def _unseen(self, measured: ProjectionImages) -> Frames | float:
        """Which share of each voxel a projection does not see, (voxels,); 0 where it sees all."""
        number, pixels, images, _ = measured
        affine, known = self.model.affine(number), images[:, 0] >= 0
        if known.all() and not self.projector.outside(affine, pixels.mask.shape)[0].size:
            return 0.0
        return 1 - self.projector.seen(affine, pixels, known)

    def _lengthen(self, hidden: Frames, sensitivity: Frames) -> None:
        """Make the steps of voxels that a subset sees in part as long as if it saw all of them.

        They would converge slowly otherwise: what is not seen asks for no change. `hidden`,
        (voxels,): what of the sum of the sensitivities is not seen.
        """
        seen = 1 - hidden / max(float(sensitivity.sum()), 1e-30)
        part = np.flatnonzero((seen < 1 - LEAST_SEEN) & (seen > LEAST_SEEN))
        longer = 1 / seen[part, None]
        self._held.parts[part] *= longer
        if self.rule == "mlem" and self.communicator.rank == 0:
            self._held.parts[part] += (1 - longer) * sensitivity

    def _packed(self) -> tuple[Frames | BinRuns, Frames | BinRuns]:
        """The distributions and what is to be added to them, in runs of bins if those are short."""
        if self._runs is None:
            self._runs = BinRuns.of(self.volume)
            if self._runs.share <= WORTH_PACKING:
                logger.info("%.0f %% of the distributions are kept", 100 * self._runs.share)
        if self._runs.share > WORTH_PACKING:
            return self.volume, self._held.parts
        self._runs.take(self.volume)
        return self._runs, self._runs.empty()

    def state(self) -> FitState:
        """Where the fit stands; every process of the communicator asks, and gets the same."""
        sums = self._residuals.of_all(self.communicator)
        residuals = np.array(self.residuals)
        return FitState(self.position, self.columns, self.volume, residuals, *sums)

    def restore(self, state: FitState) -> None:
        """Go on from where another fit of the same projections stood."""
        self.position, self.residuals = state.position, state.residuals.tolist()
        self._take(state.volume)
        self._name(state.columns)
        self._residuals = Residuals(self.model.projections)
        if self.communicator.rank == 0:
            self._residuals.of_projections = state.sums.copy()
            self._residuals.of_pixels = state.pixel_sums.copy()
        self.pixel_sums = state.pixel_sums
        self.projection_residuals = relative(state.sums[:, 0], state.sums[:, 1])

    def _accumulate(
        self,
        measured: ProjectionImages,
        weights: Frames,
        volume: Frames | BinRuns,
        steps: Frames | BinRuns,
    ) -> FloatArray:
        """Add one projection to the steps; return its squared differences and intensities."""
        number, pixels, images, _ = measured
        operator = FrameOperator(self.projector, self.model.affine(number), pixels, weights)
        misfit = operator.forward(volume)
        floor = FLOOR_COUNTS if self.rule == "mlem" else -1.0
        where = (pixels.lookup, pixels.places)
        of_pixels = self._residuals.pixels(pixels.mask.shape)
        sums = compare(misfit, images, *where, self.threshold, floor, of_pixels)
        if number in self.model.suspected:
            return np.array(sums)
        if self.rule == "sirt":
            misfit /= self._cache.lengths(operator, number)
            misfit /= np.maximum(weights.sum(axis=1), 1e-6)
        operator.adjoint(misfit, steps)
        if self.rule == "mlem":
            # What falls outside the images is not known: there nothing is changed.
            cut, share = self.projector.outside(operator.affine, pixels.mask.shape)
            self._held.parts[cut] += np.outer(share, weights.sum(axis=0))
        return np.array(sums)


class ProjectionCache:
    """The pixels on which the voxels of a support fall, what is measured and how long a path seen.

    The geometry of the model must not change. `projections`: how many are asked for in a pass.
    `most_bytes`: memory that may be taken.
    """

    def __init__(
        self,
        model: ScanModel,
        projector: Projector,
        bins: NDArray[np.float64],
        projections: int,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self._model, self._projector, self._bins = model, projector, bins
        self._projections, self._room = projections, most_bytes
        self._images: dict[int, ProjectionImages] = {}
        self._pixels: dict[int, IlluminatedPixels] = {}
        self._lengths: dict[int, Frames] = {}

    def read(self, projection: int) -> ProjectionImages:
        """The frames of a projection where any voxel falls; no parallel kernel."""
        if projection in self._images:
            return self._images[projection]
        illuminated = self._model.illuminated_frames(projection)
        pixels = self.pixels(projection, illuminated.frames.shape[1:])
        reached = np.any(self._model.weights(projection, self._bins), axis=1)
        found = take_pixels(projection, illuminated, pixels, reached)
        # A pass asks for all of them in turn: to keep a few of many would gain little.
        if found.images.nbytes * self._projections <= MOST_IMAGE_BYTES:
            self._images[projection] = found
        return found

    def pixels(self, projection: int, shape: tuple[int, ...]) -> IlluminatedPixels:
        """Choose the pixels of a projection on which any voxel falls; no parallel kernel."""
        if projection in self._pixels:
            return self._pixels[projection]
        affine = self._model.affine(projection)
        found = IlluminatedPixels.from_mask(self._projector.covered_pixels(affine, shape))
        # Its image, and about as much again for the places of the pixels and their lengths.
        size = found.lookup.nbytes + 32 * found.count
        if size <= self._room:
            self._room -= size
            self._pixels[projection] = found
        return found

    def lengths(self, operator: FrameOperator, projection: int) -> Frames:
        """How much of the support each pixel of a projection sees, (pixels + 1, 1), above zero."""
        if projection in self._lengths:
            return self._lengths[projection]
        found = operator.lengths().astype(np.float32)
        np.maximum(found, LEAST_LENGTH * found.max(), out=found)
        if projection in self._pixels:
            self._lengths[projection] = found
        return found


@dataclass(frozen=True)
class FitState:
    """Where a fit stands between two subsets."""

    position: int  # how many subsets of the pass are done
    columns: NDArray[np.int64]  # numbers of the bins that are not closed
    volume: NDArray[np.float32]  # (voxels, columns): f
    residuals: FloatArray  # of the passes that are done
    sums: FloatArray  # (projections, 2): squared differences and intensities of the pass so far
    pixel_sums: FloatArray  # (rows, cols, 2): the same at each pixel


def usual_subset(projections: int) -> int:
    """How many projections make a subset, whatever the number of processes that share it.

    About ten updates a pass converge as quickly as many more do, and leave every process of
    a communicator something to do in each: an even number of projections, for two to share equally.
    """
    return 2 * max(projections // 18, 1)


def deal(projections: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Deal projections, in the order of ω, into subsets of about `size`.

    Each subset is spread over ω, successive ones are far apart.
    """
    count = max(len(projections) // size, 1)
    # Steps of the golden ratio go round without clustering.
    order = sorted(range(count), key=lambda number: number * 0.618034 % 1)
    return [projections[start::count] for start in order]
