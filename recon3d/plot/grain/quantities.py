"""What a grain can show of each voxel: names, units and colours."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from matplotlib import colormaps
from numpy.typing import NDArray

from recon3d.analysis.misorientation import kernel_average_misorientation
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain


class Quantity(NamedTuple):
    """How a quantity is named and coloured."""

    label: str
    colors: str
    factor: float
    array: str  # of a grain
    signed: bool = False
    everywhere: bool = False
    top: float | None = None  # the end of its scale; what suits the values where None


QUANTITIES: dict[str, Quantity] = {
    "a": Quantity("a (mdeg)", "PuOr", 1e3, "orientation", signed=True),
    "b": Quantity("b (mdeg)", "PuOr", 1e3, "orientation", signed=True),
    "spread": Quantity("spread (mdeg)", "cividis", 1e3, "orientation_spread"),
    "completeness": Quantity(
        "completeness", "viridis", 1, "completeness", everywhere=True, top=1.0
    ),
    "occupancy": Quantity("occupancy", "viridis", 1, "occupancy", everywhere=True, top=1.25),
    "strain": Quantity("strain (10⁻⁶)", "RdBu_r", 1e6, "strain", signed=True),
    "error": Quantity("error of the orientation (mdeg)", "inferno", 1e3, "orientation_error"),
    "strain error": Quantity("error of the strain (10⁻⁶)", "inferno", 1e6, "strain_error"),
    "quality": Quantity("share of frames seen", "viridis", 1, "quality", top=1.0),
    "second orientation": Quantity(
        "share at a second orientation", "cividis", 1, "second_share", top=1.0
    ),
    "misorientation": Quantity("neighbour misorientation (mdeg)", "inferno", 1e3, "orientation"),
}
"""Scalars by their names. The colour maps are safe for the colour-blind."""


def quantities_of(grain: Grain) -> list[str]:
    """Names of the scalars that a grain has."""
    return [name for name, look in QUANTITIES.items() if getattr(grain, look.array) is not None]


def values_of(grain: Grain, name: str) -> Any:
    """Values of a scalar over the volume, in the unit of its label, lazily where the grain is."""
    if name not in quantities_of(grain):
        raise ParameterError(f"'{name}': the grain has {', '.join(quantities_of(grain))}")
    factor = np.float32(QUANTITIES[name].factor)
    array: Any = getattr(grain, QUANTITIES[name].array)
    if name in ("a", "b"):
        return array[..., "ab".index(name)] * factor
    if name == "error":
        return np.hypot(array[..., 0], array[..., 1]) * factor
    if name == "misorientation":
        return _neighbours(array) * factor
    return array if factor == 1 else array * factor


def limits_of(grain: Grain, name: str) -> tuple[float, float]:
    """Ends of the colour scale that suit a grain: symmetric where values have a sign."""
    look = QUANTITIES[name]
    if look.top is not None:
        return 0.0, look.top
    values = np.asarray(values_of(grain, name))[np.asarray(grain.mask)]
    known = values[np.isfinite(values)]
    high = (float(np.percentile(np.abs(known), 99)) if known.size else 0.0) or 1.0
    return (-high if look.signed else 0.0), high


def scalar_colors(name: str, values: NDArray[Any], limits: tuple[float, float]) -> NDArray[Any]:
    """Colours of values, (..., 3), grey where they are unknown."""
    low, high = limits
    rgb = colormaps[QUANTITIES[name].colors]((values - low) / (high - low))[..., :3]
    return np.where(np.isfinite(values)[..., None], rgb, 0.6)


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
