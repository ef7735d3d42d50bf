"""The panels of the dock that read frames: the clicked voxel, and frames beside reprojections."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recon3d.errors import Recon3DError
from recon3d.files.grain import Grain
from recon3d.plot.scan.projections import draw_comparison, draw_tilt_map, image_extent, mark_tilt

if TYPE_CHECKING:
    from recon3d.reconstruction.model.scan_model import ScanModel
    from recon3d.reconstruction.quality.reprojection import VoxelEvidence
    from recon3d.viewer.window import GrainWindow, Voxel

SUMMED = "all, summed"


def new_canvas(width_in: float, height_in: float) -> Any:
    """A figure in a Qt widget, at 100 dots per inch."""
    from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg

    canvas: Any = FigureCanvasQTAgg(Figure(figsize=(width_in, height_in), dpi=100))
    canvas.setMinimumHeight(round(100 * height_in))
    return canvas


def new_text(text: str) -> Any:
    """A text that wraps its lines."""
    from qtpy.QtWidgets import QLabel

    shown: Any = QLabel(text)
    shown.setWordWrap(True)
    return shown


class Panel:
    """A drawing with a note, and work in the background whose values `_take` draws.

    One job runs at a time; the latest request replaces the others.
    """

    def __init__(self, window: GrainWindow, size_in: tuple[float, float], note: str) -> None:
        self.window = window
        self.canvas = new_canvas(*size_in)
        self.note = new_text(note)
        self._waiting: tuple[Callable[[], Iterator[Any]], int] | None = None
        self._worker: Any = None

    @property
    def busy(self) -> bool:
        """Whether a job runs or waits."""
        return self._worker is not None or self._waiting is not None

    def _start(self, job: Callable[[], Iterator[Any]], steps: int = 0) -> None:
        """Start a job of so many steps (0 where unknown); one that runs is asked to stop first."""
        self._waiting = (job, steps)
        if self._worker is None:
            self._next()
        else:
            self._worker.quit()

    def _next(self) -> None:
        from napari.qt.threading import create_worker

        self._worker = None
        if self._waiting is None:
            return
        (job, steps), self._waiting = self._waiting, None
        progress = {"total": steps} if steps else False
        self._worker = create_worker(job, _start_thread=False, _progress=progress)
        self._worker.yielded.connect(self._yielded)
        self._worker.errored.connect(self._failed)
        self._worker.finished.connect(self._next)
        self._worker.start()

    def _yielded(self, value: Any) -> None:
        # What a job that was given up still yields is out of date.
        if self._waiting is None:
            self._take(value)

    def _stack(self, *parts: Any) -> None:
        from qtpy.QtWidgets import QVBoxLayout, QWidget

        self.widget: Any = QWidget()
        layout = QVBoxLayout(self.widget)
        for part in parts:
            layout.addWidget(part)
        layout.addStretch()

    def _take(self, value: Any) -> None:
        raise NotImplementedError

    def _failed(self, error: Exception) -> None:
        self.note.setText(str(error))


class VoxelPanel(Panel):
    """Values and orientation distribution of one voxel."""

    def __init__(self, window: GrainWindow) -> None:
        from qtpy.QtCore import Qt

        super().__init__(window, (3.1, 2.9), "")
        self.text = new_text("click on a voxel")
        self.text.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._stack(self.text, self.canvas, self.note)

    def show(self, voxel: Voxel) -> None:
        """Read out a voxel, and begin to gather its distribution from the frames."""
        grain = self.window.scene.grain
        self.text.setText(_describe(grain, voxel))
        self.window.dock.tabs.setCurrentWidget(self.widget)
        try:
            model = self.window.dock.frames.model()
        except (Recon3DError, OSError) as error:
            self._failed(error)
            return
        self.note.setText("gathering what the frames say of this voxel …")
        self.tilt_mdeg = 1e3 * np.asarray(grain.orientation[voxel], float)
        self.projections = len(model.projections)

        def job() -> Iterator[VoxelEvidence]:
            from recon3d.reconstruction.quality.reprojection import look_at_voxel, voxel_bins

            yield from look_at_voxel(model, voxel_bins(model), grain.volume.centre_um(voxel))

        self._start(job, self.projections)

    def _take(self, seen: VoxelEvidence) -> None:
        done = seen.omega_deg.size == self.projections
        if seen.omega_deg.size % 10 and not done:
            return  # every tenth state is enough to watch it grow
        self.canvas.figure.clear()
        ax = self.canvas.figure.add_axes((0.2, 0.18, 0.74, 0.72))
        draw_tilt_map(
            ax,
            seen.tilts / max(float(seen.tilts.max()), 1e-30),
            ("a: μ at ω = 0 (mdeg)", 1e3 * seen.bins.a_deg),
            ("b: γ at ω = 0 (mdeg)", 1e3 * seen.bins.b_deg),
        )
        mark_tilt(ax, self.tilt_mdeg)
        self.canvas.draw_idle()
        if done:
            self.note.setText("light of the frames at this voxel, turned back to ω = 0")

    def _failed(self, error: Exception) -> None:
        super()._failed(error)
        self.canvas.figure.clear()
        self.canvas.draw_idle()


def _describe(grain: Grain, voxel: Voxel) -> str:
    """What is known of a voxel, a line each."""

    def at(array: Any) -> float:
        return float(np.asarray(array[voxel]))

    x, y, z = grain.volume.centre_um(voxel)
    lines = [f"voxel {voxel[0]}, {voxel[1]}, {voxel[2]}", f"x {x:.3f}  y {y:.3f}  z {z:.3f} µm"]
    a, b = np.asarray(grain.orientation[voxel]).tolist()
    if np.isfinite(a):
        lines.append(f"μ, γ at ω = 0 (a, b): {1e3 * a:.2f}, {1e3 * b:.2f} mdeg")
        lines.append(f"spread: {1e3 * at(grain.orientation_spread):.2f} mdeg")
    else:
        lines.append("orientation: unknown (outside the mask)")
    lines.append(f"completeness: {at(grain.completeness):.3f}")
    lines.append(f"occupancy: {at(grain.occupancy):.3f}")
    if grain.strain is not None:
        lines.append(f"strain along G: {1e6 * at(grain.strain):.1f} · 10⁻⁶")
    return "\n".join(lines)


class FramesPanel(Panel):
    """Choose ω and a frame, and see measured and modelled side by side."""

    def __init__(self, window: GrainWindow) -> None:
        from magicgui import widgets as gui

        note = "frames need the cleaned scan that the grain was made from"
        super().__init__(window, (3.1, 4.6), note)
        self._found: ScanModel | None = None
        self._shown: tuple[int, NDArray[np.float32], NDArray[np.float32]] | None = None
        self.omega = gui.Slider(label="projection", min=0, max=1, value=0)
        self.omega.tracking = False
        self.frame = gui.ComboBox(label="frame", choices=[SUMMED])
        self.load = gui.PushButton(text="show frames")
        controls = gui.Container(widgets=[self.omega, self.frame, self.load])
        self._stack(controls.native, self.note, self.canvas)
        self.load.changed.connect(lambda: self.jump(self.omega.value))
        self.omega.changed.connect(self.jump)
        self.frame.changed.connect(lambda: self._draw())

    def model(self) -> ScanModel:
        """The scan, opened when first needed; a ParameterError says where it was looked for."""
        if self._found is None:
            from recon3d.reconstruction.quality.reprojection import find_model

            window = self.window
            self._found = find_model(window.scene.coarse, window.path, window.scan, window.ini)
            with self.omega.changed.blocked():
                self.omega.max = len(self._found.projections) - 1
        return self._found

    def jump(self, number: int) -> None:
        """Show the projection of some number among those that were used."""
        try:
            model = self.model()
        except (Recon3DError, OSError) as error:
            self._failed(error)
            return
        number = min(number, len(model.projections) - 1)
        with self.omega.changed.blocked():
            self.omega.value = number
        projection, grain = int(model.projections[number]), self.window.scene.coarse
        self.note.setText(f"ω = {model.omega_deg(projection):.2f}°: projecting the grain …")

        def job() -> Iterator[tuple[int, Any, Any]]:
            from recon3d.reconstruction.quality.reprojection import reproject

            yield projection, model.frames(projection), reproject(grain, model, projection)

        self._start(job)

    def _take(self, shown: tuple[int, Any, Any]) -> None:
        self._shown = shown
        numbers = [SUMMED, *(str(i) for i in range(len(shown[1])))]
        if len(numbers) != len(self.frame.choices):
            with self.frame.changed.blocked():
                self.frame.choices = numbers
        self._draw()

    def _draw(self) -> None:
        if self._shown is None:
            return
        projection, *frames = self._shown
        model, chosen = self.model(), self.frame.value
        pick = slice(None) if chosen == SUMMED else slice(int(chosen), int(chosen) + 1)
        measured, modelled = (part[pick].sum(axis=0) for part in frames)
        extent = image_extent(measured.shape, model.pixel_um)
        self.canvas.figure.clear()
        room = {"hspace": 0.45, "top": 0.93, "bottom": 0.1}
        axes = self.canvas.figure.subplots(2, 1, gridspec_kw=room)
        draw_comparison(axes[0], axes[1], measured, modelled, extent)
        self._mark(axes, projection)
        self.canvas.draw_idle()
        where = f"ω = {model.omega_deg(projection):.2f}°"
        if chosen != SUMMED:
            place, settings = (projection, int(chosen)), model.settings
            mu, gamma = settings.mu_deg[place], settings.gamma_deg[place]
            where += f", μ = {mu:.3f}°, γ = {gamma:.3f}°"
        self.note.setText(where)

    def _mark(self, axes: Any, projection: int) -> None:
        """Mark where the clicked voxel lands."""
        from recon3d.reconstruction.quality.reprojection import place_of

        if self.window.voxel is None:
            return
        volume = self.window.scene.grain.volume
        row, col = place_of(self.model(), projection, volume.centre_um(self.window.voxel))
        height, width = self.model().pixel_um
        for ax in axes:
            ax.plot((col + 0.5) * width, (row + 0.5) * height, "o", mfc="none", color="w")
