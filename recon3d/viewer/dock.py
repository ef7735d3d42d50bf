"""The dock beside the grain: its colours, level, clipping, voxels, frames, and a second grain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d.analysis.surface import cut_level
from recon3d.errors import Recon3DError
from recon3d.plot.grain.scene import draw_key
from recon3d.viewer.layers import open_grain
from recon3d.viewer.panels import FramesPanel, VoxelPanel, new_canvas

if TYPE_CHECKING:
    from recon3d.viewer.window import GrainWindow

NOWHERE = "none"


class GrainDock:
    """The dock of a `GrainWindow`; its widgets can be set by code as by hand."""

    def __init__(self, window: GrainWindow) -> None:
        from magicgui import widgets as gui
        from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

        self.window = window
        self.key = new_canvas(2.9, 1.9)
        self.voxel = VoxelPanel(window)
        self.frames = FramesPanel(window)
        self.look = self._look_panel(gui)
        self.compare = self._compare_panel(gui)
        self.tabs = QTabWidget()
        for name, panel in (
            ("Look", self.look.native),
            ("Voxel", self.voxel.widget),
            ("Frames", self.frames.widget),
            ("Compare", self.compare.native),
        ):
            self.tabs.addTab(panel, name)
        self.widget: Any = QWidget()
        layout = QVBoxLayout(self.widget)
        layout.addWidget(self.key)
        layout.addWidget(self.tabs)
        self.widget.setMinimumWidth(330)
        self.draw_key()

    def _look_panel(self, gui: Any) -> Any:
        scene, window, shown = self.window.scene, self.window, []
        name, level = cut_level(scene.grain)
        volume = scene.grain.volume
        reach = max(abs(p) + s / 2 for p, s in zip(volume.position_um, volume.size_um, strict=True))

        def add(kind: Any, changed: Callable[..., Any], text: str, tip: str, **options: Any) -> Any:
            named = "text" if kind is gui.PushButton else "label"
            control = kind(tooltip=tip, **{named: text}, **options)
            control.changed.connect(changed)
            shown.append(control)
            return control

        tip = "the quantity that colours the grain; its key is above"
        self.color = add(gui.ComboBox, self._recolor, "colour", tip, choices=scene.quantities)
        modes = ["3D surface", "3D volume", "slices x", "slices y", "slices z"]
        tip = "the grain in 3D, or slices normal to an axis (move them by the slider below)"
        self.mode = add(gui.ComboBox, self._remode, "show", tip, choices=modes)
        tip = "light the surface to see its shape; colours are true without"
        self.shade = add(gui.CheckBox, window.shade, "shade", tip)
        tip = "the shape that the reconstruction found"
        self.own_mask = add(gui.CheckBox, self._take_own_mask, "own mask", tip, value=True)
        tip = f"cut the shape at another level of {name}"
        span = {"min": 0.05, "max": 1.2, "step": 0.01, "value": level}
        self.level = add(gui.FloatSlider, self._relevel, f"{name} ≥", tip, **span)
        self.level.tracking = False
        tip = "cut the grain open by a plane normal to this axis"
        axes = [NOWHERE, "x", "y", "z"]
        self.clip_axis = add(gui.ComboBox, self._reclip, "clip across", tip, choices=axes)
        tip, span = "where the plane is", {"min": -reach, "max": reach, "value": 0.0}
        self.clip_place = add(gui.FloatSlider, self._reclip, "clip at (µm)", tip, **span)
        tip = "show what lies on the other side of the plane"
        self.clip_flip = add(gui.CheckBox, self._reclip, "other side", tip)
        tip = "neighbours that differ by more than this angle are told apart"
        span = {"min": 0.1, "max": 1e5, "step": 1, "value": 300 * scene.range_deg}
        self.angle = add(gui.FloatSpinBox, lambda _: None, "boundary (mdeg)", tip, **span)
        tip = "draw where neighbours differ by more than the angle"
        self.draw_boundaries = add(gui.PushButton, self._bound, "show boundaries", tip)
        tip = "part the grain into cells of nearly one orientation"
        self.draw_cells = add(gui.PushButton, window.show_cells, "show cells", tip)
        return gui.Container(widgets=shown)

    def _compare_panel(self, gui: Any) -> Any:
        tip = "a grain.h5 on the same voxels"
        self.other = gui.FileEdit(label="second grain", filter="*.h5", tooltip=tip)
        tip = "compare after taking off the median difference of (a, b)"
        self.align = gui.CheckBox(label="take off the mean tilt", tooltip=tip)
        self.lay_over = gui.PushButton(text="lay over", tooltip="show where the two differ")
        self.verdict = gui.Label(value="")
        self.verdict.native.setWordWrap(True)
        self.lay_over.changed.connect(self._lay_over)
        return gui.Container(widgets=[self.other, self.align, self.lay_over, self.verdict])

    def _recolor(self, what: str) -> None:
        self.window.color_by(what)
        self.draw_key()

    def _remode(self, mode: str) -> None:
        kind, _, which = mode.partition(" ")
        self.window.as_volume = which == "volume"
        self.window.slice_across(which if kind == "slices" else None)

    def _take_own_mask(self, own: bool) -> None:
        self.window.set_level(None if own else self.level.value)

    def _relevel(self, level: float) -> None:
        with self.own_mask.changed.blocked():
            self.own_mask.value = False
        self.window.set_level(level)

    def _reclip(self, _: Any = None) -> None:
        axis = None if self.clip_axis.value == NOWHERE else self.clip_axis.value
        self.window.clip_at(axis, self.clip_place.value, below=self.clip_flip.value)

    def _bound(self) -> None:
        self.window.show_boundaries(self.angle.value / 1e3)

    def _lay_over(self) -> None:
        try:
            other = open_grain(Path(self.other.value))
            difference = self.window.lay_over(other, align=self.align.value)
        except Recon3DError as error:
            self.verdict.value = str(error)
            return
        self.verdict.value = difference.summary()

    def draw_key(self) -> None:
        """Draw the key of the colours that the grain has now."""
        figure, what = self.key.figure, self.window.what
        figure.clear()
        is_disc = what == "orientation"
        ax = figure.add_axes((0.3, 0.26, 0.45, 0.7) if is_disc else (0.1, 0.5, 0.8, 0.16))
        draw_key(ax, self.window.scene, what, "horizontal")
        self.key.draw_idle()
