"""The grain in a napari window."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.analysis.cells import Cells, find_cells
from recon3d.analysis.misorientation import (
    GrainDifference,
    boundaries,
    check_same_grid,
    grain_difference,
)
from recon3d.colors import orientation_colors
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.grain.quantities import QUANTITIES
from recon3d.plot.grain.scene import Clip, GrainScene
from recon3d.viewer import layers as make

Voxel = tuple[int, int, int]

ORDERS = {"x": (0, 1, 2), "y": (1, 2, 0), "z": (2, 1, 0)}
"""Order of the axes with which a slice normal to an axis is shown as the figures show it."""
SELECTED = "clicked voxel"
NAMES = {look.label: name for name, look in QUANTITIES.items()}
"""The scalars by the names of their layers."""


class GrainWindow:
    """A napari viewer that shows a grain, and what can be done in it by hand or by code.

    The grain's layers are added unless the viewer has them. `path` is its file, where it has one;
    `scan` and `ini` say where its cleaned scan and .ini file are, if not beside that.
    """

    def __init__(
        self,
        viewer: Any,
        grain: Grain,
        path: Path | None = None,
        scan: Path | None = None,
        ini: Path | None = None,
    ) -> None:
        self.viewer = viewer
        self.scene = GrainScene.of(grain)
        self.path, self.scan, self.ini = path, scan, ini
        self.what = "orientation"
        self.as_volume = False
        self.voxel: Voxel | None = None
        self.layers = self._own_layers() or self._add(
            make.orientation_layers(self.scene, flat=False)
        )
        self._arrange()
        self.dock: Any = None
        viewer.mouse_drag_callbacks.append(self._clicked)

    def _own_layers(self) -> dict[str, Any]:
        """The layers that a reader has already made of this grain."""
        mine = str(self.path)
        layers = [one for one in self.viewer.layers if one.metadata.get("recon3d") == mine]
        return {NAMES.get(one.name, one.name): one for one in layers}

    def _add(self, made: list[make.LayerData], prefix: str = "", **extra: Any) -> dict[str, Any]:
        added = {}
        for data, options, kind in made:
            name: str = options["name"]
            add: Any = getattr(self.viewer, f"add_{kind}")
            layer = add(data, **(options | {"name": prefix + name} | extra))
            added[prefix + NAMES.get(name, name)] = layer
        return added

    def _arrange(self) -> None:
        viewer = self.viewer
        viewer.dims.axis_labels = make.AXIS_LABELS
        viewer.scene.camera.orientation = ("away", "up", "right")
        viewer.canvas.overlays.scale_bar.visible = True
        viewer.canvas.overlays.axes.visible = True
        viewer.dims.ndisplay = 3
        self._show()
        self.fit()

    def fit(self) -> None:
        """Fit the whole grain into the window; in 3D it is seen a little from above."""
        camera, volume = self.viewer.scene.camera, self.scene.coarse.volume
        self.viewer.reset_view()
        camera.angles = (0.0, 25.0, 20.0)
        inside = np.argwhere(self.scene.coarse.mask)
        if not len(inside):
            return
        low, high = (
            np.array([volume.axis_um(axis)[end[axis]] for axis in range(3)])
            for end in (inside.min(axis=0), inside.max(axis=0))
        )
        size_um = np.array(volume.voxel_um) + high - low
        shown = list(self.viewer.dims.order)[-self.viewer.dims.ndisplay :]
        camera.center = tuple(((low + high) / 2)[list(self.viewer.dims.order)])
        # In 3D a turned grain reaches as far as its diagonal; in 2D labels need room beside it.
        reach = np.linalg.norm(size_um) if len(shown) == 3 else 1.3 * size_um[shown].max()
        camera.zoom = min(self.viewer.window._qt_viewer.canvas.size) / (1.05 * float(reach))

    def shade(self, on: bool) -> None:
        """Light the surface from the camera, which shows its shape, or keep its colours true."""
        self.layers["surface"].shading = "smooth" if on else "none"

    def color_by(self, what: str) -> None:
        """Colour the grain by "orientation", or by the name of a scalar that the grain has."""
        if what not in self.scene.quantities:
            raise ParameterError(f"'{what}': the grain has {', '.join(self.scene.quantities)}")
        self.what = what
        self.layers["surface"].vertex_colors = self.scene.colors(what)
        self._show()

    def _show(self) -> None:
        flat = self.viewer.dims.ndisplay == 2
        voxels = flat or self.as_volume
        if voxels and self.what not in self.layers:
            # The layer of a scalar takes time, and comes when it is first looked at.
            self.layers |= self._add([make.scalar_layer(self.scene, self.what)])
        for name in set(self.scene.quantities) & set(self.layers):
            self.layers[name].visible = name == self.what and voxels
        self.layers["surface"].visible = not flat and not self.as_volume

    def slice_across(self, axis: str | None) -> None:
        """Show slices normal to "x", "y" or "z", or the grain in 3D for None."""
        if axis not in (*ORDERS, None):
            raise ParameterError(f"axis is '{axis}': expected x, y, z, or None for 3D")
        self.viewer.dims.order = ORDERS[axis or "x"]
        self.viewer.dims.ndisplay = 3 if axis is None else 2
        # napari cuts a long label of an upright axis in 2D.
        self.viewer.dims.axis_labels = make.AXIS_LABELS if axis is None else ("x", "y", "z")
        self._show()
        self.fit()

    def set_level(self, level: float | None) -> None:
        """Cut the grain's shape at a level of occupancy (or completeness); None: its mask."""
        self._reshape(level, self.scene.clip)

    def clip_at(self, axis: str | None, place_um: float = 0.0, *, below: bool = False) -> None:
        """Show what is above (or below) a place along "x", "y" or "z"; None: everything."""
        if axis not in (*ORDERS, None):
            raise ParameterError(f"axis is '{axis}': expected x, y, z or None")
        clip = None if axis is None else Clip("xyz".index(axis), place_um, below)
        self._reshape(self.scene.level, clip)

    def _reshape(self, level: float | None, clip: Clip | None) -> None:
        self.scene = self.scene.cut(level, clip)
        for name in set(self.scene.quantities) & set(self.layers):
            if name == "orientation" or not QUANTITIES[name].everywhere:
                self.layers[name].data = make.voxels_of(self.scene, name)
        surface, layer = self.scene.surface, self.layers["surface"]
        empty = not len(surface.vertices)
        layer.visible = not empty
        if not empty:
            layer.vertex_colors = None
            layer.data = (surface.vertices, surface.faces)
            layer.vertex_colors = self.scene.colors(self.what)
            self._show()

    def _clicked(self, viewer: Any, event: Any) -> Generator[None]:
        """Tell a click from a drag, and read out the voxel under it."""
        dragged = False
        yield
        while event.type == "mouse_move":
            dragged = True
            yield
        if not dragged:
            self.pick(event.position, None if viewer.dims.ndisplay == 2 else event.view_direction)

    def pick(self, point_um: Any, direction: Any = None) -> Voxel | None:
        """Read out the voxel at a point of a slice, or the first one along a line of sight."""
        scene = self.scene
        if direction is None:
            voxel = voxel_at(scene.grain.volume, point_um)
        else:
            hit = first_voxel(scene.coarse.volume, scene.shown, point_um, direction)
            centre = None if hit is None else scene.coarse.volume.centre_um(hit)
            voxel = None if centre is None else voxel_at(scene.grain.volume, centre)
        if voxel is not None:
            self.select(voxel)
        return voxel

    def select(self, voxel: Voxel) -> None:
        """Mark a voxel, and show what is known of it in the dock."""
        self.voxel = voxel
        place = np.array([voxel])
        if SELECTED in self.viewer.layers:
            self.viewer.layers[SELECTED].data = place
        else:
            options = make.placement(self.scene.grain.volume)
            self.viewer.add_points(
                place,
                name=SELECTED,
                size=3,
                face_color="transparent",
                border_color="white",
                border_width=0.15,
                blending="translucent_no_depth",
                **options,
            )
        if self.dock is not None:
            self.dock.voxel.show(voxel)

    def show_boundaries(self, angle_deg: float) -> Any:
        """Add or change the layer of boundaries above an angle."""
        found = boundaries(self.scene.coarse.orientation, angle_deg).astype(np.uint8)
        return self._labels("boundaries", found, {0: "transparent", None: "black", 1: "black"})

    def show_cells(self) -> Cells:
        """Add or change the layer of cells, each in the colour of its mean orientation."""
        cells = find_cells(self.scene.coarse)
        scene, table = self.scene, cells.table
        rgb = orientation_colors(table["a_deg"], table["b_deg"], scene.range_deg, scene.center_deg)
        colors: dict[Any, Any] = {0: "transparent", None: "transparent"}
        self._labels("cells", cells.labels, colors | dict(enumerate(rgb, start=1)))
        return cells

    def lay_over(self, other: Grain, *, align: bool = False) -> GrainDifference:
        """Lay another reconstruction on the same voxels over this one, and show how they differ."""
        check_same_grid(self.scene.grain, other)
        second = GrainScene.of(other)
        difference = grain_difference(self.scene.coarse, second.coarse, align=align)
        for name in [layer.name for layer in self.viewer.layers]:
            if name.startswith("second: ") or name == "difference (mdeg)":
                self.viewer.layers.remove(name)
        self._add(make.orientation_layers(second), "second: ", visible=False)
        angle = 1e3 * difference.misorientation_deg
        known = angle[np.isfinite(angle)]
        top = float(np.percentile(known, 99)) if known.size and known.max() > 0 else 1.0
        self.viewer.add_image(
            angle,
            name="difference (mdeg)",
            colormap="inferno",
            contrast_limits=(0, top),
            interpolation3d="nearest",
            **make.placement(second.coarse.volume),
        ).colorbar.visible = True
        colors = {0: "transparent", None: "red", 1: "#0072b2", 2: "#e69f00", 3: "transparent"}
        self._labels("in one mask only", difference.membership, colors).visible = False
        return difference

    def _labels(self, name: str, values: NDArray[Any], colors: dict[Any, Any]) -> Any:
        if name in self.viewer.layers:
            self.viewer.layers.remove(name)
        options = make.placement(self.scene.coarse.volume)
        return self.viewer.add_labels(values, name=name, colormap=colors, **options)


def voxel_at(volume: Volume, point_um: ArrayLike) -> Voxel | None:
    """The voxel that holds a point; None outside the volume."""
    return _first_inside(volume, np.ones(volume.shape, bool), np.atleast_2d(point_um))


def first_voxel(
    volume: Volume, shown: NDArray[np.bool_], point_um: ArrayLike, direction: ArrayLike
) -> Voxel | None:
    """The first voxel of a shape, (nx, ny, nz), that a line of sight meets.

    `point_um`, `direction`: a point of the line, and where it leads, in sample axes.
    """
    ray = np.asarray(direction, float) / np.linalg.norm(direction)
    centre = np.array(volume.position_um)
    # From the nearest point to the centre, as far as the corners of the box, either way.
    start = np.asarray(point_um, float)
    start = start + ray * float((centre - start) @ ray)
    reach = float(np.linalg.norm(volume.size_um)) / 2 + min(volume.voxel_um)
    along = np.arange(-reach, reach, min(volume.voxel_um) / 4)
    return _first_inside(volume, shown, start + along[:, None] * ray)


def _first_inside(volume: Volume, shown: NDArray[np.bool_], points_um: ArrayLike) -> Voxel | None:
    """The voxel of the first of some points, (points, 3), that lies in one that is shown."""
    index = np.round(volume.places(points_um)).astype(int)
    index = index[((index >= 0) & (index < volume.shape)).all(axis=1)]
    hits = index[shown[tuple(index.T)]]
    if not len(hits):
        return None
    x, y, z = (int(i) for i in hits[0])
    return x, y, z
