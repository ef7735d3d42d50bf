"""What a grain can show of each voxel: names, units and colours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from recon3d.analysis.misorientation import kernel_average_misorientation
from recon3d.analysis.surface import Surface
from recon3d.colors import Center, orientation_colors
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain


class Quantity(NamedTuple):
    """How a quantity is named and coloured."""

    label: str
    colors: str
    factor: float
    signed: bool = False
    everywhere: bool = False
    top: float | None = None  # the end of its scale; what suits the values where None


QUANTITIES = {
    "a": Quantity("a (mdeg)", "PuOr", 1e3, signed=True),
    "b": Quantity("b (mdeg)", "PuOr", 1e3, signed=True),
    "spread": Quantity("spread (mdeg)", "cividis", 1e3),
    "completeness": Quantity("completeness", "viridis", 1, everywhere=True, top=1.0),
    "occupancy": Quantity("occupancy", "viridis", 1, everywhere=True, top=1.25),
    "strain": Quantity("strain (10⁻⁶)", "RdBu_r", 1e6, signed=True),
    "error": Quantity("error of the orientation (mdeg)", "inferno", 1e3),
    "strain error": Quantity("error of the strain (10⁻⁶)", "inferno", 1e6),
    "quality": Quantity("share of frames seen", "viridis", 1, top=1.0),
    "second orientation": Quantity("share at a second orientation", "cividis", 1, top=1.0),
    "misorientation": Quantity("neighbour misorientation (mdeg)", "inferno", 1e3),
}
"""Scalars by their names. The colour maps are safe for the colour-blind."""

ARRAYS = {
    "spread": "orientation_spread",
    "error": "orientation_error",
    "strain error": "strain_error",
    "second orientation": "second_share",
    "a": "orientation",
    "b": "orientation",
    "misorientation": "orientation",
}
"""The array of a grain that a scalar is from, where it has another name."""


def quantities_of(grain: Grain) -> list[str]:
    """Names of the scalars that a grain has."""
    return [name for name in QUANTITIES if getattr(grain, ARRAYS.get(name, name)) is not None]


def values_of(grain: Grain, name: str) -> Any:
    """Values of a scalar over the volume, in the unit of its label, lazily where the grain is."""
    if name not in quantities_of(grain):
        raise ParameterError(f"'{name}': the grain has {', '.join(quantities_of(grain))}")
    factor = np.float32(QUANTITIES[name].factor)
    array: Any = getattr(grain, ARRAYS.get(name, name))
    if name in ("a", "b"):
        return array[..., "ab".index(name)] * factor
    if name == "error":
        return np.hypot(array[..., 0], array[..., 1]) * factor
    if name == "misorientation":
        return _neighbours(array) * factor
    return array if factor == 1 else array * factor


def limits_of(name: str, values: NDArray[Any]) -> tuple[float, float]:
    """Ends of the colour scale that suit values: symmetric where they have a sign."""
    look = QUANTITIES[name]
    if look.top is not None:
        return 0.0, look.top
    known = values[np.isfinite(values)]
    high = float(np.percentile(np.abs(known), 99)) if known.size else 1.0
    high = high if high > 0 else 1.0
    return (-high if look.signed else 0.0), high


def scalar_colors(name: str, values: NDArray[Any], limits: tuple[float, float]) -> NDArray[Any]:
    """Colours of values, (..., 3), grey where they are unknown."""
    low, high = limits
    rgb = colormaps[QUANTITIES[name].colors]((values - low) / (high - low))[..., :3]
    return np.where(np.isfinite(values)[..., None], rgb, 0.6)


def surface_colors(
    grain: Grain,
    surface: Surface,
    what: str,
    range_deg: float,
    center_deg: Center,
    limits: tuple[float, float],
) -> NDArray[np.float64]:
    """Colours of a surface's corners by the voxels nearest to them, (vertices, 4)."""
    place = tuple(surface.voxels.T)
    if what == "orientation":
        a, b = grain.orientation[place].T
        rgb = orientation_colors(a, b, range_deg, center_deg)
    else:
        rgb = scalar_colors(what, values_of(grain, what)[place], limits)
    return np.concatenate([rgb, np.ones((len(rgb), 1))], axis=1)


def _neighbours(orientation: Any) -> Any:
    """Neighbour misorientation; chunk by chunk, each with a rim of one voxel, where on disk."""
    if isinstance(orientation, np.ndarray):
        return kernel_average_misorientation(orientation)
    import dask.array

    return dask.array.map_overlap(
        kernel_average_misorientation,
        orientation.rechunk({3: -1}),
        depth={0: 1, 1: 1, 2: 1, 3: 0},
        boundary=np.nan,
        drop_axis=3,
        dtype=np.float32,
        meta=np.empty((0, 0, 0), np.float32),
    )
