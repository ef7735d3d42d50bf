"""Maps of projections: where, how wide and how skewed each pixel's rocking curves are.

Whole scans go into one HDF5 file, one projection in memory at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.analysis import map_kernels
from recon3d.arguments import checked
from recon3d.cleaning.calibration import calibrated
from recon3d.cleaning.normalize import Normalizer, way_for_scan
from recon3d.cleaning.steps import work_on_projection
from recon3d.colors import orientation_range, orientation_rgba
from recon3d.config.cleaning import Cleaning
from recon3d.errors import ParameterError
from recon3d.files.hdf5 import create_own
from recon3d.files.nexus import add_key, as_bytes, call_image, new_group, write_entry, write_process
from recon3d.runtime.compiled import in_parts
from recon3d.runtime.progress import track
from recon3d.scan.scan import Scan
from recon3d.scan.table import Projection, ScanTable

FloatArray = NDArray[np.float64]

FWHM_PER_SIGMA = 2 * np.sqrt(2 * np.log(2))
"""Width at half of the height of a Gaussian, over its standard deviation."""
_SAMPLED = 2000
"""Pixels of each projection that the range of the colours is chosen from."""
_UNITS = {"total": "counts", "amplitude": "counts", "mean": "degree", "fwhm": "degree"}


@checked(frames="(frames, rows, cols)", mu_deg="(frames)", gamma_deg="(frames)")
def projection_moments(
    frames: NDArray[Any], mu_deg: ArrayLike, gamma_deg: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Sum of the frames, and each pixel's centre of mass over their settings.

    Parameters
    ----------
    frames
        Shape (frames, rows, cols): the frames of one projection, zero where nothing is lit.
    mu_deg, gamma_deg
        Shape (frames,): the setting of each frame in degrees; where it is NaN the frame
        is left out.

    Returns
    -------
    total
        Shape (rows, cols): the sum over the frames, in their counts.
    mean_mu, mean_gamma
        Shape (rows, cols), degrees: the intensity-weighted mean setting, to some 1e-7 of the
        range of settings; NaN where the total is not positive.

    Raises
    ------
    ParameterError
        There is not one setting for each frame.
    """
    mu = np.asarray(mu_deg, np.float64)
    gamma = np.asarray(gamma_deg, np.float64)
    known = np.flatnonzero(np.isfinite(mu) & np.isfinite(gamma))
    if not known.size:
        dark = np.full(frames.shape[1:], np.nan)
        return np.zeros(frames.shape[1:]), dark, dark.copy()
    middle = mu[known].mean(), gamma[known].mean()
    # Single precision is enough where settings count from their middle; weights set it.
    weights = np.stack([np.ones(known.size), mu[known] - middle[0], gamma[known] - middle[1]])
    single = np.can_cast(frames.dtype, np.float32) or frames.dtype.itemsize <= 4
    weights = weights.astype(np.float32 if single else np.float64)
    found = np.empty((3, *frames.shape[1:]))
    given = np.ascontiguousarray(frames), known, weights, *middle
    in_parts(map_kernels.means, frames.shape[1], *given, *found)
    return found[0], found[1], found[2]


def illuminated(total: NDArray[Any], share: float = 0.05) -> NDArray[np.bool_]:
    """Pixels above a share of the bright ones, (rows, cols): what is worth a colour.

    Bright are the counts that 99.8 % of the lit pixels stay below.
    """
    lit = total[total > 0]
    return total > (share * np.percentile(lit, 99.8) if lit.size else 0)


class Peaks(NamedTuple):
    """The peaks of every pixel, the strongest first.

    Parameters
    ----------
    number, shape (rows, cols)
        How many there are, up to four.
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
    projection: Projection, *, background: float = 0.0, peak_share: float = 0.2, peaks: bool = True
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
    found = _room_for_maps(frames.shape[1:], len(sizes), peaks)
    in_parts(
        map_kernels.maps, frames.shape[1],
        np.ascontiguousarray(frames), np.flatnonzero(known), settings, middle, scale,
        _powers(reduced), _powers(_settings_of_places(reduced, own, sizes)),
        reduced[first] * reduced[second], own, sizes, _neighbours(places, sizes, known),
        float(background), float(peak_share), peaks, *found,
    )  # fmt: skip
    total, (mean, skewness, kurtosis), covariance, amplitude, *of_peaks = found
    return Mosaicity(
        names, total, mean, covariance, skewness, kurtosis, amplitude, Peaks(*of_peaks)
    )


def _room_for_maps(image: tuple[int, ...], axes: int, peaks: bool) -> list[NDArray[Any]]:
    """Arrays for `map_kernels.maps` to fill: without a peak the last three stay as they are."""
    most = map_kernels.MOST_PEAKS if peaks else 0
    return [
        np.empty(image),
        np.empty((3, *image, axes)),
        np.empty((*image, axes, axes)),
        np.empty((*image, axes)),
        np.zeros(image, np.int64),
        np.full((*image, most, axes), np.nan),
        np.full((*image, most), np.nan),
    ]


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


def cleaned_projections(
    scan: Scan, cleaning: Cleaning, images: Mapping[str, Any] | None = None
) -> Iterator[Projection]:
    """Clean the projections of a raw scan one by one; `images` as in `recon3d.clean`."""
    scan, calibration, _ = calibrated(scan, **(images or {}))
    own = cleaning.for_bins(*scan.binning)
    normalizer = Normalizer(way_for_scan(scan, cleaning.normalize))
    for k, raw in enumerate(scan):
        currents = scan.motors.ring_current_ma[k]
        done = work_on_projection(raw.frames, scan.valid[k], currents, own, calibration, normalizer)
        yield replace(raw, frames=done.frames)


def write_maps(
    table: ScanTable,
    projections: Iterable[Projection],
    path: str | Path,
    *,
    background: float = 0.0,
    parameters: Mapping[str, Any] | None = None,
) -> Path:
    """Work out the maps of every projection and write them as NeXus.

    `projections`: all of them in order: the scan itself, or `cleaned_projections` of it.
    `parameters`: how the frames were made, for the file. Its NXdata are (ω, row, column): each map
    of `Mosaicity.maps`, the peaks, and, where two axes moved, the mean in colours with their key.
    """
    path, count = Path(path), len(table)
    bar = track(projections, "maps", unit="projection", total=count)
    with create_own(path) as file:
        entry: h5py.Group | None = None
        seen = []
        for k, projection in enumerate(bar):
            found = mosaicity(projection, background=background)
            if entry is None:
                colored = len(found.names) > 1
                title = f"maps of {count} projections"
                entry = write_entry(file, title, "mosaicity" if colored else "total")
                _lay_out(entry, table, found)
            _write(entry, k, found)
            if colored:
                lit = found.mean[found.illuminated][:, :2]
                seen.append(lit[:: max(len(lit) // _SAMPLED, 1)])
        if entry is not None:
            if colored:
                _write_colors(entry, found.names[:2], np.concatenate(seen))
            said = {**(parameters or {}), "background": background}
            write_process(entry, said)
    return path


def _lay_out(entry: h5py.Group, table: ScanTable, found: Mosaicity) -> None:
    """Make every dataset, and the axes that they share."""
    rows, cols = found.total.shape
    axes = entry.create_group("axes")
    axes.attrs["NX_class"] = "NXcollection"
    for name, values, unit in (
        ("omega", table.omega_deg, "degree"),
        ("row", np.arange(rows), "pixel"),
        ("column", np.arange(cols), "pixel"),
    ):
        axes[name] = values
        axes[name].attrs["units"], axes[name].attrs["long_name"] = unit, f"{name} ({unit})"
    for name in found.maps():
        data = _new_map(entry, name, (len(table), rows, cols))
        kind, _, axis = name.partition("_")
        unit = "keV" if axis == "energy" and kind in ("mean", "fwhm") else _UNITS.get(kind, "")
        data[name].attrs["units"] = unit
        data[name].attrs["long_name"] = f"{name.replace('_', ' of ')} ({unit})" if unit else name
    places, share = found.peaks.setting.shape[2:], found.peaks.share.shape[2:]
    _new_map(entry, "peak_settings", (len(table), rows, cols, *places))
    _new_map(entry, "peak_shares", (len(table), rows, cols, *share))
    entry["peak_settings"].attrs["last_axis"] = list(found.names)


def _new_map(entry: h5py.Group, name: str, shape: tuple[int, ...], dtype: Any = np.float32) -> Any:
    """Make an NXdata of one map, to be written one projection at a time."""
    data = new_group(entry, name, "NXdata", signal=name)
    more = len(shape) - 3
    data.attrs["axes"] = ["omega", "row", "column"] + ["."] * more
    slices = [str(shape[0] // 2), ".", "."] + ["."] * more
    data.attrs["default_slice"] = slices if dtype == np.uint8 else slices[:3] + ["0"] * more
    packed = {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    stored = data.create_dataset(name, shape, dtype, chunks=(1, *shape[1:]), **packed)
    stored.attrs["interpretation"] = "image"
    for axis in ("omega", "row", "column"):
        data[axis] = entry["axes"][axis]
    return data


def _write(entry: h5py.Group, k: int, found: Mosaicity) -> None:
    for name, values in found.maps().items():
        entry[name][name][k] = values
    entry["peak_settings/peak_settings"][k] = found.peaks.setting
    entry["peak_shares/peak_shares"][k] = found.peaks.share


def _write_colors(entry: h5py.Group, names: tuple[str, ...], seen: NDArray[np.float64]) -> None:
    """Write the means in colours of one key for all projections."""
    range_deg, center_deg = orientation_range(*seen.T)
    first, second = (entry[f"mean_{name}/mean_{name}"] for name in names)
    data = _new_map(entry, "mosaicity", (*first.shape, 4), np.uint8)
    for k, total in enumerate(entry["total/total"]):
        lit = illuminated(total)
        rgba = orientation_rgba(first[k], second[k], lit, range_deg, center_deg)
        data["mosaicity"][k] = as_bytes(rgba)
    data["title"] = f"mean ({', '.join(names)}) in colours; their key is mosaicity_key"
    call_image(data["mosaicity"], data["title"].asstr()[()])
    add_key(entry, range_deg, center_deg, names)
