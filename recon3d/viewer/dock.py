"""The dock beside the grain: its colours, level, clipping, voxels, frames, and a second grain."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recon3d.analysis.surface import cut_level
from recon3d.errors import Recon3DError
from recon3d.plot.colors import draw_color_key
from recon3d.plot.grain.quantities import QUANTITIES
from recon3d.plot.parts import TEXT_SIZE
from recon3d.viewer.canvas import Canvas
from recon3d.viewer.dock_frames import FramesPanel
from recon3d.viewer.dock_voxel import VoxelPanel
from recon3d.viewer.scene import open_grain

if TYPE_CHECKING:
    from recon3d.viewer.window import GrainWindow

NOWHERE = "none"
LOOK = {
    "color": ("ComboBox", "colour", "the quantity that colours the grain; its key is above"),
    "mode": (
        "ComboBox",
        "show",
        "the grain in 3D, or slices normal to an axis (move them by the slider below)",
    ),
    "shade": (
        "CheckBox",
        "shade",
        "light the surface to see its shape; colours are true without",
    ),
    "own_mask": ("CheckBox", "own mask", "the shape that the reconstruction found"),
    "level": ("FloatSlider", "", "cut the shape at another level"),
    "clip_axis": (
        "ComboBox",
        "clip across",
        "cut the grain open by a plane normal to this axis",
    ),
    "clip_place": ("FloatSlider", "clip at (µm)", "where the plane is"),
    "clip_flip": ("CheckBox", "other side", "show what lies on the other side of the plane"),
    "angle": (
        "FloatSpinBox",
        "boundary (mdeg)",
        "neighbours that differ by more than this angle are told apart",
    ),
    "draw_boundaries": (
        "PushButton",
        "show boundaries",
        "draw where neighbours differ by more than the angle",
    ),
    "draw_cells": (
        "PushButton",
        "show cells",
        "part the grain into cells of nearly one orientation",
    ),
}
"""The controls of the Look tab: kind, label and tooltip, by the attribute of the dock."""


class GrainDock:
    """The dock of a `GrainWindow`; its widgets can be set by code as by hand."""

    color: Any
    own_mask: Any
    level: Any
    clip_axis: Any
    clip_place: Any
    clip_flip: Any
    angle: Any

    def __init__(self, window: GrainWindow) -> None:
        from magicgui import widgets as gui
        from qtpy.QtWidgets import QTabWidget, QVBoxLayout, QWidget

        self.window = window
        self.key = Canvas(2.9, 1.9)
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
        layout.addWidget(self.key.widget)
        layout.addWidget(self.tabs)
        self.widget.setMinimumWidth(330)
        self.draw_key()

    def _look_panel(self, gui: Any) -> Any:
        scene, window = self.window.scene, self.window
        name, level = cut_level(scene.grain)
        volume = scene.grain.volume
        reach = max(abs(p) + s / 2 for p, s in zip(volume.position_um, volume.size_um, strict=True))
        options: dict[str, dict[str, Any]] = {
            "color": {"choices": scene.quantities, "value": "orientation"},
            "mode": {"choices": ["3D surface", "3D volume", "slices x", "slices y", "slices z"]},
            "own_mask": {"value": True},
            "level": {
                "label": f"{name} ≥",
                "tooltip": f"cut the shape at another level of {name}",
                "min": 0.05,
                "max": 1.2,
                "step": 0.01,
                "value": level,
            },
            "clip_axis": {"choices": [NOWHERE, "x", "y", "z"]},
            "clip_place": {"min": -reach, "max": reach, "value": 0.0},
            "angle": {"min": 0.1, "max": 1e5, "step": 1, "value": 300 * scene.range_deg},
        }
        changed: dict[str, Callable[..., Any]] = {
            "color": self._recolor,
            "mode": self._remode,
            "shade": window.shade,
            "own_mask": self._take_own_mask,
            "level": self._relevel,
            "clip_axis": self._reclip,
            "clip_place": self._reclip,
            "clip_flip": self._reclip,
            "draw_boundaries": lambda: window.show_boundaries(self.angle.value / 1e3),
            "draw_cells": window.show_cells,
        }
        made = {}
        for key, (kind, text, tip) in LOOK.items():
            about = {"label": text, "tooltip": tip} | options.get(key, {})
            if kind == "PushButton":
                about["text"] = about.pop("label")
            made[key] = getattr(gui, kind)(**about)
            setattr(self, key, made[key])
        made["level"].tracking = False
        for key, slot in changed.items():
            made[key].changed.connect(slot)
        return gui.Container(widgets=list(made.values()))

    def _compare_panel(self, gui: Any) -> Any:
        self.other = gui.FileEdit(
            label="second grain", filter="*.h5", tooltip="a grain.h5 on the same voxels"
        )
        self.align = gui.CheckBox(
            label="take off the mean tilt",
            tooltip="compare after taking off the median difference of (a, b)",
        )
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
        from matplotlib.cm import ScalarMappable
        from matplotlib.colorbar import Colorbar
        from matplotlib.colors import Normalize

        scene, what = self.window.scene, self.window.what
        self.key.clear()
        if what == "orientation":
            ax = self.key.figure.add_axes((0.3, 0.26, 0.45, 0.7))
            draw_color_key(ax, scene.range_deg, center_deg=scene.center_deg)
        else:
            ax = self.key.figure.add_axes((0.1, 0.55, 0.8, 0.12))
            shades = ScalarMappable(Normalize(*scene.limits(what)), QUANTITIES[what].colors)
            bar = Colorbar(ax, shades, orientation="horizontal")
            bar.set_label(QUANTITIES[what].label, fontsize=TEXT_SIZE)
            ax.tick_params(labelsize=TEXT_SIZE - 1)
        self.key.draw()
