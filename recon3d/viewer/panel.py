"""A tab of the dock: a drawing of Matplotlib with a note, filled in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.figure import Figure

from recon3d.viewer.background import Jobs

if TYPE_CHECKING:
    from recon3d.viewer.window import GrainWindow


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
    """What the panels share: a drawing, a note, the window, and jobs whose values `_take` draws."""

    def __init__(self, window: GrainWindow, size_in: tuple[float, float], note: str) -> None:
        self.window = window
        self.canvas = new_canvas(*size_in)
        self.note = new_text(note)
        self.jobs = Jobs(self._take, self._failed)

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
