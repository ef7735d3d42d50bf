"""How wide the page is: figures are made to fit it."""

from __future__ import annotations

import anywidget
import ipywidgets as controls
import traitlets

NARROWEST_PX, WIDEST_PX = 560, 1800
TOOLBAR_PX = 60
"""What the toolbar beside a figure, and its frame, take."""
TALLEST = 1.35
"""How much taller a figure becomes at most on a wide page, which is not a high one."""


class PageWidth(anywidget.AnyWidget):
    """A line of no height that tells how wide it is, whenever that changes."""

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
