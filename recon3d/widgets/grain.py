"""A grain in the notebook: slices through it, and its surface in 3D, turned with the mouse."""

from __future__ import annotations

from typing import Any

import ipywidgets as controls
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recon3d.analysis.surface import coarsened, known_orientations, step_for, surface_of
from recon3d.arguments import checked
from recon3d.colors import orientation_range
from recon3d.files.grain import Grain
from recon3d.plot.colors import draw_color_key
from recon3d.plot.grain.quantities import (
    QUANTITIES,
    limits_of,
    quantities_of,
    surface_colors,
    values_of,
)
from recon3d.plot.grain.slices import central_voxel, draw_slices, slices_layout
from recon3d.plot.parts import draw_value_key
from recon3d.widgets.controls.panel import WIDTH_IN, Panel, choice, new_canvas, row, slider
from recon3d.widgets.display import png_of

LARGEST = 120**3
"""Voxels up to which the surface shows every one."""
SHADES = {"flat (true colours)": 0.0, "shaded": 1.5}
UNCUT = "nothing"


class GrainSlices(Panel):
    """Three slices through a grain, in all three directions, each with a slider."""

    @checked()
    def __init__(self, grain: Grain) -> None:
        super().__init__()
        self.grain = grain
        self.what = choice("show", ["orientation", *quantities_of(grain)], "orientation")
        shape, voxel = grain.volume.shape, central_voxel(grain)
        self.through = [
            slider(f"{name} (voxel)", voxel[i], 0, shape[i] - 1) for i, name in enumerate("xyz")
        ]
        width, height = slices_layout(grain.volume)[0]
        self.canvas = new_canvas(height * WIDTH_IN / width)
        self.children = [self.what, row(*self.through), self.canvas, self.status]
        for control in (self.what, *self.through):
            control.observe(lambda _: self.attempt(self.refresh), "value")
        self.refresh()

    @property
    def value(self) -> tuple[int, int, int]:
        """The voxel through which the slices go."""
        x, y, z = (int(control.value) for control in self.through)
        return x, y, z

    def refresh(self) -> None:
        """Draw the slices through the chosen voxel."""
        self.canvas.figure.clear()
        draw_slices(self.canvas.figure, self.grain, self.what.value, through=self.value)
        self.canvas.draw_idle()


class GrainSurface(Panel):
    """The surface of a grain in 3D, coloured by any quantity and cut open by a plane.

    It is drawn by the browser (WebGL, K3D-jupyter), so the server needs no display.
    """

    @checked()
    def __init__(self, grain: Grain) -> None:
        super().__init__()
        import k3d

        self.grain = coarsened(grain, step_for(grain.volume, LARGEST))
        self._known = known_orientations(self.grain)
        self._range = orientation_range(*np.moveaxis(self.grain.orientation[self._known], -1, 0))
        self.what = choice("colour", ["orientation", *quantities_of(grain)], "orientation")
        self.cut = choice("cut away", [UNCUT, *(f"{axis} above" for axis in "xyz")], UNCUT)
        self.place = slider("cut at (%)", 50, 1, 99, tip="where the plane is, in % of the box")
        self.shade = choice("light", list(SHADES), next(iter(SHADES)))
        self.plot = k3d.plot(
            height=460,
            lighting=SHADES[self.shade.value],
            camera_auto_fit=False,
            grid_visible=False,  # its numbers lie over each other: a frame says the size instead
            menu_visibility=False,
            colorbar_object_id=0,
        )
        self.key = controls.Image(
            format="png", layout=controls.Layout(width="190px", height="220px")
        )
        self._mesh: Any = None
        frame, size_um = self._frame()
        self.plot += frame
        size = " x ".join(f"{length:.3g}" for length in size_um)
        framed = controls.Box([self.plot], layout=controls.Layout(flex="1", overflow="hidden"))
        self.children = [
            row(self.what, self.cut, self.place, self.shade),
            controls.HBox([framed, self.key]),
            controls.HTML(
                f"the box is {size} µm (x, y, z), y along G; drag to turn, wheel to zoom"
            ),
            self.status,
        ]
        self.shade.observe(lambda _: self._light(), "value")
        for control in (self.what, self.cut, self.place):
            control.observe(lambda _: self.attempt(self.refresh), "value")
        self.refresh()
        self.plot.camera = self._first_view()

    @property
    def value(self) -> str:
        """The quantity that colours the surface."""
        return str(self.what.value)

    def shown(self) -> NDArray[np.bool_]:
        """The voxels that are shown: the grain's, on one side of the plane that cuts it."""
        mask = np.asarray(self.grain.mask)
        if self.cut.value == UNCUT:
            return mask
        axis = "xyz".index(self.cut.value[0])
        kept = np.arange(mask.shape[axis]) < self.place.value / 100 * mask.shape[axis]
        return mask & kept.reshape([-1 if i == axis else 1 for i in range(3)])

    def refresh(self) -> None:
        """Put the surface, as it is chosen, in place of the one that is shown."""
        import k3d

        self.place.disabled = self.cut.value == UNCUT
        surface = surface_of(self.shown(), self._known)
        what = self.value
        limits = (0.0, 1.0)
        if what != "orientation":
            values = np.asarray(values_of(self.grain, what))
            limits = limits_of(what, values[np.asarray(self.grain.mask)])
        rgb = surface_colors(self.grain, surface, what, *self._range, limits)[:, :3]
        packed = np.round(255 * rgb).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        mesh = k3d.mesh(
            surface.vertices_um(self.grain.volume).astype(np.float32),
            surface.faces.astype(np.uint32),
            colors=packed.astype(np.uint32),
            flat_shading=False,
            roughness=1.0,
            side="double",
        )
        if self._mesh is not None:
            self.plot -= self._mesh
        self._mesh = mesh
        self.plot += mesh
        self.key.value = png_of(self._draw_key(what, limits), 110)
        empty = "nothing is left of the grain: move the plane" if not len(surface.faces) else ""
        self.tell(empty, bad=True)

    def _frame(self) -> tuple[Any, NDArray[np.float64]]:
        """The edges of the box around the grain, and its size in µm."""
        import k3d

        points = surface_of(np.asarray(self.grain.mask), self._known).vertices_um(self.grain.volume)
        if not len(points):
            points = np.array([self.grain.volume.corner_um, self.grain.volume.position_um])
        ends = np.array([points.min(axis=0), points.max(axis=0)])
        corners = np.indices((2, 2, 2)).reshape(3, -1).T
        pairs = [(i, i | bit) for i in range(8) for bit in (1, 2, 4) if not i & bit]
        frame = k3d.lines(
            np.take_along_axis(ends, corners, axis=0).astype(np.float32),
            np.array(pairs, np.uint32),
            indices_type="segment",
            shader="simple",
            color=0x999999,
        )
        return frame, np.ptp(ends, axis=0)

    def _first_view(self) -> list[float]:
        """The camera: where it stands, what it looks at, and what is up (y, along **G**)."""
        bounds = self.plot.get_auto_grid().reshape(3, 2)
        middle, size = bounds.mean(axis=1), np.linalg.norm(np.ptp(bounds, axis=1))
        away = (
            np.array([0.5, 0.4, 0.77]) * 0.58 * size / np.sin(np.radians(self.plot.camera_fov / 2))
        )
        return [*(middle + away), *middle, 0.0, 1.0, 0.0]

    def _light(self) -> None:
        self.plot.lighting = SHADES[self.shade.value]

    def _draw_key(self, what: str, limits: tuple[float, float]) -> Figure:
        figure = Figure(figsize=(1.9, 2.2), layout="constrained")
        if what == "orientation":
            range_deg, center_deg = self._range
            draw_color_key(figure.subplots(), range_deg, center_deg=center_deg)
        else:
            look = QUANTITIES[what]
            draw_value_key(figure.subplots(), look.colors, limits, look.label)
        return figure
