"""What all widgets share: a canvas, controls beside it, and a status line."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as controls
import numpy as np
from traitlets import CFloat, validate

from recon3d.config.declare import Setting, as_text
from recon3d.config.settings_file import SettingsFile
from recon3d.errors import Recon3DError
from recon3d.widgets.controls.background import TOUCHING, Background
from recon3d.widgets.controls.canvas import DPI, WIDTH_IN, PageWidth, WholeCanvas, size_for
from recon3d.widgets.display import is_served

_GONE = """<style>
.recon3d-gone { display: none; }
.jp-NotebookPanel .recon3d-gone {
  display: block; color: #c00000; opacity: 0; animation: recon3d-gone 0s 3s forwards; }
@keyframes recon3d-gone { to { opacity: 1; } }
.jp-OutputArea:has(.recon3d-panel:not(.jupyter-widgets-disconnected))
  .jp-OutputArea-child:has(.recon3d-gone) { display: none; }
.jp-NotebookPanel .recon3d-panel.jupyter-widgets-disconnected:not(.recon3d-panel *) {
  opacity: 0.4; pointer-events: none; }
</style>
<div class="recon3d-gone">
The kernel of these controls has ended: run the cells again, from the first.</div>
"""
"""A line that JupyterLab shows where the widget after it is missing, or has lost its kernel."""


class Panel(controls.VBox):  # type: ignore[misc]
    """A box of controls and figures with a status line, and a thread for what takes long.

    Subclasses fill `self.children`, redraw in `refresh`, and offer `value` and `params`.
    `settings`: the settings file to which `save` writes; None for none.
    """

    def __init__(self, settings: SettingsFile | None = None) -> None:
        self.page = PageWidth()
        super().__init__()
        self.add_class("recon3d-panel")
        self.page.observe(lambda _: self.attempt(self._fit), "width_px")
        self.page.on_msg(lambda *_: self.attempt(self._tell_again))
        self.settings = settings
        self.status = controls.HTML()
        self.background = Background(self._show_error)
        self._failed: Exception | None = None

    def _ipython_display_(self) -> None:
        """Show the widget, and where it is gone, as its kernel ended, what to do."""
        from IPython.display import HTML, display

        if not is_served():
            display(HTML(_GONE))
        display(self._repr_mimebundle_(), raw=True)

    @validate("children")
    def _below_page(self, proposed: dict[str, Any]) -> tuple[Any, ...]:
        """Keep the line that measures the page first."""
        others = [child for child in proposed["value"] if child is not self.page]
        return (self.page, *others)

    def _tell_again(self) -> None:
        """Send a page that has just opened what every control shows.

        What changes after a page has asked for it, and before it listens, is lost.
        """
        for part in self._parts(self):
            # Figures ask for their pictures themselves.
            if isinstance(part, controls.CoreWidget) and not isinstance(part, controls.Box):
                part.send_state()
            part.layout.send_state()

    def _fit(self) -> None:
        """Give every figure the width that the page has now."""
        canvases = (part for part in self._parts(self) if isinstance(part, WholeCanvas))
        for canvas in canvases:
            size = size_for(canvas.designed_in, WIDTH_IN, self.page.width_px, DPI)
            if not np.allclose(size, canvas.figure.get_size_inches(), atol=0.02):
                canvas.figure.set_size_inches(*size)
                canvas.draw_idle()

    def _parts(self, box: controls.Widget) -> Iterator[controls.DOMWidget]:
        """All controls and figures in a box, but those of panels within, which do the same."""
        for child in getattr(box, "children", ()):
            yield child
            if not isinstance(child, Panel):
                yield from self._parts(child)

    @property
    def params(self) -> dict[str, Any]:
        """What was chosen, by the keys of the settings file; nothing where none is chosen."""
        return {}

    def save(self) -> None:
        """Write what was chosen to the settings file, where there is one."""
        if self.settings is not None:
            self.settings.update(self.params)

    def finish(self, ready: Callable[[], bool], timeout_s: float = 600.0) -> None:
        """Wait until a choice is ready, save it, and tell what was saved.

        On a served page a button is shown in its place: nobody has asked for anything yet. Raises a
        TimeoutError after `timeout_s`, and the error that kept the data from choosing.
        """
        if is_served():
            from IPython.display import display

            display(button("Save", lambda: self.attempt(self._save_shown), "what is shown above"))
            return
        self.background.wait(timeout_s, until=ready)
        if not ready() and self._failed is not None:
            raise self._failed
        print(self._saved())

    def _saved(self) -> str:
        """Save what was chosen, and tell it."""
        self.save()
        saved = ", ".join(f"{key} {as_text(value)}" for key, value in self.params.items())
        where = "" if self.settings is None else f" in {self.settings.path.name}"
        return f"saved{where}: {saved}"

    def _save_shown(self) -> None:
        self.tell(self._saved())

    def tell(self, text: str, *, bad: bool = False) -> None:
        """Show a line of text; a bad one in a colour that stands out."""
        color = "#c00000" if bad else "#333333"
        self.status.value = f'<span style="color:{color}">{html.escape(text)}</span>'

    def _show_error(self, error: Exception) -> None:
        self._failed = error
        self.tell(str(error), bad=True)

    def attempt(self, work: Any, *arguments: Any) -> bool:
        """Do something, and show one of our errors in place of a traceback; whether it was done."""
        with TOUCHING:
            try:
                work(*arguments)
            except Recon3DError as error:
                self._show_error(error)
                return False
        return True

    def answer_to(self, *moved: Any, by: Callable[[], Any] | None = None) -> None:
        """Call `by` (`refresh` where None), and show its error, whenever one of controls moves."""
        for control in moved:
            control.observe(lambda _: self.attempt(by or self.refresh), "value")

    def refresh(self) -> None:
        """Draw what is chosen."""

    def close(self) -> None:
        """End the work in the background, and the widget."""
        self.background.cancel()
        super().close()

    def __del__(self) -> None:
        if "background" in vars(self):  # else its arguments were refused, and there is nothing
            super().__del__()


def row(*children: Any) -> controls.HBox:
    """Controls side by side, that go on below where the page is narrow."""
    layout = controls.Layout(flex_flow="row wrap", align_items="center")
    return controls.HBox(children, layout=layout)


class ExactSlider(controls.FloatSlider):  # type: ignore[misc]
    """A slider that keeps the exact value it was given until somebody moves it.

    A browser shows the step nearest to the value, and reports that step as soon as it is shown.
    """

    value = CFloat(0.0).tag(sync=True, from_json=lambda shown, self: self._reported(shown))
    _shown: tuple[float, float] | None = None
    """An exact value, and the step that a browser shows for it."""

    def _reported(self, shown: float) -> float:
        known = self._shown
        if known is None or known[0] != self.value:
            if abs(shown - self.value) < 0.51 * self.step:
                self._shown = (self.value, shown)
                return self.value
        elif known[1] == shown:
            return self.value
        return shown


def slider(
    name: str, value: float, low: float, high: float, *, step: float = 1, tip: str = ""
) -> Any:
    """A slider, of whole numbers where the value is one; as long as the value needs it."""
    kind = controls.IntSlider if isinstance(value, int) else ExactSlider
    return kind(
        value=value,
        min=min(low, value),
        max=max(high, value),
        step=step,
        description=name,
        tooltip=tip,
        continuous_update=True,
        style={"description_width": "130px"},
        layout=controls.Layout(width="350px"),
    )


def check(name: str, value: bool, tip: str = "") -> controls.Checkbox:
    """A box to tick."""
    return controls.Checkbox(
        value=value,
        description=name,
        tooltip=tip,
        indent=False,
        layout=controls.Layout(width="auto", margin="0 14px 0 0"),
    )


def choice(name: str, options: Any, value: Any, tip: str = "") -> controls.Dropdown:
    """A list to choose from."""
    return controls.Dropdown(
        options=options,
        value=value,
        description=name,
        tooltip=tip,
        style={"description_width": "100px"},
        layout=controls.Layout(width=f"{max(150 + 8 * max(map(len, map(str, options))), 270)}px"),
    )


WIDE: dict[str, Any] = {"style": {"description_width": "190px"}, "layout": {"width": "580px"}}
"""Room for the name and unit of a key, and for a path."""


def wide_choice(name: str, options: Any, value: Any, tip: str = "") -> controls.Dropdown:
    """A list to choose from, as wide as a `text_line`."""
    return controls.Dropdown(options=options, value=value, description=name, tooltip=tip, **WIDE)


def text_line(name: str, placeholder: str, tip: str) -> controls.Text:
    """A line of text that is taken when it is left or Enter is pressed."""
    return controls.Text(
        description=name, placeholder=placeholder, tooltip=tip, continuous_update=False, **WIDE
    )


def control(
    declared: Setting,
    value: Any,
    low: float = 0,
    high: float = 1,
    *,
    step: float = 1,
    label: str = "",
) -> Any:
    """The control of a setting: a box to tick, a list, or a slider, with its help as the tip.

    `low`, `high`, `step`: what a slider covers. `label`: what stands beside it; the setting's key
    where empty.
    """
    label = label or declared.key
    if declared.single is bool:
        return check(label, value, declared.help)
    if declared.choices:
        return choice(label, declared.choices, value, declared.help)
    if declared.unit and declared.unit not in label:
        label = f"{label} ({declared.unit})"
    return slider(label, value, low, high, step=step, tip=declared.help)


def button(name: str, action: Any, tip: str = "") -> controls.Button:
    """A button that calls `action()`."""
    made = controls.Button(description=name, tooltip=tip, layout=controls.Layout(width="auto"))

    def pressed(_: Any) -> None:
        with TOUCHING:
            action()

    made.on_click(pressed)
    return made


def mend_button(action: Any, tip: str) -> controls.Button:
    """A red button that mends what is in doubt, hidden until there is something."""
    made = button("Mend", action, tip)
    made.button_style = "danger"
    show_if(False, made)
    return made


def show_if(shown: bool, widget: controls.DOMWidget) -> None:
    """Show a control or a figure, or take it off the page."""
    widget.layout.display = None if shown else "none"
