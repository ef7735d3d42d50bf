"""Maps of one projection: where, how wide and how skewed each pixel's rocking curves are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.colors import orientation_range, orientation_rgba
from recon3d.compiled import njit
from recon3d.errors import ParameterError, require_kind
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
        The peaks of each pixel.
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
        lit = self.total[self.total > 0]
        return self.total > (0.05 * np.percentile(lit, 99.8) if lit.size else 0)

    def color_range(self) -> tuple[float, tuple[float, float]]:
        """Range and centre of the colours that suit the map, in degrees."""
        self._require_two()
        return orientation_range(*self.mean[self.illuminated][:, :2].T)

    def colors(self) -> FloatArray:
        """The mean of the first two axes in colours, (rows, cols, 4), clear where dark.

        Raises
        ------
        ParameterError
            Only one axis moved.
        """
        range_deg, center_deg = self.color_range()
        first, second = self.mean[..., 0], self.mean[..., 1]
        return orientation_rgba(first, second, self.illuminated, range_deg, center_deg)

    def maps(self) -> dict[str, FloatArray]:
        """All maps of numbers by their names, such as "mean_mu", each of shape (rows, cols)."""
        found = {"total": self.total}
        for name in ("mean", "fwhm", "skewness", "kurtosis", "amplitude"):
            values = getattr(self, name)
            found |= {f"{name}_{axis}": values[..., i] for i, axis in enumerate(self.names)}
        return found | {"peaks": self.peaks.number.astype(float)}

    def _require_two(self) -> None:
        if len(self.names) < 2:
            raise ParameterError(f"only {self.names[0]} moved: mosaicity in colours needs two axes")


def mosaicity(
    projection: Projection, *, background: float = 0.0, peak_share: float = 0.2
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
    require_kind("projection", projection, Projection, "a projection, such as scan[0]")
    if not 0 < peak_share <= 1:
        raise ParameterError(f"peak_share is {peak_share}: expected more than 0 and up to 1")
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
    neighbours = _neighbours(places, sizes)
    total, sums, amplitude, count, peak_setting, peak_share_map = _maps(
        np.ascontiguousarray(frames, np.float32), known, reduced, _powers(reduced), places, sizes,
        neighbours, float(background), float(peak_share),
    )  # fmt: skip
    return _standardised(
        names, total, sums, amplitude, Peaks(count, middle + scale * peak_setting, peak_share_map),
        middle, scale,
    )  # fmt: skip


def _powers(settings: FloatArray) -> FloatArray:
    """First to fourth powers of the settings and their products, (frames, terms)."""
    products = (settings[:, None] * settings).reshape(-1, settings.shape[1])
    return np.concatenate([settings, settings**2, settings**3, settings**4, products]).T.copy()


def _neighbours(places: NDArray[np.int64], sizes: NDArray[np.int64]) -> NDArray[np.int64]:
    """Frames whose settings are at most one step away along each axis, -1 for none, (frames, n)."""
    steps = np.indices((3,) * len(sizes)).reshape(len(sizes), -1) - 1
    steps = steps[:, np.any(steps != 0, axis=0)]
    there = places[:, :, None] + steps[:, None]
    inside = np.all((there >= 0) & (there < sizes[:, None, None]), axis=0)
    order = np.full(tuple(sizes), -1)
    order[tuple(places)] = np.arange(places.shape[1])
    clipped = np.clip(there, 0, sizes[:, None, None] - 1)
    return np.where(inside, order[tuple(clipped)], -1)


def _standardised(
    names: tuple[str, ...],
    total: FloatArray,
    sums: FloatArray,
    amplitude: FloatArray,
    peaks: Peaks,
    middle: FloatArray,
    scale: FloatArray,
) -> Mosaicity:
    """Central moments from the raw ones, in the units of the settings."""
    count = len(names)
    with np.errstate(invalid="ignore", divide="ignore"):
        raw = sums / total[..., None]
        m1, m2, m3, m4 = (raw[..., i * count : (i + 1) * count] for i in range(4))
        covariance = raw[..., 4 * count :].reshape(*total.shape, count, count)
        covariance = covariance - m1[..., :, None] * m1[..., None, :]
        variance = m2 - m1**2
        # A pixel that is lit at one setting only has no width, but rounding.
        variance = np.where(variance > 1e-12, variance, np.nan)
        third = m3 - 3 * m1 * m2 + 2 * m1**3
        fourth = m4 - 4 * m1 * m3 + 6 * m1**2 * m2 - 3 * m1**4
        skewness, kurtosis = third / variance**1.5, fourth / variance**2 - 3
    dark = ~(total > 0)
    amplitude[dark] = np.nan
    return Mosaicity(
        names,
        total,
        middle + scale * m1,
        covariance * scale[:, None] * scale,
        skewness,
        kurtosis,
        amplitude,
        peaks,
    )


@njit(cache=True, parallel=True)
def _maps(
    frames: NDArray[np.float32],
    known: NDArray[np.bool_],
    settings: FloatArray,
    powers: FloatArray,
    places: NDArray[np.int64],
    sizes: NDArray[np.int64],
    neighbours: NDArray[np.int64],
    background: float,
    peak_share: float,
) -> tuple[FloatArray, FloatArray, FloatArray, NDArray[np.int64], FloatArray, FloatArray]:
    """Sums of powers and products of the settings, the highest points of curves, and peaks."""
    length, rows, cols = frames.shape
    axes = len(sizes)
    total = np.zeros((rows, cols))
    sums = np.zeros((rows, cols, powers.shape[1]))
    amplitude = np.zeros((rows, cols, axes))
    count = np.zeros((rows, cols), np.int64)
    peak_setting = np.full((rows, cols, MOST_PEAKS, axes), np.nan)
    share = np.full((rows, cols, MOST_PEAKS), np.nan)
    for row in prange(rows):
        counts = np.zeros((cols, length))
        for frame in range(length):
            if known[frame]:
                for col in range(cols):
                    counts[col, frame] = max(np.float64(frames[frame, row, col]) - background, 0.0)
        sums[row] = counts @ powers
        curves = np.zeros((axes, sizes.max()))
        for col in range(cols):
            curves[:] = 0
            for frame in range(length):
                value = np.float64(counts[col, frame])
                if value == 0:
                    continue
                total[row, col] += value
                for i in range(axes):
                    curves[i, places[i, frame]] += value
            for i in range(axes):
                amplitude[row, col, i] = curves[i].max()
            if total[row, col] > 0:
                count[row, col] = _peaks_of(
                    counts[col], settings, neighbours, peak_share, total[row, col],
                    peak_setting[row, col], share[row, col],
                )  # fmt: skip
    return total, sums, amplitude, count, peak_setting, share


@njit(cache=True)
def _peaks_of(
    counts: FloatArray,
    settings: FloatArray,
    neighbours: NDArray[np.int64],
    peak_share: float,
    total: float,
    setting_out: FloatArray,
    share_out: FloatArray,
) -> int:
    """Find the peaks of one pixel: settings that hold, with those beside them, the most."""
    length, axes = len(counts), len(settings)
    held = np.zeros(length)
    for frame in range(length):
        if counts[frame] > 0:
            held[frame] += counts[frame]
            for other in neighbours[frame]:
                if other >= 0:
                    held[other] += counts[frame]
    limit = peak_share * held.max()
    found = 0
    for frame in range(length):
        if held[frame] < limit or held[frame] == 0:
            continue
        highest = True
        for other in neighbours[frame]:
            # Of equals beside each other the first one counts.
            if other >= 0 and (
                held[other] > held[frame] or (held[other] == held[frame] and other < frame)
            ):
                highest = False
                break
        if not highest:
            continue
        part = held[frame] / total
        place = min(found, MOST_PEAKS)
        while place > 0 and share_out[place - 1] < part:
            if place < MOST_PEAKS:
                share_out[place] = share_out[place - 1]
                setting_out[place] = setting_out[place - 1]
            place -= 1
        if place < MOST_PEAKS:
            share_out[place] = part
            for i in range(axes):
                moment = counts[frame] * settings[i, frame]
                for other in neighbours[frame]:
                    if other >= 0:
                        moment += counts[other] * settings[i, other]
                setting_out[place, i] = moment / held[frame]
        found = min(found + 1, MOST_PEAKS)
    return found
