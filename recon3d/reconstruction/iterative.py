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

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.projection.bins import OrientationBins
from recon3d.projection.forward import FrameOperator
from recon3d.projection.operator import LitPixels, Projector
from recon3d.projection.ratios import add, compare, multiply
from recon3d.reconstruction.model import Predictable
from recon3d.reconstruction.streaming import Frames, ProjectionImages, stream

FloatArray = NDArray[np.float64]

LEAST_COVERAGE = 0.2
"""Coverage by frames, as a share of the best covered bin's, below which a bin stays empty."""

FLOOR_COUNTS = 2.0
"""Counts added to measured and predicted frames alike, about what cleaning leaves unsure."""


class IterativeFit:
    """The fit of every voxel's orientation distribution to the frames, pass by pass.

    Memory: the distributions and their update, 8 bytes a voxel and bin, and one projection.

    Parameters
    ----------
    model
        The scan.
    bins
        The orientation bins.
    points_um, shape (voxels, 3)
        Centres of the voxels of the support.
    voxel_um
        Edges of a voxel.
    threshold
        Counts up to which cleaning sets a pixel to zero.
    subset_size
        Projections between two updates.
    rule
        "mlem" or "sirt".

    Attributes
    ----------
    volume, shape (voxels, bins)
        f: how much of each voxel scatters at each orientation bin, in counts.
    residuals
        After each pass: the root of the squared differences between measured and predicted
        frames while it ran, as a share of the measured ones.
    projection_residuals, shape (projections,)
        The same for each projection that is used, in the last pass.
    pixel_sums, shape (rows, cols, 2)
        Squared differences and squared intensities at each pixel, in the last pass.
    """

    def __init__(
        self,
        model: Predictable,
        bins: OrientationBins,
        points_um: FloatArray,
        voxel_um: tuple[float, ...],
        *,
        threshold: float,
        subset_size: int = 3,
        rule: str = "mlem",
    ) -> None:
        self.rule = rule
        self.bins = bins
        self.projector = Projector(points_um, voxel_um)
        self.threshold = threshold
        self.groups = deal(model.projections, subset_size)
        self._see_through(model)
        level = model.total_counts() / (len(points_um) * self._coverage.sum(where=self._open))
        self.volume = np.full((len(points_um), bins.size), level, np.float32)
        self.volume[:, ~self._open] = 0
        self.residuals: list[float] = []
        self.projection_residuals = np.full(len(model.projections), np.nan)
        self.pixel_sums = np.zeros((0, 0, 2))
        self._factors = np.zeros_like(self.volume)
        # Denormal numbers would make a pass ten times slower.
        self._lowest = np.float32(level * 1e-6)

    def adopt(self, model: Predictable) -> None:
        """Go on with a better model of the same projections, from where the fit stands."""
        before = self._coverage.sum(where=self._open)
        self._see_through(model)
        # Wider widths show the same voxel in more frames: less of it explains them.
        self.volume *= np.float32(before / self._coverage.sum(where=self._open))
        np.maximum(self.volume, self._lowest, out=self.volume)
        self.volume[:, ~self._open] = 0

    def _see_through(self, model: Predictable) -> None:
        """Predict frames by a model, with the bins that it covers well enough."""
        self.model = model
        weights = (model.weights(int(k), self.bins).sum(axis=0) for k in model.projections)
        self._coverage = np.sum(list(weights), axis=0, dtype=np.float64)
        # Bins at the corners of the scan, which few frames see, would gather whatever misfits.
        self._open = self._coverage >= LEAST_COVERAGE * self._coverage.max()

    def run_pass(self, description: str, *, show_progress: bool = True) -> float:
        """Visit every projection once, and return the residual."""
        sums = {}
        self.pixel_sums = np.zeros((0, 0, 2))
        images = stream(
            self.model,
            description,
            projections=np.concatenate(self.groups),
            choose=self._shadow,
            show_progress=show_progress,
        )
        for group in self.groups:
            sensitivity = np.zeros(self.bins.size, np.float32)
            for _ in group:
                measured = next(images)
                weights = self.model.weights(measured.projection, self.bins)
                sums[measured.projection] = self._accumulate(measured, weights)
                sensitivity += weights.sum(axis=0)
            update = multiply if self.rule == "mlem" else add
            sensitivity[~self._open] = 0
            update(self.volume, self._factors, sensitivity, self._lowest)
        # Asking once more lets the stream end, and its progress bar reach the last projection.
        next(images, None)
        of_projection = np.array([sums[int(k)] for k in self.model.projections])
        self.projection_residuals = relative(of_projection[:, 0], of_projection[:, 1])
        self.residuals.append(float(relative(*of_projection.sum(axis=0))))
        return self.residuals[-1]

    def _accumulate(self, measured: ProjectionImages, weights: Frames) -> FloatArray:
        """Add one projection to the factors; return its squared differences and intensities."""
        number, pixels, images = measured
        operator = FrameOperator(self.projector, self.model.affine(number), pixels, weights)
        misfit = operator.forward(self.volume)
        if not self.pixel_sums.size:
            self.pixel_sums = np.zeros((*pixels.mask.shape, 2))
        floor = FLOOR_COUNTS if self.rule == "mlem" else -1.0
        where = (pixels.lookup, pixels.places)
        sums = compare(misfit, images, *where, self.threshold, floor, self.pixel_sums)
        if self.rule == "sirt":
            lengths = operator.lengths()
            # A pixel at the rim, which hardly any voxel reaches, must not be blown up.
            lengths = np.maximum(lengths, 0.1 * lengths.max())
            misfit /= lengths * np.maximum(weights.sum(axis=1), 1e-6)
        operator.adjoint(misfit, self._factors)
        return np.array(sums)

    def _shadow(self, projection: int, frames: Frames) -> LitPixels:
        """Choose the pixels on which any voxel of the support falls."""
        affine = self.model.affine(projection)
        return LitPixels.from_mask(self.projector.shadow(affine, frames.shape[1:]))


def deal(projections: NDArray[np.int64], size: int) -> list[NDArray[np.int64]]:
    """Deal projections into subsets, each spread over ω, successive ones far apart.

    Parameters
    ----------
    projections
        Numbers of the projections in the order of ω.
    size
        About how many projections make a subset.
    """
    count = max(len(projections) // size, 1)
    # Steps of the golden ratio go round without clustering.
    order = sorted(range(count), key=lambda number: number * 0.618034 % 1)
    return [projections[start::count] for start in order]


def relative(differences: ArrayLike, squares: ArrayLike) -> FloatArray:
    """Root of squared differences as a share of squared intensities; NaN where these are 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.sqrt(np.asarray(differences, float) / np.asarray(squares, float))
