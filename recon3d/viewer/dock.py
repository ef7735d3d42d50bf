"""The dock beside the grain: its colours, level, clipping, voxels, frames, and a second grain."""

from __future__ import annotations

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
from recon3d.viewer.lazy import open_grain

if TYPE_CHECKING:
    from recon3d.viewer.window import GrainWindow

NOWHERE = "none"


class GrainDock:
    """The dock of a `GrainWindow`; its widgets can be set by code as by hand.

    Parameters
    ----------
    window
        The window that it moves.
    """

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
        scene = self.window.scene
        name, level = cut_level(scene.grain)
        volume = scene.grain.volume
        self.color = gui.ComboBox(
            label="colour",
            choices=scene.quantities,
            value="orientation",
            tooltip="the quantity that colours the grain; its key is above",
        )
        self.mode = gui.ComboBox(
            label="show",
            choices=["3D surface", "3D volume", "slices x", "slices y", "slices z"],
            tooltip="the grain in 3D, or slices normal to an axis (move them by the slider below)",
        )
        self.shade = gui.CheckBox(
            label="shade", tooltip="light the surface to see its shape; colours are true without"
        )
        self.own_mask = gui.CheckBox(
            label="own mask", value=True, tooltip="the shape that the reconstruction found"
        )
        self.level = gui.FloatSlider(
            label=f"{name} ≥",
            min=0.05,
            max=1.2,
            step=0.01,
            value=level,
            tooltip=f"cut the shape at another level of {name}",
        )
        self.level.tracking = False
        self.clip_axis = gui.ComboBox(
            label="clip across",
            choices=[NOWHERE, "x", "y", "z"],
            tooltip="cut the grain open by a plane normal to this axis",
        )
        reach = max(abs(p) + s / 2 for p, s in zip(volume.position_um, volume.size_um, strict=True))
        self.clip_place = gui.FloatSlider(
            label="clip at (µm)", min=-reach, max=reach, value=0.0, tooltip="where the plane is"
        )
        self.clip_flip = gui.CheckBox(
            label="other side", tooltip="show what lies on the other side of the plane"
        )
        self.angle = gui.FloatSpinBox(
            label="boundary (mdeg)",
            min=0.1,
            max=1e5,
            step=1,
            value=300 * scene.range_deg,
            tooltip="neighbours that differ by more than this angle are told apart",
        )
        self.draw_boundaries = gui.PushButton(
            text="show boundaries", tooltip="draw where neighbours differ by more than the angle"
        )
        self.draw_cells = gui.PushButton(
            text="show cells", tooltip="part the grain into cells of nearly one orientation"
        )
        self.shade.changed.connect(self.window.shade)
        self.color.changed.connect(self._recolor)
        self.mode.changed.connect(self._remode)
        self.level.changed.connect(self._relevel)
        self.own_mask.changed.connect(self._take_own_mask)
        for widget in (self.clip_axis, self.clip_place, self.clip_flip):
            widget.changed.connect(self._reclip)
        self.draw_boundaries.changed.connect(
            lambda: self.window.show_boundaries(self.angle.value / 1e3)
        )
        self.draw_cells.changed.connect(lambda: self.window.show_cells())
        return gui.Container(
            widgets=[
                self.color,
                self.mode,
                self.shade,
                self.own_mask,
                self.level,
                self.clip_axis,
                self.clip_place,
                self.clip_flip,
                self.angle,
                self.draw_boundaries,
                self.draw_cells,
            ]
        )

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

    def _reclip(self) -> None:
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
