"""Where on the detector the grain shines, and what a region of interest would leave out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.cleaning.frame_preview import FramePreview
from recon3d.config.cleaning import Cleaning
from recon3d.readers.source import Roi
from recon3d.scan.scan import Scan

Image = NDArray[np.float32]

_SIGMAS = 5.0
_SMOOTHING_PIX = 1.5
_DIM_SHARE = 0.05
_LEAST_SHARE = 0.01


class ProjectionImages(NamedTuple):
    """The frames of one projection as images, each (rows, cols).

    Parameters
    ----------
    projection
        Its number.
    summed, largest, smallest
        Sum, maximum and minimum over the frames.
    frames
        How many there are.
    """

    projection: int
    summed: Image
    largest: Image
    smallest: Image
    frames: int


def whole_frames(scan: Scan) -> Scan:
    """The scan without a region of interest, and without bins."""
    rows, cols = scan.source.frame_shape
    return scan.binned(1).crop((cols // 2, rows // 2), (cols, rows))


def spread_projections(scan: Scan, most: int) -> list[int]:
    """Numbers of at most `most` projections, evenly spread over the scan."""
    count = min(most, scan.shape[0])
    return [int(k) for k in np.unique(np.linspace(0, scan.shape[0] - 1, count).round())]


def coarse_to_fine(scan: Scan, first: int) -> list[int]:
    """Numbers of all projections, `first` that are spread over the scan before the others."""
    return list(dict.fromkeys([*spread_projections(scan, first), *range(scan.shape[0])]))


def combine_frames(scan: Scan, k: int) -> Iterator[ProjectionImages | None]:
    """Sum the frames of a projection, and take their maximum, one frame at a time.

    Yields
    ------
    images
        None after every frame, so that there is time to stop, and the images at the end.
    """
    summed = np.zeros(scan.shape[2:], np.float32)
    largest, smallest = np.zeros_like(summed), np.full_like(summed, np.inf)
    slots = np.sort(scan.slots[k][scan.valid[k]])
    frame, recorded = np.empty(scan.shape[2:], scan.dtype), scan.room_for_recorded()
    for slot in slots:
        scan.read_into(int(slot), frame, recorded)
        summed += frame
        np.maximum(largest, frame, out=largest)
        np.minimum(smallest, frame, out=smallest)
        yield None
    yield ProjectionImages(k, summed, largest, smallest, slots.size)


def signal_of(images: ProjectionImages) -> Image:
    """Counts that the grain adds to a projection; zero where they are not clearly above the noise.

    What all frames have, the pattern of the detector and its hot pixels, is subtracted as the
    minimum over the frames. The rest is smoothed; its background is the median, its noise the
    median absolute deviation: the grain must fill less than half of the image.
    """
    above = images.summed - images.frames * images.smallest
    smooth = ndimage.gaussian_filter(ndimage.median_filter(above, 3), _SMOOTHING_PIX)
    smooth -= np.float32(np.median(smooth))
    noise = 1.4826 * float(np.median(np.abs(smooth)))
    top = float(np.percentile(smooth, 99.5))
    illuminated = smooth > max(_SIGMAS * noise, _DIM_SHARE * top, 1e-6)
    return np.where(_without_specks(illuminated), smooth, np.float32(0))


def _without_specks(illuminated: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave regions out that are far smaller than the largest, such as hot pixels."""
    labels, count = ndimage.label(illuminated, np.ones((3, 3)))
    if not count:
        return illuminated
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= max(_LEAST_SHARE * sizes.max(), 5))[labels] & illuminated


def share_outside(signals: Sequence[Image], roi: Roi) -> list[float]:
    """Share of the signal of each image that a region leaves out, 0 to 1.

    Parameters
    ----------
    signals, each of shape (rows, cols)
        From `signal_of`.
    roi
        The region.
    """
    shares = []
    for signal in signals:
        total = float(signal.sum(dtype=np.float64))
        inner = signal[roi.row : roi.row + roi.rows, roi.col : roi.col + roi.cols]
        inside = float(inner.sum(dtype=np.float64))
        shares.append(1 - inside / total if total > 0 else 0.0)
    return shares


def suggest_region(signals: Sequence[Image], margin_pix: int) -> Roi:
    """The box that holds the signal of all images, with a margin on every side.

    Parameters
    ----------
    signals, each of shape (rows, cols)
        From `signal_of`, at rotation angles spread over the scan.
    margin_pix
        Pixels to leave on every side for the cornice of step 5; fewer at the detector's edge.

    Returns
    -------
    roi
        The whole frame where nothing is lit.
    """
    illuminated = np.any([signal > 0 for signal in signals], axis=0)
    if not illuminated.any():
        return Roi.whole((illuminated.shape[0], illuminated.shape[1]))
    bounds = []
    for axis, length in ((1, illuminated.shape[0]), (0, illuminated.shape[1])):
        first, last = np.flatnonzero(illuminated.any(axis=axis))[[0, -1]]
        bounds.append((max(int(first) - margin_pix, 0), min(int(last) + margin_pix + 1, length)))
    (top, bottom), (left, right) = bounds
    return Roi(top, left, bottom - top, right - left)


def suggest_framebg(signals: Sequence[Image], roi: Roi, most: int = 20) -> int:
    """The widest cornice, up to `most` pixels, that holds no signal; 0 where there is none.

    Parameters
    ----------
    signals, each of shape (rows, cols)
        Of the whole frame.
    roi
        The region of interest.
    most
        Widest cornice.
    """
    illuminated = np.any([signal > 0 for signal in signals], axis=0)
    inner = illuminated[roi.row : roi.row + roi.rows, roi.col : roi.col + roi.cols]
    if not inner.any():
        return 0
    free = []
    for axis in (0, 1):
        first, last = np.flatnonzero(inner.any(axis=1 - axis))[[0, -1]]
        free += [int(first), inner.shape[axis] - 1 - int(last)]
    # One pixel less than what is free, for light below the threshold of `signal_of`.
    width = min(*free, most + 1, (min(inner.shape) - 1) // 2) - 1
    return width if width >= 2 else 0


NOISE_WIDTHS = 3.0
"""Standard deviations of the noise at which `binth` is put: few pixels of noise pass, and
those that do form no region of the smallest size."""
_SAMPLED = 6


def suggest_cleaning(preview: FramePreview, cleaning: Cleaning) -> Iterator[Cleaning | None]:
    """Suggest `framebg` and `binth` from projections spread over a scan.

    `framebg` is the widest rim, up to 20 pixels, that no projection lights. `binth` is three
    standard deviations of the noise of what step 5 leaves.

    Parameters
    ----------
    preview
        The scan, cropped to its region of interest.
    cleaning
        All other parameters.

    Yields
    ------
    cleaning
        None while there is work to do, and the suggestion at the end.
    """
    scan, binning = preview.scan, preview.scan.binning
    signals = []
    for k in spread_projections(scan, _SAMPLED):
        for images in combine_frames(scan, k):
            if images is not None:
                signals.append(signal_of(images))
            yield None
    framebg = suggest_framebg(signals, Roi.whole(scan.shape[2:]), 20 // max(binning))
    chosen = replace(cleaning, framebg=framebg * max(binning))
    noise = preview.noise(scan.shape[0] // 2, chosen) / binning.pixels
    yield replace(chosen, binth=float(max(math.ceil(NOISE_WIDTHS * noise), 1)))
