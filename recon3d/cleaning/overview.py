"""A summary of every projection, from a store or from a scan that is still being taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.cleaning.calibration import Calibration, calibrated
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import work_on_projection
from recon3d.cleaning.suggest import with_suggestions
from recon3d.config.cleaning import Cleaning
from recon3d.files.store import CleanedScan
from recon3d.readers.edf.folder import natural
from recon3d.scan.scan import Scan
from recon3d.scan.table import ScanTable

FloatArray = NDArray[np.float64]
Image = NDArray[np.float32]

LARGEST_IMAGE = 512
"""Pixels along an edge to which summed frames are binned, so that all of them fit in memory."""


@dataclass(frozen=True, eq=False)
class ProjectionGlance:
    """One projection at a glance."""

    omega_deg: float
    taken: float  # the mean number of its frames in the order of time
    summed: Image  # (rows, cols): sum over its cleaned frames, in pixels of `bin_pix`
    bin_pix: tuple[int, int]  # rows and columns of the detector that make one pixel of it
    integrated: FloatArray  # (frames,): counts of every frame
    valid: NDArray[np.bool_]  # (frames,): which of them were recorded
    # setting in the laboratory, at handedness +1; NaN where a frame is missing; so is gamma_deg
    mu_deg: FloatArray
    gamma_deg: FloatArray
    current_ma: float  # mean ring current; NaN where it is not recorded

    @property
    def total(self) -> float:
        """All counts of the projection."""
        return float(self.integrated.sum())

    @property
    def centre_of_mass_pix(self) -> tuple[float, float]:
        """Centre of mass (row, column) in pixels of the region; NaN where it is dark."""
        if not self.summed.any():
            return (np.nan, np.nan)
        row, col = ndimage.center_of_mass(self.summed.astype(np.float64))
        high, wide = self.bin_pix
        return float(row * high + (high - 1) / 2), float(col * wide + (wide - 1) / 2)


def glances_of_store(store: CleanedScan) -> Iterator[ProjectionGlance]:
    """Go through the projections of a cleaned scan; only summed frames are read."""
    taken = _order_of_names(store.source_files)
    for k in range(store.shape[0]):
        yield _glance(store, k, float(taken[k]), store.read_summed(k), store.integrated[k])


@dataclass
class GrowingOverview:
    """Glances of a scan that is still being taken, each projection cleaned once."""

    cleaning: Cleaning
    # `background`, `flat_field` and `bad_pixels` as in `recon3d.clean`, where there are any
    images: Mapping[str, Any] = field(default_factory=dict)
    # what is known so far, by rotation angle
    glances: dict[float, ProjectionGlance] = field(default_factory=dict)
    normalizer: Normalizer = field(init=False)
    _known: tuple[Calibration, NDArray[np.bool_] | None] | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.normalizer = Normalizer(self.cleaning.normalize)

    def extend(self, scan: Scan) -> Iterator[ProjectionGlance]:
        """Clean the projections that are not known yet, and pass them on one by one.

        `scan`: all that was taken so far; its first projection stays the first.
        """
        if self._known is None:
            first, found, _ = calibrated(scan, **self.images)
            self._known = found, first.masked
            region = (scan.roi.center, scan.roi.size)
            self.cleaning, _ = with_suggestions(
                scan, self.cleaning, *region, show_progress=False, **self.images
            )
        calibration, masked = self._known
        scan = replace(scan, masked=masked)
        cleaning = self.cleaning.for_bins(*scan.binning)
        for k, omega in enumerate(scan.omega_deg):
            name = round(float(omega), 3)
            if name in self.glances:
                continue
            recorded = scan.read_projection(k), scan.valid[k], scan.motors.ring_current_ma[k]
            done = work_on_projection(*recorded, cleaning, calibration, self.normalizer)
            slots = scan.slots[k][scan.valid[k]]
            taken = float(slots.mean()) if slots.size else np.nan
            glance = _glance(scan, k, taken, done.frames.sum(axis=0), done.sums)
            self.glances[name] = glance
            yield glance


def _glance(
    table: ScanTable, k: int, taken: float, summed: Image, integrated: FloatArray
) -> ProjectionGlance:
    binning, (mu, gamma) = table.binning, table.settings(k)
    current = table.motors.ring_current_ma[k]
    current = current[np.isfinite(current)]
    image, size = binned(summed, LARGEST_IMAGE)
    return ProjectionGlance(
        omega_deg=float(table.omega_deg[k]),
        taken=taken,
        summed=image,
        bin_pix=(size * binning.rows, size * binning.cols),
        integrated=np.asarray(integrated, float),
        valid=table.valid[k],
        mu_deg=mu,
        gamma_deg=gamma,
        current_ma=float(current.mean()) if current.size else np.nan,
    )


def binned(image: Image, largest: int) -> tuple[Image, int]:
    """Mean over square bins, at most `largest` along an edge, and the pixels along a bin's edge.

    Rows and columns beyond the last whole bin are filled up with zeros.
    """
    from skimage.measure import block_reduce

    size = -(-max(image.shape) // largest)
    return block_reduce(image, size, np.mean), size


def _order_of_names(names: NDArray[np.str_]) -> FloatArray:
    """Mean place of each projection's files, (projections,), with numbers in them as numbers."""
    keys = [natural(name) for name in names.ravel().tolist()]
    places = np.empty(names.size)
    places[sorted(range(names.size), key=keys.__getitem__)] = np.arange(names.size)
    return np.nanmean(np.where(names == "", np.nan, places.reshape(names.shape)), axis=1)
