"""A drawing of Matplotlib among the widgets of the dock."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure


class Canvas:
    """A figure in a Qt widget, of some size in inches, at 100 dots per inch."""

    def __init__(self, width_in: float, height_in: float) -> None:
        from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg

        self.figure = Figure(figsize=(width_in, height_in), dpi=100)
        self.widget: Any = FigureCanvasQTAgg(self.figure)
        self.widget.setMinimumHeight(round(100 * height_in))

    def clear(self) -> None:
        """Take everything off the figure."""
        self.figure.clear()

    def draw(self) -> None:
        """Show what was drawn."""
        self.widget.draw_idle()
