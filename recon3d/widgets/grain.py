"""A grain in the notebook: slices through it, its surface in 3D, and its cells."""

from __future__ import annotations

from typing import Any

import ipywidgets as controls
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recon3d.analysis.cells import Cells, find_cells
from recon3d.arguments import checked
from recon3d.files.grain import Grain
from recon3d.plot.grain.cells import draw_cells
from recon3d.plot.grain.quantities import quantities_of
from recon3d.plot.grain.scene import FEWER, Clip, GrainScene, draw_key
from recon3d.plot.grain.slices import central_voxel, draw_slices, slices_layout
from recon3d.widgets.controls.canvas import WIDTH_IN, new_canvas
from recon3d.widgets.controls.panel import Panel, check, choice, row, slider
from recon3d.widgets.display import png_of

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
        self.answer_to(self.what, *self.through)
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

        self.scene = GrainScene.of(grain, largest=FEWER)
        self.what = choice("colour", self.scene.quantities, "orientation")
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
        controls.dlink((self.shade, "value"), (self.plot, "lighting"), SHADES.get)
        self.answer_to(self.what, self.cut, self.place)
        self.refresh()
        self.plot.camera = self._first_view()

    @property
    def value(self) -> str:
        """The quantity that colours the surface."""
        return str(self.what.value)

    def refresh(self) -> None:
        """Put the surface, as it is chosen, in place of the one that is shown."""
        import k3d

        self.place.disabled = self.cut.value == UNCUT
        self.scene = self.scene.cut(None, self._clip())
        surface = self.scene.surface
        rgb = self.scene.colors(self.value)[:, :3]
        packed = np.round(255 * rgb).astype(np.uint32) @ np.array([65536, 256, 1], np.uint32)
        mesh = k3d.mesh(
            surface.vertices_um(self.scene.coarse.volume).astype(np.float32),
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
        self.key.value = png_of(self._draw_key(), 110)
        empty = "nothing is left of the grain: move the plane" if not len(surface.faces) else ""
        self.tell(empty, bad=True)

    def _clip(self) -> Clip | None:
        if self.cut.value == UNCUT:
            return None
        axis, volume = "xyz".index(self.cut.value[0]), self.scene.coarse.volume
        low, size = volume.corner_um[axis], volume.size_um[axis]
        return Clip(axis, low + self.place.value / 100 * size, below=True)

    def _frame(self) -> tuple[Any, NDArray[np.float64]]:
        """The edges of the box around the grain, and its size in µm."""
        import k3d

        volume = self.scene.coarse.volume
        points = self.scene.surface.vertices_um(volume)
        if not len(points):
            points = np.array([volume.corner_um, volume.position_um])
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

    def _draw_key(self) -> Figure:
        figure = Figure(figsize=(1.9, 2.2), layout="constrained")
        draw_key(figure.subplots(), self.scene, self.value)
        return figure


class GrainCells(Panel):
    """Slices of a grain's cells with their numbers, their table, and what parts them."""

    @checked()
    def __init__(self, grain: Grain) -> None:
        super().__init__()
        self.grain = grain
        spread = np.ptp(grain.orientation[grain.oriented], axis=0) if grain.oriented.any() else 0
        most = max(round(1e3 * float(np.hypot(*np.broadcast_to(spread, 2)))), 2)
        self.by_data = check("automatic", True, "what stays in one piece longest is a cell")
        self.threshold = slider(
            "threshold (mdeg)",
            min(20, most),
            1,
            most,
            tip="neighbours that differ by more are parted",
        )
        self.threshold.disabled = True
        width, height = slices_layout(grain.volume)[0]
        self.canvas = new_canvas(height * WIDTH_IN / width)
        self.table = controls.HTML()
        self._found: Cells | None = None
        self.children = [
            row(self.by_data, self.threshold), self.canvas, self.table, self.status
        ]  # fmt: skip
        self.answer_to(self.by_data, self.threshold)
        self.attempt(self.refresh)

    @property
    def value(self) -> Cells | None:
        """The cells that are shown; None where there are none to find."""
        return self._found

    def refresh(self) -> None:
        """Find the cells as it is chosen, and draw them."""
        self.threshold.disabled = bool(self.by_data.value)
        chosen = None if self.by_data.value else 1e-3 * self.threshold.value
        self._found = find_cells(self.grain, chosen)
        self.canvas.figure.clear()
        draw_cells(self.canvas.figure, self.grain, self._found)
        self.canvas.draw_idle()
        self.table.value = self._found._repr_html_()
        self.tell(f"{len(self._found)} cells, {len(self._found.boundaries)} boundaries")
