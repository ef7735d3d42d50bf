"""A grain ready to be shown in 3D: its shape, cut out and cut open, and the colours of that."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from numpy.typing import NDArray

from recon3d.analysis.surface import (
    LARGEST,
    Surface,
    coarsened,
    known_orientations,
    shape_at,
    step_for,
    surface_of,
)
from recon3d.colors import Center, orientation_colors, orientation_range
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import (
    QUANTITIES,
    limits_of,
    quantities_of,
    scalar_colors,
    values_of,
)
from recon3d.plot.parts import draw_color_bar, draw_color_key

FEWER = 120**3
"""Voxels up to which a browser, or a film, shows every one."""


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
    level: float | None  # where the shape is cut; None for the grain's own mask
    clip: Clip | None  # a plane that cuts the grain open; None for the whole grain
    shown: NDArray[np.bool_]  # the shape, on the voxels of `coarse`
    surface: Surface
    range_deg: float  # range of the orientation's colours
    center_deg: Center
    _limits: dict[str, tuple[float, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, grain: Grain, *, largest: int = LARGEST) -> GrainScene:
        """Prepare a grain; up to `largest` voxels it is shown in 3D as it is."""
        coarse = coarsened(grain, step_for(grain.volume, largest))
        ranges = orientation_range(*coarse.orientation[np.asarray(coarse.mask)].T)
        shown = np.asarray(coarse.mask)
        surface = surface_of(shown, known_orientations(coarse))
        return cls(grain, coarse, None, None, shown, surface, *ranges)

    def cut(self, level: float | None, clip: Clip | None) -> GrainScene:
        """The grain at another level of occupancy (or completeness), or cut open elsewhere."""
        shown = np.asarray(shape_at(self.coarse, level))
        if clip is not None:
            shown = shown & clip.keeps(self.coarse.volume)
        surface = surface_of(shown, known_orientations(self.coarse))
        return replace(self, level=level, clip=clip, shown=shown, surface=surface)

    @property
    def quantities(self) -> list[str]:
        """What can colour the grain."""
        return ["orientation", *quantities_of(self.grain)]

    def limits(self, name: str) -> tuple[float, float]:
        """Ends of the colour scale of a scalar."""
        if name not in self._limits:
            self._limits[name] = limits_of(self.coarse, name)
        return self._limits[name]

    def colors(self, what: str) -> NDArray[np.float64]:
        """Colours of the surface's corners by the voxels nearest to them, (vertices, 4)."""
        place: Any = tuple(self.surface.voxels.T)
        if what == "orientation":
            a, b = self.coarse.orientation[place].T
            rgb = orientation_colors(a, b, self.range_deg, self.center_deg)
        else:
            values = values_of(self.coarse, what)[place]
            rgb = scalar_colors(what, values, self.limits(what))
        return np.concatenate([rgb, np.ones((len(rgb), 1))], axis=1)


def draw_key(
    ax: Axes,
    scene: GrainScene,
    what: str,
    orientation: Literal["vertical", "horizontal"] = "vertical",
) -> None:
    """Draw the key of a grain's colours: a disc for orientations, a bar for a scalar."""
    if what == "orientation":
        draw_color_key(ax, scene.range_deg, center_deg=scene.center_deg)
        return
    look = QUANTITIES[what]
    ax.set_box_aspect(8 if orientation == "vertical" else 1 / 8)
    colors = ScalarMappable(Normalize(*scene.limits(what)), look.colors)
    draw_color_bar(colors, ax, look.label, orientation)
