"""A figure in a browser: how large it is, and what of it is drawn and sent."""

from __future__ import annotations

import io
import zlib
from typing import Any

import anywidget
import ipywidgets as controls
import numpy as np
import traitlets
from ipympl.backend_nbagg import Canvas, FigureManager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from recon3d.widgets.controls.background import TOUCHING

WIDTH_IN = 10.8
"""Width of a figure: what JupyterLab, without its side bar, leaves of a screen 1280 pixels wide."""
DPI = 100
NARROWEST_PX, WIDEST_PX = 560, 1800
TOOLBAR_PX = 60
"""What the toolbar beside a figure, and its frame, take."""
TALLEST = 1.35
"""How much taller a figure becomes at most on a wide page, which is not a high one."""


class WholeCanvas(Canvas):  # type: ignore[misc]
    """A canvas that sends every picture whole, not only the pixels that changed.

    A browser drops a picture that it is still loading when the next one arrives, and what had
    changed in it would never be seen.
    """

    _png_is_old: bool
    _still: Any = None
    """The picture without the animated artists and axes, as it was drawn last."""
    _still_size: tuple[int, int] = (0, 0)

    def draw(self) -> None:
        """Draw everything, and send it."""
        with TOUCHING:
            self._still = None
            self.handle_draw()

    def handle_draw(self, _event: Any = None) -> None:
        """Draw, as a browser asks for it: only what is animated where nothing else has changed.

        A figure is stale when an artist has changed that is not animated. Ticks and texts take
        longest to draw, so an artist or axes that a slider changes should be animated.
        """
        size = self.get_width_height()
        if self._still is None or self.figure.stale or self._still_size != size:
            FigureCanvasAgg.draw(self)
            self._still_size = size
            self._still = self.copy_from_bbox(self.figure.bbox)
        self.restore_region(self._still)
        inside = (child for ax in self.figure.axes for child in ax.get_children())
        for children in (inside, self.figure.get_children()):
            for artist in sorted(children, key=lambda artist: artist.get_zorder()):
                if artist.get_animated():
                    artist.draw(self.get_renderer())
        self._png_is_old = True
        self.manager.refresh_all()

    def _handle_message(self, widget: Any, content: dict[str, Any], buffers: Any) -> None:
        with TOUCHING:
            super()._handle_message(widget, content, buffers)
        if content.get("type") == "initialized":
            self.send_state("resizable")  # a browser sets it, and draws a handle in the corner

    def print_figure(self, *args: Any, **kwargs: Any) -> Any:
        """Save the figure; matplotlib would leave out animated axes and texts."""
        with TOUCHING:
            moving = [child for child in self.figure.get_children() if child.get_animated()]
            for child in moving:
                child.set_animated(False)
            try:
                return super().print_figure(*args, **kwargs)
            finally:
                for child in moving:
                    child.set_animated(True)

    def get_diff_image(self) -> bytes | None:
        """The picture as a PNG file; None where the one that was sent is still right."""
        if not self._png_is_old:
            return None
        self._png_is_old = False
        self.set_image_mode("full")
        pixels = np.array(self.get_renderer().buffer_rgba())
        self._last_buff = pixels.view(np.uint32).squeeze(2)
        with io.BytesIO() as png:
            # A figure is opaque, and noise: runs pack it as small in two thirds of the time.
            Image.fromarray(pixels[..., :3]).save(png, format="png", compress_type=zlib.Z_RLE)
            return png.getvalue()


def new_canvas(height_in: float, width_in: float = WIDTH_IN) -> Canvas:
    """A canvas for a figure that grows and shrinks with the page, without pyplot and its state.

    `height_in` and `width_in`: size in inches, at 100 pixels an inch.
    """
    figure = Figure(figsize=(width_in, height_in), dpi=DPI)
    canvas = WholeCanvas(figure)
    # A browser learns the size at once, and not only when the cell that runs has ended.
    FigureManager(canvas, 0).resize(*canvas.get_width_height())
    canvas.header_visible = False
    canvas.footer_visible = True
    canvas.resizable = False
    canvas.toolbar_position = "right"
    canvas.toolbar_visible = "fade-in-fade-out"
    canvas.designed_in = (width_in, height_in)
    return canvas


def push(canvas: Canvas) -> None:
    """Draw a figure and send it at once: while a cell runs, no browser can ask for it."""
    canvas.draw()
    canvas.manager.refresh_all()


class PageWidth(anywidget.AnyWidget):
    """A line of no height that tells a message when a page shows it, and how wide it is then."""

    _esm = """
    function render({ model, el }) {
      const tell = () => {
        const width = Math.floor(el.getBoundingClientRect().width);
        if (width > 0 && width !== model.get("width_px")) {
          model.set("width_px", width);
          model.save_changes();
        }
      };
      const watch = new ResizeObserver(tell);
      watch.observe(el);
      model.send("shown");
      return () => watch.disconnect();
    }
    export default { render };
    """
    width_px = traitlets.Int(0).tag(sync=True)

    def __init__(self) -> None:
        super().__init__(layout=controls.Layout(width="100%", height="0px", margin="0px"))


def size_for(
    designed_in: tuple[float, float], widest_in: float, page_px: int, dpi: float
) -> tuple[float, float]:
    """Size in inches, on a page of `page_px`, of a figure designed for one of `widest_in`."""
    room = min(max(page_px - TOOLBAR_PX, NARROWEST_PX), WIDEST_PX) / dpi
    scale = room / widest_in
    return designed_in[0] * scale, designed_in[1] * min(max(scale, 0.8), TALLEST)
