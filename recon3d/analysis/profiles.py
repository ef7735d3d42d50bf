"""Profiles of a grain along a line, and distributions of its quantities."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import map_coordinates

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain

FloatArray = NDArray[np.float64]
Point = tuple[float, float, float]


class Profile(NamedTuple):
    """What a grain is along a line, of shape (points,) or (points, 2).

    Parameters
    ----------
    distance_um
        From the start.
    orientation_deg, orientation_error_deg
        (a, b) and their errors; NaN outside the grain (errors: where they are not known).
    from_start_deg
        Misorientation from the first known point.
    occupancy, strain
        The same voxels' occupancy and strain (NaN where not scanned).
    """

    distance_um: FloatArray
    orientation_deg: FloatArray
    orientation_error_deg: FloatArray
    from_start_deg: FloatArray
    occupancy: FloatArray
    strain: FloatArray


@checked(points=">= 2, <= 1000000")
def line_profile(
    grain: Grain, start_um: Point, end_um: Point, points: int | None = None
) -> Profile:
    """Read a grain along a line, at the voxels nearest to it: nothing is mixed across boundaries.

    Parameters
    ----------
    grain
        The grain.
    start_um, end_um
        Ends of the line, (x, y, z).
    points
        How many; about two a voxel where None.

    Raises
    ------
    ParameterError
        An end is no place, the two are one, or the line lies outside the volume.

    Examples
    --------
    >>> import recon3d as r3
    >>> profile = r3.analysis.line_profile(r3.Grain.load("grain.h5"), (0, 0, -2), (0, 0, 2))
    >>> round(float(profile.from_start_deg[-1]), 2)
    0.1
    """
    ends = np.array([start_um, end_um], float)
    length = float(np.linalg.norm(ends[1] - ends[0]))
    if length == 0:
        raise ParameterError(f"the line starts and ends at {start_um}: expected two places")
    count = points or max(int(2 * length / min(grain.volume.voxel_um)) + 1, 2)
    share = np.linspace(0, 1, count)
    line = ends[0] + share[:, None] * (ends[1] - ends[0])
    place = grain.volume.places(line).T
    if not np.all((place > -0.5) & (place < np.array(grain.volume.shape)[:, None] - 0.5), 0).any():
        raise ParameterError(
            f"the line from {list(start_um)} to {list(end_um)} lies outside the volume of "
            f"{list(grain.volume.size_um)} µm about {list(grain.volume.position_um)}"
        )

    def read(values: Any) -> FloatArray:
        if values is None:
            return np.full(count, np.nan)
        array = np.asarray(values, float)
        return map_coordinates(array, place, order=0, mode="constant", cval=np.nan)

    error = getattr(grain, "orientation_error", None)
    tilts = np.stack([read(grain.orientation[..., i]) for i in range(2)], axis=-1)
    errors = [read(None if error is None else error[..., i]) for i in range(2)]
    known = np.flatnonzero(np.isfinite(tilts).all(axis=1))
    start = tilts[known[0]] if known.size else np.full(2, np.nan)
    return Profile(
        share * length,
        tilts,
        np.stack(errors, axis=-1),
        np.hypot(*(tilts - start).T),
        read(grain.occupancy),
        read(grain.strain),
    )


class Distribution(NamedTuple):
    """How a quantity is distributed over the voxels of a grain.

    Parameters
    ----------
    edges, shape (bins + 1,)
        Of the bins.
    share, shape (bins,)
        Share of the voxels in each.
    mean, deviation, median
        Of all of them.
    """

    edges: FloatArray
    share: FloatArray
    mean: float
    deviation: float
    median: float


@checked(values="(*)", mask="(*)", bins=">= 1, <= 1000000")
def distribution(values: ArrayLike, mask: NDArray[np.bool_], bins: int = 60) -> Distribution:
    """Distribute values over the voxels of a mask; unknown ones are passed over.

    Parameters
    ----------
    values, shape (nx, ny, nz)
        The quantity.
    mask, shape (nx, ny, nz)
        The voxels that count.
    bins
        How many.

    Raises
    ------
    ParameterError
        No value is known.
    """
    known = np.asarray(values, float)[mask]
    known = known[np.isfinite(known)]
    if not known.size:
        raise ParameterError("no voxel of the mask has a known value to distribute")
    counts, edges = np.histogram(known, bins)
    return Distribution(
        edges, counts / known.size, float(known.mean()), float(known.std()), float(np.median(known))
    )
