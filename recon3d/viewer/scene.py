"""A grain and what is derived from it for display, without napari."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from recon3d.analysis.surface import (
    LARGEST,
    Deferred,
    Surface,
    coarsened,
    known_orientations,
    shape_at,
    step_for,
    surface_of,
)
from recon3d.colors import Center, orientation_range
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import QUANTITIES, limits_of, quantities_of, surface_colors
from recon3d.viewer import layers as make


@dataclass(frozen=True)
class Clip:
    """A plane normal to an axis, on one side of which the grain is shown."""

    axis: int  # 0, 1 or 2 for x, y or z
    place_um: float  # where the plane meets the axis
    below: bool = False  # whether what lies below the plane is shown in place of what lies above

    def keeps(self, volume: Volume) -> NDArray[np.bool_]:
        """Which voxels are shown, broadcastable to the volume's shape."""
        centres = volume.axis_um(self.axis)
        kept = centres <= self.place_um if self.below else centres >= self.place_um
        return kept.reshape([-1 if axis == self.axis else 1 for axis in range(3)])


@dataclass(frozen=True, eq=False)
class GrainScene:
    """A grain ready to be shown."""

    grain: Grain  # its arrays may be on disk
    coarse: Grain  # the same in memory, on fewer voxels where it is large: for 3D
    path: Path | None  # its file, where it has one
    level: float | None  # where the shape is cut; None for the grain's own mask
    clip: Clip | None  # a plane that cuts the grain open; None for the whole grain
    shown: NDArray[np.bool_]  # the shape, on the voxels of `coarse`
    surface: Surface
    range_deg: float  # range of the orientation's colours
    center_deg: Center
    _limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, grain: Grain, path: Path | None = None, *, largest: int = LARGEST) -> GrainScene:
        """Prepare a grain; up to `largest` voxels it is shown in 3D as it is."""
        coarse = coarsened(grain, step_for(grain.volume, largest))
        inside = coarse.orientation[np.asarray(coarse.mask)]
        range_deg, center_deg = orientation_range(inside[:, 0], inside[:, 1])
        shown = shape_at(coarse, None)
        surface = surface_of(shown, known_orientations(coarse))
        return cls(grain, coarse, path, None, None, shown, surface, range_deg, center_deg)

    @classmethod
    def open(cls, path: Path, *, largest: int = LARGEST) -> GrainScene:
        """Open a grain's file."""
        return cls.of(open_grain(path, largest=largest), path, largest=largest)

    def cut(self, level: float | None, clip: Clip | None) -> GrainScene:
        """The grain at another level of occupancy (or completeness), or cut open elsewhere."""
        shown = shape_at(self.coarse, level)
        if clip is not None:
            shown = shown & clip.keeps(self.coarse.volume)
        surface = surface_of(shown, known_orientations(self.coarse))
        return replace(self, level=level, clip=clip, shown=shown, surface=surface)

    @property
    def is_lazy(self) -> bool:
        """Whether the grain is too large for 3D, and stays on disk."""
        return self.coarse is not self.grain

    @property
    def quantities(self) -> list[str]:
        """What can colour the grain."""
        return ["orientation", *quantities_of(self.grain)]

    def limits(self, name: str) -> tuple[float, float]:
        """Ends of the colour scale of a scalar."""
        if name not in self._limits:
            self._limits[name] = limits_of(name, make.sample_of(self.coarse, name))
        return self._limits[name]

    def image(self, what: str) -> Deferred | list[Deferred]:
        """The voxels of a quantity: an array, or the full and the coarse one of a large grain."""
        coarse = self._image(self.coarse, lambda: self.shown, what)
        if not self.is_lazy:
            return coarse
        whole = self._image(self.grain, lambda: shape_at(self.grain, self.level), what)
        return [whole, coarse]

    def _image(self, grain: Grain, mask: Callable[[], Any], what: str) -> Deferred:
        shape = grain.volume.shape
        if what != "orientation":
            return Deferred(shape, np.float32, lambda: make.scalar_values(grain, mask(), what))
        colors = (self.range_deg, self.center_deg)
        return Deferred(
            (*shape, 4), np.uint8, lambda: make.orientation_image(grain, mask(), *colors)
        )

    def colors(self, what: str) -> NDArray[np.float64]:
        """Colours of the surface's corners."""
        limits = (0.0, 1.0) if what == "orientation" else self.limits(what)
        return surface_colors(
            self.coarse, self.surface, what, self.range_deg, self.center_deg, limits
        )

    def layers(self, *, flat: bool = True) -> list[make.LayerData]:
        """Every layer of the grain: scalars, hidden, the volume (if flat), and the surface."""
        scalars = [self.scalar(name) for name in QUANTITIES if name in self.quantities]
        return [*scalars, *self.whole(flat=flat)]

    def scalar(self, name: str) -> make.LayerData:
        """The layer of a scalar, hidden."""
        return make.scalar_layer(self.image(name), self.grain.volume, name, self.limits(name))

    def whole(self, *, flat: bool = True) -> list[make.LayerData]:
        """The layers of the orientation: the volume, and the surface."""
        image, colors = self.image("orientation"), self.colors("orientation")
        return [
            make.orientation_layer(image, self.grain.volume, visible=flat),
            make.surface_layer(self.surface, colors, self.coarse.volume),
        ]


def open_grain(path: str | Path, *, largest: int = LARGEST) -> Grain:
    """Open a grain: in memory up to `largest` voxels, else with arrays that are read in parts."""

    def read(stored: h5py.Dataset) -> Any:
        return stored[()] if math.prod(stored.shape[:3]) <= largest else lazy(stored)

    return Grain.load(path, read=read)


def lazy(stored: h5py.Dataset) -> Any:
    """A dask array of a dataset; it keeps the file open."""
    import dask.array

    chunks = [2 * chunk for chunk in stored.chunks[:3]] if stored.chunks else "auto"
    if stored.ndim == 4 and stored.chunks:
        chunks = [*chunks, stored.shape[3]]
    file = h5py.File(stored.file.filename, "r", locking=False)
    return dask.array.from_array(file[stored.name], chunks=chunks, lock=True)
