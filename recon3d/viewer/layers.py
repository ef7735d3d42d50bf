"""The layers of napari, made from a grain by plain functions, without napari."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.analysis.surface import LARGEST, Deferred, shape_at
from recon3d.colors import Center, orientation_colors
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import QUANTITIES, values_of
from recon3d.plot.grain.scene import GrainScene

LayerData = tuple[Any, dict[str, Any], str]
"""Data, options and kind of a layer, as napari's readers return them."""
AXIS_LABELS = ("x", "y ∥ G", "z")


def open_grain(path: str | Path, *, largest: int = LARGEST) -> Grain:
    """Open a grain: in memory up to `largest` voxels, else with arrays that are read in parts."""

    def read(stored: h5py.Dataset) -> Any:
        return stored[()] if math.prod(stored.shape[:3]) <= largest else _lazy(stored)

    return Grain.load(path, read=read)


def _lazy(stored: h5py.Dataset) -> Any:
    """A dask array of a dataset; it keeps the file open."""
    import dask.array

    chunks = [2 * chunk for chunk in stored.chunks[:3]] if stored.chunks else "auto"
    if stored.ndim == 4 and stored.chunks:
        chunks = [*chunks, stored.shape[3]]
    file = h5py.File(stored.file.filename, "r", locking=False)
    return dask.array.from_array(file[stored.name], chunks=chunks, lock=True)


def placement(volume: Volume) -> dict[str, Any]:
    """Options that put a layer of voxels where it lies in the sample, in µm."""
    return {
        "scale": volume.voxel_um,
        "translate": volume.centre_um((0, 0, 0)),
        "units": ("um",) * 3,
        "axis_labels": AXIS_LABELS,
    }


def all_layers(scene: GrainScene) -> list[LayerData]:
    """Every layer of a grain: its scalars, hidden, the volume of orientations, the surface."""
    scalars = [scalar_layer(scene, name) for name in scene.quantities if name in QUANTITIES]
    return [*scalars, *orientation_layers(scene)]


def scalar_layer(scene: GrainScene, name: str) -> LayerData:
    """A layer of one quantity, hidden until it is chosen."""
    options = placement(scene.grain.volume) | {
        "name": QUANTITIES[name].label,
        "colormap": QUANTITIES[name].colors,
        "contrast_limits": scene.limits(name),
        "rgb": False,
        "rendering": "mip",
        "interpolation3d": "nearest",
        "visible": False,
    }
    return voxels_of(scene, name), options, "image"


def orientation_layers(scene: GrainScene, *, flat: bool = True) -> list[LayerData]:
    """The volume in true orientation colours, seen if `flat`, and the surface that no light dims.

    A volume of colours is translucent: "mip" would show the brightest voxel, not the nearest.
    """
    volume = placement(scene.grain.volume) | {
        "name": "orientation",
        "rgb": True,
        "rendering": "translucent",
        "interpolation3d": "nearest",
        "blending": "translucent",
        "visible": flat,
    }
    surface = placement(scene.coarse.volume) | {
        "name": "surface",
        "vertex_colors": scene.colors("orientation"),
        "shading": "none",
        "blending": "translucent",
    }
    return [
        (voxels_of(scene, "orientation"), volume, "image"),
        ((scene.surface.vertices, scene.surface.faces), surface, "surface"),
    ]


def voxels_of(scene: GrainScene, what: str) -> Deferred | list[Deferred]:
    """The voxels of a quantity: an array, or the full and the coarse one of a large grain."""
    coarse = _deferred(scene, scene.coarse, what, lambda: scene.shown)
    if scene.coarse is scene.grain:
        return coarse
    return [_deferred(scene, scene.grain, what, lambda: shape_at(scene.grain, scene.level)), coarse]


def _deferred(scene: GrainScene, grain: Grain, what: str, mask: Callable[[], Any]) -> Deferred:
    shape = grain.volume.shape
    if what != "orientation":
        return Deferred(shape, np.float32, lambda: _scalar_values(grain, mask(), what))
    colors = (scene.range_deg, scene.center_deg)
    return Deferred((*shape, 4), np.uint8, lambda: _orientation_image(grain, mask(), *colors))


def _scalar_values(grain: Grain, mask: Any, name: str) -> Any:
    """Values of a quantity, NaN outside a mask where it belongs to the grain only."""
    values = values_of(grain, name)
    return values if QUANTITIES[name].everywhere else np.where(mask, values, np.float32(np.nan))


def orientation_volume(
    orientation: Any, mask: Any, range_deg: float, center_deg: Center
) -> NDArray[np.uint8]:
    """True colours of every voxel, (nx, ny, nz, 4), clear outside the mask."""
    rgba = np.zeros((*mask.shape, 4), np.uint8)
    shown = mask & np.isfinite(orientation).all(axis=-1)
    a, b = orientation[shown].T
    rgba[shown, :3] = np.round(255 * orientation_colors(a, b, range_deg, center_deg))
    rgba[shown, 3] = 255
    return rgba


def _orientation_image(grain: Grain, mask: Any, range_deg: float, center_deg: Center) -> Any:
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
