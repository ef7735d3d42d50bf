"""The model of one scan: its cleaned frames, and all that predicts them from a grain."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Detector, Experiment
from recon3d.config.volume import Volume
from recon3d.files.store import CleanedScan
from recon3d.geometry import ProjectionGeometry
from recon3d.projection.kernels import UNKNOWN, FloatArray, Frames
from recon3d.projection.weights import (
    Acceptance,
    FrameSettings,
    Turning,
    frame_weights,
    scaled_settings,
)
from recon3d.runtime.communicator import ALONE, Communicator

DEAD = 0.3
BRIGHT = 0.05
"""Share of the darker side's counts below which a pixel between two sides is dead, and of the
brightest pixel's that both sides hold at least. In the sum over ω a grain has no such clefts."""


class IlluminatedFrames(NamedTuple):
    """The frames of one projection that are not dark all over."""

    numbers: NDArray[np.int64]  # (lit frames,): which frames they are
    frames: NDArray[np.float32]  # (lit frames, rows, cols): their intensities
    # (rows, cols): pixels of which nothing is known; None where there are none
    unknown: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class ScanModel:
    """A cleaned scan with all that is needed to predict its frames from a grain."""

    store: CleanedScan
    detector: Detector  # how the images are oriented
    geometry: ProjectionGeometry  # where voxels land, in pixels of the images
    settings: FrameSettings  # (μ_f, γ_f) of every frame
    turning: Turning  # with the acceptance: which frames an orientation lights
    acceptance: Acceptance
    projections: NDArray[np.int64]  # numbers of the projections that are used
    # (all projections, 2): (row, column) by which the sample has drifted, likewise
    drift_pix: FloatArray
    # the processes that share the work, projection by projection
    communicator: Communicator = ALONE
    # by how much (μ_c, γ_c) drifts from the first projection to the last, evenly; the settings hold
    # it already: they count from where the centre is at each projection
    centre_drift_deg: tuple[float, float] = (0.0, 0.0)
    # projections that are compared with what is predicted, but not learnt from
    suspected: frozenset[int] = frozenset()
    unknown: UnknownPixels | None = None  # pixels that say nothing; None where all of them do

    @property
    def course(self) -> FloatArray:
        """How far the scan has come at each projection, from -1/2 to 1/2."""
        return course_of(len(self.store.omega_deg))

    def drifted(self, more_deg: tuple[float, float]) -> ScanModel:
        """The same scan with a centre (μ_c, γ_c) that drifts by so much more over it."""
        mu, gamma = (by * self.course[:, None] for by in more_deg)
        settings = replace(
            self.settings,
            mu_deg=self.settings.mu_deg - mu,
            gamma_deg=self.settings.gamma_deg - gamma,
        )
        drift = (self.centre_drift_deg[0] + more_deg[0], self.centre_drift_deg[1] + more_deg[1])
        return replace(self, settings=settings, centre_drift_deg=drift)

    @property
    def own(self) -> NDArray[np.int64]:
        """Numbers of the projections that are this process's share of those that are used."""
        return np.array(self.communicator.share(self.projections), np.int64)

    def omega_deg(self, projection: int) -> float:
        """Rotation angle of a projection."""
        return float(self.store.omega_deg[projection])

    def affine(self, projection: int) -> FloatArray:
        """Map from sample to detector of a projection, its drift included, (2, 4)."""
        matrix = self.geometry.affine(self.omega_deg(projection))
        matrix[:, 3] += self.drift_pix[projection]
        return matrix

    def thinned(self, at_most: int) -> ScanModel:
        """The same scan with fewer of its projections, spread evenly over ω, none suspected."""
        trusted = self.projections[~np.isin(self.projections, list(self.suspected))]
        count = min(at_most, len(trusted))
        chosen = np.linspace(0, len(trusted) - 1, count).round().astype(int)
        return replace(self, projections=trusted[chosen])

    def frames(self, projection: int) -> NDArray[np.float32]:
        """Cleaned frames of a projection, (frames, rows, cols), oriented as the model has them."""
        return orient(self.store.read_projection(projection), self.detector)

    def illuminated_frames(self, projection: int) -> IlluminatedFrames:
        """Cleaned frames of a projection that are not dark all over, oriented likewise."""
        numbers, frames = self.store.read_illuminated(projection)
        unknown = None if self.unknown is None else self.unknown.of(projection)
        upright = orient(frames, self.detector)
        return IlluminatedFrames(numbers, upright, unknown)

    @property
    def pixels(self) -> ImagePixels:
        """How the pixels of the images lie among those of the detector."""
        return ImagePixels.of(self.store, self.detector)

    @property
    def rotation_center(self) -> float:
        """Column of the rotation axis, in pixels of the detector's region."""
        return self.pixels.detector_col(self.geometry.centre_col_pix)

    @property
    def pixel_um(self) -> tuple[float, float]:
        """Height and width of a pixel of the images, in the sample."""
        rows, cols = self.pixels.size
        magnification = self.detector.magnification_pix_per_um
        return rows / magnification, cols / magnification

    def in_pixels(self, volume: Volume) -> float:
        """Width of a voxel in pixels of the images, where it is least."""
        return min(volume.voxel_um) / max(self.pixel_um)

    @property
    def image_shape(self) -> tuple[int, int]:
        """Rows and columns of the oriented images."""
        rows, cols = self.store.shape[2:]
        return (cols, rows) if self.detector.transpose else (rows, cols)

    def total_counts(self) -> float:
        """Sum of all frames that are used."""
        return float(self.store.integrated[self.projections].sum())

    def summed(self, projection: int) -> NDArray[np.float32]:
        """Sum of the cleaned frames of a projection, (rows, cols), oriented as the model has it.

        `UNKNOWN` where a pixel says nothing.
        """
        image = orient(self.store.read_summed(projection), self.detector)
        if self.unknown is not None:
            image = self.unknown.mark(image, projection)
        return np.ascontiguousarray(image)

    def weights(self, projection: int, bins: FloatArray) -> NDArray[np.float32]:
        """Weights W, (frames, bins), of orientations (3, bins) in the frames of a projection."""
        return frame_weights(*self.scaled_settings(projection, bins))

    def scaled_settings(
        self, projection: int, orientations: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Settings of frames, and of orientations (3, n), in widths, each (..., 3)."""
        turned = self.turning.settings_of(orientations, self.omega_deg(projection))
        return scaled_settings(self.settings.of(projection), turned, self.acceptance)


def course_of(projections: int) -> FloatArray:
    """How far a scan has come at each of its projections, from -1/2 to 1/2."""
    return np.linspace(-0.5, 0.5, projections)


def orient(images: NDArray[np.float32], detector: Detector) -> NDArray[np.float32]:
    """Reverse and transpose the last two axes of images as the detector's keys say.

    The axes are reversed first, then transposed.
    """
    if detector.flip in ("rows", "both"):
        images = images[..., ::-1, :]
    if detector.flip in ("columns", "both"):
        images = images[..., ::-1]
    return np.swapaxes(images, -1, -2) if detector.transpose else images


def projection_geometry(
    experiment: Experiment, pixels: ImagePixels, centre_col_pix: float
) -> ProjectionGeometry:
    """The geometry of an experiment, in pixels of the detector, for its oriented images.

    `centre_col_pix`: column of the rotation axis, in pixels of the images.
    """
    detector = experiment.detector
    rows, cols = pixels.size
    given = detector.centre_row_pix
    given = (pixels.region[0] - 1) / 2 if given is None else given
    return ProjectionGeometry(
        theta_deg=experiment.crystal.bragg_angle_deg,
        magnification_pix_per_um=detector.magnification_pix_per_um / cols,
        centre_row_pix=(given - pixels.first[0]) / rows,
        centre_col_pix=centre_col_pix,
        stretch_rows=float(cols / rows / np.cos(np.radians(detector.tilt_x_deg))),
        stretch_cols=float(1 / np.cos(np.radians(detector.tilt_z_deg))),
        omega_sense=detector.omega_sense,
    )


@dataclass(frozen=True)
class ImagePixels:
    """How the pixels of oriented images lie among those of the region that was recorded.

    Whatever a user gives or gets is in pixels of the detector, counted in the region of interest as
    it is oriented; images have fewer pixels where frames were binned. All are (row, column).
    """

    size: tuple[int, int]  # of the detector that makes one pixel of an image
    first: tuple[float, float]  # of the region, at the middle of the first pixel of an image
    region: tuple[int, int]  # (rows, columns) of the region

    @classmethod
    def of(cls, store: CleanedScan, detector: Detector) -> ImagePixels:
        """Those of a cleaned scan: flipped and transposed as `orient` does it.

        What fills no bin is at the end of the region, which a flip makes its beginning.
        """
        size, region = store.binning, (store.roi.rows, store.roi.cols)
        flipped = (detector.flip in ("rows", "both"), detector.flip in ("columns", "both"))
        dropped = store.binning.left_over(region)
        first = [
            (edge - 1) / 2 + (rest if turned else 0)
            for edge, rest, turned in zip(size, dropped, flipped, strict=True)
        ]
        row, col = (1, 0) if detector.transpose else (0, 1)
        return cls((size[row], size[col]), (first[row], first[col]), (region[row], region[col]))

    def col_of(self, col: float) -> float:
        """Column of the images at a column of the region."""
        return (col - self.first[1]) / self.size[1]

    def detector_col(self, col: float) -> float:
        """Column of the region at a column of the images."""
        return col * self.size[1] + self.first[1]

    @property
    def corner(self) -> NDArray[np.float64]:
        """(row, column) of the region at the beginning of the images."""
        return np.asarray(self.first) - (np.asarray(self.size) - 1) / 2


@dataclass(frozen=True)
class UnknownPixels:
    """Which pixels of the oriented images are not known."""

    dead: NDArray[np.bool_]  # (rows, cols): pixels that never read anything
    # (projections, 2, 2): first row and first column that the beam lights, and the ends of both
    lit: NDArray[np.int64]

    @classmethod
    def of_total(cls, total: Frames, projections: int) -> UnknownPixels:
        """Those of a scan whose frames have a sum (rows, cols), everything being lit."""
        lit = np.array([(0, 0), total.shape])
        return cls(dead_pixels(total), np.tile(lit, (projections, 1, 1)))

    @property
    def cut(self) -> NDArray[np.bool_]:
        """Which projections the beam lights in part, (projections,)."""
        return np.any(np.diff(self.lit, axis=1)[:, 0] < self.dead.shape, axis=1)

    def of(self, projection: int) -> NDArray[np.bool_]:
        """Which pixels of a projection are not known, (rows, cols)."""
        (first_row, first_col), (end_row, end_col) = self.lit[projection]
        unknown = np.ones_like(self.dead)
        lit = (slice(first_row, end_row), slice(first_col, end_col))
        unknown[lit] = self.dead[lit]
        return unknown

    def mark(self, image: Frames, projection: int) -> Frames:
        """An image of a projection with its unknown pixels marked."""
        return np.where(self.of(projection), np.float32(UNKNOWN), image)


def dead_pixels(total: Frames) -> NDArray[np.bool_]:
    """Which pixels, or lines of up to two pixels, are far darker than what is on either side.

    `total`, (rows, cols): sum of all frames of a scan.
    """
    dead = np.zeros(total.shape, bool)
    for axis in (0, 1):
        lines = np.moveaxis(total, axis, 0)
        near = np.pad(lines, [(2, 2), (0, 0)])
        before, after = np.maximum(near[:-4], near[1:-3]), np.maximum(near[3:-1], near[4:])
        sides = np.minimum(before, after)
        dark = (lines < DEAD * sides) & (sides > BRIGHT * total.max())
        dead |= np.moveaxis(dark, 0, axis)
    return dead
