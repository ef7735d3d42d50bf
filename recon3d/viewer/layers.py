"""The data of napari's layers, made from a grain by plain functions, without napari."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.analysis.misorientation import kernel_average_misorientation
from recon3d.analysis.surface import Surface, coarsened, step_for
from recon3d.colors import Center, orientation_colors
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import (
    QUANTITIES,
    values_of,
)

LayerData = tuple[Any, dict[str, Any], str]
"""Data, options and kind of a layer, as napari's readers return them."""
AXIS_LABELS = ("x", "y ∥ G", "z")
_TABLE = 1025


def placement(volume: Volume) -> dict[str, Any]:
    """Options that put a layer of voxels where it lies in the sample, in µm."""
    return {
        "scale": volume.voxel_um,
        "translate": volume.centre_um((0, 0, 0)),
        "units": ("um",) * 3,
        "axis_labels": AXIS_LABELS,
    }


def orientation_volume(
    orientation: Any, mask: Any, range_deg: float, center_deg: Center
) -> NDArray[np.uint8]:
    """True colours of every voxel, (nx, ny, nz, 4), clear outside the mask."""
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    shown = mask & np.isfinite(orientation).all(axis=-1)
    rgba[shown, :3] = _bytes_of(orientation[shown], range_deg, center_deg)
    rgba[shown, 3] = 255
    return rgba


def _bytes_of(
    tilts: NDArray[np.float32], range_deg: float, center_deg: Center
) -> NDArray[np.uint8]:
    """Colours of many tilts (n, 2), looked up in a table finer than what eight bits can show."""
    line = np.linspace(-range_deg, range_deg, _TABLE)
    table = orientation_colors(line[:, None], line, range_deg)
    table_bytes = np.round(255 * table).astype(np.uint8)
    offset = tilts - np.asarray(center_deg, np.float32)
    distance = np.hypot(offset[:, 0], offset[:, 1])
    # Beyond the range the colour is that of the rim in the same direction.
    offset *= (range_deg / np.maximum(distance, np.float32(range_deg)))[:, None]
    place = np.round((offset / np.float32(range_deg) + 1) * ((_TABLE - 1) / 2)).astype(np.int32)
    return table_bytes[place[:, 0], place[:, 1]]


def orientation_image(grain: Grain, mask: Any, range_deg: float, center_deg: Center) -> Any:
    """As `orientation_volume`, computed where it is looked at where the grain is on disk."""
    if isinstance(grain.orientation, np.ndarray):
        return orientation_volume(grain.orientation, mask, range_deg, center_deg)
    import dask.array

    orientation = grain.orientation.rechunk({3: -1})
    return dask.array.map_blocks(
        lambda part, inside: orientation_volume(part, inside[..., 0], range_deg, center_deg),
        orientation,
        mask.rechunk(orientation.chunks[:3])[..., None],
        chunks=(*orientation.chunks[:3], (4,)),
        dtype=np.uint8,
        meta=np.empty((0, 0, 0, 0), np.uint8),
    )


def orientation_layer(levels: Any, volume: Volume, *, visible: bool = True) -> LayerData:
    """The volume in true orientation colours."""
    options = placement(volume) | {
        "name": "orientation",
        "rgb": True,
        "rendering": "translucent",
        "interpolation3d": "nearest",
        "blending": "translucent",
        "visible": visible,
    }
    return levels, options, "image"


def scalar_values(grain: Grain, mask: Any, name: str) -> Any:
    """Values of a quantity, NaN outside a mask where it belongs to the grain only."""
    values = values_of(grain, name)
    if QUANTITIES[name].everywhere:
        return values
    return np.where(mask, values, np.float32(np.nan))


def sample_of(grain: Grain, name: str, largest: int = 64**3) -> NDArray[np.float32]:
    """Values of a quantity at as many voxels as a colour scale needs, all up to `largest`."""
    if QUANTITIES[name].everywhere:
        # Its scale is fixed, and it may not have been read yet.
        return np.empty(0, np.float32)
    step = step_for(grain.volume, largest)
    if name != "misorientation":
        few = coarsened(grain, step)
        return np.asarray(scalar_values(few, np.asarray(few.mask), name))
    if step == 1:
        return np.asarray(values_of(grain, name))
    # Neighbours have to stay neighbours: whole planes, each with those beside it.
    planes = range(1, len(grain.orientation) - 1, 3 * step)
    slabs = [grain.orientation[plane - 1 : plane + 2] for plane in planes]
    angles = [kernel_average_misorientation(slab)[1] for slab in slabs]
    return np.float32(QUANTITIES[name].factor) * np.stack(angles)


def scalar_layer(levels: Any, volume: Volume, name: str, limits: tuple[float, float]) -> LayerData:
    """A layer of one quantity, hidden until it is chosen."""
    options = placement(volume) | {
        "name": QUANTITIES[name].label,
        "colormap": QUANTITIES[name].colors,
        "contrast_limits": limits,
        "rgb": False,
        "rendering": "mip",
        "interpolation3d": "nearest",
        "visible": False,
    }
    return levels, options, "image"


def surface_layer(surface: Surface, colors: NDArray[Any], volume: Volume) -> LayerData:
    """The surface, in colours that no light changes."""
    options = placement(volume) | {
        "name": "surface",
        "vertex_colors": colors,
        "shading": "none",
        "blending": "translucent",
    }
    return (surface.vertices, surface.faces), options, "surface"


def describe_voxel(grain: Grain, voxel: tuple[int, int, int]) -> str:
    """What is known of a voxel, a line each."""
    x, y, z = grain.volume.centre_um(voxel)
    lines = [
        f"voxel {voxel[0]}, {voxel[1]}, {voxel[2]}",
        f"x {x:.3f}  y {y:.3f}  z {z:.3f} µm",
    ]
    a, b = (float(v) for v in np.asarray(grain.orientation[voxel]))
    if np.isfinite(a):
        lines.append(f"μ, γ at ω = 0 (a, b): {1e3 * a:.2f}, {1e3 * b:.2f} mdeg")
        lines.append(f"spread: {1e3 * float(np.asarray(grain.orientation_spread[voxel])):.2f} mdeg")
    else:
        lines.append("orientation: unknown (outside the mask)")
    lines.append(f"completeness: {float(np.asarray(grain.completeness[voxel])):.3f}")
    lines.append(f"occupancy: {float(np.asarray(grain.occupancy[voxel])):.3f}")
    if grain.strain is not None:
        lines.append(f"strain along G: {1e6 * float(np.asarray(grain.strain[voxel])):.1f} · 10⁻⁶")
    return "\n".join(lines)
