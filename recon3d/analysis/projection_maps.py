"""Maps of one projection: where, how wide and how skewed each pixel's rocking curves are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.analysis.moments import accumulate, illuminated, read_row
from recon3d.arguments import checked
from recon3d.colors import orientation_range, orientation_rgba
from recon3d.errors import ParameterError
from recon3d.runtime.compiled import njit
from recon3d.scan.table import Projection

FloatArray = NDArray[np.float64]

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
"""Width at half of the height of a Gaussian, over its standard deviation."""
MOST_PEAKS = 4
"""Peaks of a pixel that are kept, the strongest first."""


class Peaks(NamedTuple):
    """The peaks of every pixel, the strongest first.

    Parameters
    ----------
    number, shape (rows, cols)
        How many there are, up to `MOST_PEAKS`.
    setting, shape (rows, cols, peaks, axes)
        Where they are, NaN where there are fewer.
    share, shape (rows, cols, peaks)
        Their counts (those of the settings beside the highest one too), over the pixel's total.
    """

    number: NDArray[np.int64]
    setting: FloatArray
    share: FloatArray


@dataclass(frozen=True, eq=False)
class Mosaicity:
    """Maps of one projection; `axes` stands for its moving axes, such as ("mu", "gamma").

    Moments are over all frames of a pixel, weighted by their counts; NaN where the pixel is dark.

    Parameters
    ----------
    names
        The axes, in the order of the last axis of the maps.
    total, shape (rows, cols)
        Sum over the frames, in counts.
    mean, shape (rows, cols, axes)
        Mean setting in degrees (keV for "energy"): μ from the middle of the base tilt's range,
        γ from (phi0, chi0).
    covariance, shape (rows, cols, axes, axes)
        Of the settings, about their mean.
    skewness, kurtosis, shape (rows, cols, axes)
        Third and fourth standardised moment; the kurtosis of a Gaussian is 0.
    amplitude, shape (rows, cols, axes)
        The highest point of the curve along an axis (summed over the other ones), in counts.
    peaks
        The peaks of each pixel; arrays of no peaks where they were not asked for.
    """

    names: tuple[str, ...]
    total: FloatArray
    mean: FloatArray
    covariance: FloatArray
    skewness: FloatArray
    kurtosis: FloatArray
    amplitude: FloatArray
    peaks: Peaks

    @property
    def fwhm(self) -> FloatArray:
        """Full width at half maximum of a Gaussian of the same variance, (rows, cols, axes)."""
        variance = np.diagonal(self.covariance, axis1=-2, axis2=-1)
        return FWHM_PER_SIGMA * np.sqrt(np.maximum(variance, 0))

    @property
    def illuminated(self) -> NDArray[np.bool_]:
        """Pixels above 5 % of the bright ones, (rows, cols): what is worth a colour."""
        return illuminated(self.total)

    def colors(self) -> FloatArray:
        """The mean of the first two axes in colours, (rows, cols, 4), clear where dark.

        A ParameterError says that only one axis moved.
        """
        if len(self.names) < 2:
            raise ParameterError(f"only {self.names[0]} moved: mosaicity in colours needs two axes")
        first, second = self.mean[..., 0], self.mean[..., 1]
        lit = self.illuminated
        return orientation_rgba(first, second, lit, *orientation_range(first[lit], second[lit]))

    def maps(self) -> dict[str, FloatArray]:
        """All maps of numbers by their names, such as "mean_mu", each of shape (rows, cols)."""
        found = {"total": self.total}
        for name in ("mean", "fwhm", "skewness", "kurtosis", "amplitude"):
            values = getattr(self, name)
            found |= {f"{name}_{axis}": values[..., i] for i, axis in enumerate(self.names)}
        if self.peaks.share.size:
            found["peaks"] = self.peaks.number.astype(float)
        return found


@checked(peak_share="> 0, <= 1")
def mosaicity(
    projection: Projection,
    *,
    background: float = 0.0,
    peak_share: float = 0.2,
    peaks: bool = True,
) -> Mosaicity:
    """Work out the maps of one projection, in one pass over its frames.

    Parameters
    ----------
    projection
        Its frames, raw or cleaned: `scan[k]`.
    background
        Counts that are taken off every pixel of every frame first (and then those below zero
        are zero): raw frames need it, as moments count all that is there.
    peak_share
        A peak is a setting that holds, with those beside it, more than any next to it, and this
        share of the pixel's highest peak.
    peaks
        False to leave the peaks out, which take most of the time.

    Raises
    ------
    ParameterError
        No axis moved, the frames do not fit the axes, or a number is out of its range.

    Examples
    --------
    >>> import recon3d as r3
    >>> maps = r3.analysis.mosaicity(r3.open_store("scan.h5")[0])
    >>> maps.mean.shape
    (32, 32, 2)
    """
    shape = tuple(axis.values_deg.size for axis in projection.axes)
    frames = projection.frames
    if frames.ndim != 3 or len(frames) != np.prod(shape):
        raise ParameterError(f"frames of shape {frames.shape}: the axes have {shape} settings")
    moving = [i for i, size in enumerate(shape) if size > 1]
    if not moving:
        raise ParameterError("no axis moved in the projection: there is no curve to analyse")
    names = tuple(projection.axes[i].name for i in moving)
    places = np.indices(shape).reshape(len(shape), -1)[moving]
    # The motors say where μ and γ were; what else moved is taken from the grid.
    motors = {"mu": projection.mu_deg, "gamma": projection.gamma_deg}
    settings = np.array(
        [
            motors.get(name, projection.axes[i].values_deg[place])
            for name, i, place in zip(names, moving, places, strict=True)
        ]
    )
    settings[:, ~np.isfinite(projection.mu_deg)] = np.nan
    known = np.isfinite(settings).all(axis=0)
    middle = np.nanmean(settings, axis=1)
    # Numbers near 1 about their middle: fourth powers stay exact.
    scale = np.maximum(np.nanmax(np.abs(settings - middle[:, None]), axis=1), 1e-12)
    reduced = np.where(known, (settings - middle[:, None]) / scale[:, None], 0.0)
    sizes = np.array([shape[i] for i in moving])
    # In one layout, since the loops would be compiled for each.
    reduced, settings, own = (
        np.ascontiguousarray(values[:, known]) for values in (reduced, settings, places)
    )
    first, second = np.triu_indices(len(sizes), 1)
    if frames.dtype != np.uint16:  # the loops are compiled for raw and for cleaned frames
        frames = frames.astype(np.float32, copy=False)
    total, moments, covariance, amplitude, count, peak_setting, share = _maps(
        np.ascontiguousarray(frames), np.flatnonzero(known), settings, middle, scale,
        _powers(reduced), _powers(_settings_of_places(reduced, own, sizes)),
        reduced[first] * reduced[second], own, sizes, _neighbours(places, sizes, known),
        float(background), float(peak_share), peaks,
    )  # fmt: skip
    mean, skewness, kurtosis = moments
    found = Peaks(count, peak_setting, share)
    return Mosaicity(names, total, mean, covariance, skewness, kurtosis, amplitude, found)


def _powers(settings: FloatArray) -> FloatArray:
    """Powers 0 to 4 of settings, (axes, 5, settings), of those of each axis (axes, settings)."""
    return settings[:, None] ** np.arange(5)[:, None]


def _settings_of_places(
    settings: FloatArray, places: NDArray[np.int64], sizes: NDArray[np.int64]
) -> FloatArray:
    """Setting of each place along each axis, (axes, places); all NaN where it varies at a place."""
    found = np.zeros((len(sizes), max(sizes)))
    for line, of_frame, place in zip(found, settings, places, strict=True):
        line[place] = of_frame
        if np.any(line[place] != of_frame):
            line[:] = np.nan
    return found


def _neighbours(
    places: NDArray[np.int64], sizes: NDArray[np.int64], known: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Known frames at most one step away along each axis, -1 for none, (known frames, n)."""
    steps = np.indices((3,) * len(sizes)).reshape(len(sizes), -1) - 1
    steps = steps[:, np.any(steps != 0, axis=0)]
    there = places[:, known][:, :, None] + steps[:, None]
    inside = np.all((there >= 0) & (there < sizes[:, None, None]), axis=0)
    order = np.full(tuple(sizes), -1)
    order[tuple(places[:, known])] = np.arange(known.sum())
    clipped = np.clip(there, 0, sizes[:, None, None] - 1)
    return np.where(inside, order[tuple(clipped)], -1)


@njit(cache=True, parallel=True)
def _maps(
    frames: NDArray[Any],
    known: NDArray[np.int64],
    settings: FloatArray,
    middle: FloatArray,
    scale: FloatArray,
    powers: FloatArray,
    powers_of_places: FloatArray,
    products: FloatArray,
    places: NDArray[np.int64],
    sizes: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    background: float,
    peak_share: float,
    peaks: bool,
) -> tuple[
    FloatArray, FloatArray, FloatArray, FloatArray, NDArray[np.int64], FloatArray, FloatArray
]:
    """Total, (mean, skewness, kurtosis), covariance, the highest points of curves, and peaks."""
    _, rows, cols = frames.shape
    axes = len(sizes)
    total = np.empty((rows, cols))
    moments = np.empty((3, rows, cols, axes))
    covariance = np.empty((rows, cols, axes, axes))
    amplitude = np.empty((rows, cols, axes))
    count = np.zeros((rows, cols), np.int64)
    most = MOST_PEAKS if peaks else 0
    peak_setting = np.full((rows, cols, most, axes), np.nan)
    share = np.full((rows, cols, most), np.nan)
    for row in prange(rows):
        counts = np.empty((len(known), cols))
        read_row(frames, known, row, background, counts)
        mixed = np.zeros((len(products), cols))
        accumulate(counts, products, mixed)
        sums = np.zeros((axes, 5, cols))
        for axis in range(axes):
            curve = _curve(counts, places[axis], sizes[axis])
            # Where all frames of a place share one setting the curve tells what its frames do.
            if np.isnan(powers_of_places[axis, 1, 0]):
                accumulate(counts, powers[axis], sums[axis])
            else:
                accumulate(curve, powers_of_places[axis], sums[axis])
            _highest(curve, sums[axis, 0], amplitude[row, :, axis])
        for col in range(cols):  # an assignment of arrays takes 4 s to compile
            total[row, col] = sums[0, 0, col]
        _standardise(sums, mixed, middle, scale, moments[:, row], covariance[row])
        if peaks:
            _peaks_of_row(
                counts, settings, neighbours, peak_share, total[row], count[row], peak_setting[row],
                share[row],
            )  # fmt: skip
    return total, moments, covariance, amplitude, count, peak_setting, share


@njit(cache=True)
def _standardise(
    sums: FloatArray,
    mixed: FloatArray,
    middle: FloatArray,
    scale: FloatArray,
    moments: FloatArray,
    covariance: FloatArray,
) -> None:
    """Mean, skewness, kurtosis (3, cols, axes) and covariance from sums over the frames.

    `sums`, (axes, 5, cols): of the powers of an axis; `mixed`, (pairs, cols): of its products with
    the axes after it.
    """
    axes = moments.shape[2]
    for col in range(sums.shape[2]):
        share = 1 / sums[0, 0, col] if sums[0, 0, col] > 0 else np.nan
        for axis in range(axes):
            m1, m2, m3, m4 = (
                sums[axis, 1, col] * share,
                sums[axis, 2, col] * share,
                sums[axis, 3, col] * share,
                sums[axis, 4, col] * share,
            )
            variance = m2 - m1 * m1
            covariance[col, axis, axis] = variance * scale[axis] ** 2
            # A pixel that is lit at one setting only has no width, but rounding.
            narrow = 1 / variance if variance > 1e-12 else np.nan
            third = m3 - 3 * m1 * m2 + 2 * m1**3
            fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
            moments[0, col, axis] = middle[axis] + scale[axis] * m1
            moments[1, col, axis] = third * narrow * np.sqrt(narrow)
            moments[2, col, axis] = fourth * narrow**2 - 3
        pair = 0
        for axis in range(axes):
            for other in range(axis + 1, axes):
                product = mixed[pair, col] * share
                product -= sums[axis, 1, col] * sums[other, 1, col] * share**2
                product *= scale[axis] * scale[other]
                covariance[col, axis, other] = covariance[col, other, axis] = product
                pair += 1


@njit(cache=True)
def _curve(counts: FloatArray, places: NDArray[np.int64], size: int) -> FloatArray:
    """The curve of each pixel along an axis, (size, cols), summed over the other axes."""
    curve = np.zeros((size, counts.shape[1]))
    for frame in range(len(counts)):
        line, more = curve[places[frame]], counts[frame]
        for col in range(len(line)):
            line[col] += more[col]
    return curve


@njit(cache=True)
def _highest(curve: FloatArray, total: FloatArray, highest: FloatArray) -> None:
    """The highest point of the curve of each pixel; NaN where it is dark."""
    top = curve[0].copy()
    for place in range(1, len(curve)):
        for col in range(len(top)):
            top[col] = max(top[col], curve[place, col])
    for col in range(len(top)):
        highest[col] = top[col] if total[col] > 0 else np.nan


@njit(cache=True)
def _peaks_of_row(
    counts: FloatArray,
    settings: FloatArray,
    neighbours: NDArray[np.int64],
    peak_share: float,
    total: FloatArray,
    number: NDArray[np.int64],
    setting_out: FloatArray,
    share_out: FloatArray,
) -> None:
    """Find the peaks of a row's pixels: settings that hold, with those beside them, the most."""
    cols = counts.shape[1]
    held, limit = counts.copy(), np.zeros(cols)
    for frame in range(len(counts)):
        line = held[frame]
        for other in neighbours[frame]:
            if other >= 0:
                more = counts[other]
                for col in range(cols):
                    line[col] += more[col]
        for col in range(cols):
            limit[col] = max(limit[col], peak_share * line[col])
    for col in range(cols):
        limit[col] = max(limit[col], 5e-324)  # what is dark has no peak
    before, after = np.empty(cols), np.empty(cols)
    strongest = np.full((MOST_PEAKS, cols), -1)
    for frame in range(len(counts)):
        # Of equals beside each other the first one counts.
        for col in range(cols):
            before[col], after[col] = -1, limit[col]
        for other in neighbours[frame]:
            if other >= 0:
                highest, near = before if other < frame else after, held[other]
                for col in range(cols):
                    highest[col] = max(highest[col], near[col])
        line = held[frame]
        for col in range(cols):
            if line[col] > before[col] and line[col] >= after[col]:
                number[col] = min(number[col] + 1, MOST_PEAKS)
                _rank(frame, held, strongest, col)
    for col in range(cols):
        for place in range(number[col]):
            frame = strongest[place, col]
            share_out[col, place] = held[frame, col] / total[col]
            for axis in range(len(settings)):
                moment = counts[frame, col] * settings[axis, frame]
                for other in neighbours[frame]:
                    if other >= 0:
                        moment += counts[other, col] * settings[axis, other]
                setting_out[col, place, axis] = moment / held[frame, col]


@njit(cache=True)
def _rank(frame: int, held: FloatArray, strongest: NDArray[np.int64], col: int) -> None:
    """Put a peak among the strongest of its pixel, (peaks, cols), -1 where there are fewer."""
    place = MOST_PEAKS
    while place > 0:
        other = strongest[place - 1, col]
        if other >= 0 and held[other, col] >= held[frame, col]:
            break
        place -= 1
        if place < MOST_PEAKS - 1:
            strongest[place + 1, col] = other
    if place < MOST_PEAKS:
        strongest[place, col] = frame
