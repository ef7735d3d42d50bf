"""What of a figure is drawn anew, and what a page tells it, maybe from another thread."""

import io
import threading

import numpy as np

from recon3d.widgets import RegionOfInterest, Threshold
from recon3d.widgets.controls.background import Background
from recon3d.widgets.controls.canvas import new_canvas
from recon3d.widgets.controls.panel import Panel, button, mend_button, row


def test_a_browser_that_has_begun_is_told_again_that_nothing_is_resized(monkeypatch):
    canvas = new_canvas(2.0)
    sent = []
    monkeypatch.setattr(canvas, "send_state", sent.append)
    # By then the script of the page has set its own copy to true, and draws a handle.
    canvas._handle_message(canvas, {"type": "initialized"}, [])
    assert sent == ["resizable"]
    assert canvas.resizable is False


def test_a_page_that_opens_is_sent_what_changed_before_it_listened(monkeypatch):
    panel = Panel()
    hidden, inner = mend_button(lambda: None, "tip"), Panel()
    panel.children = [row(hidden, inner), new_canvas(2.0), panel.status]
    sent = []
    for part in (hidden, hidden.layout, inner.status, panel.status):
        monkeypatch.setattr(part, "send_state", lambda part=part: sent.append(part))
    panel.page._handle_custom_msg("shown", [])
    assert sent == [hidden, hidden.layout, panel.status]  # the other panel is told by its own page


def test_a_figure_is_drawn_and_a_button_answers_when_nobody_else_changes_figures():
    canvas, pressed = new_canvas(2.0), []
    other = button("Keep all", lambda: pressed.append(1))
    told = [
        threading.Thread(target=canvas._handle_message, args=(canvas, {"type": "draw"}, [])),
        threading.Thread(target=other.click),
    ]
    waited = []

    def take(_):
        for thread in told:
            thread.start()
            thread.join(0.3)
            waited.append(thread.is_alive())

    background = Background()
    background.start(iter([1]), take)
    background.wait()
    for thread in told:
        thread.join(20)
    assert waited == [True, True]
    assert canvas._still is not None
    assert pressed == [1]


def counted_drawings(canvas, monkeypatch):
    """How often everything in a canvas has been drawn, as a list that grows."""
    drawn, draw = [], canvas.figure.draw
    monkeypatch.setattr(canvas.figure, "draw", lambda renderer: (drawn.append(1), draw(renderer)))
    return drawn


def picture(canvas):
    canvas.handle_draw()
    return np.array(canvas.buffer_rgba())


def test_only_what_is_animated_is_drawn_where_nothing_else_has_changed(monkeypatch):
    canvas = new_canvas(2.0)
    ax, bar = (
        canvas.figure.add_axes((0.1, 0.2, 0.6, 0.7)),
        canvas.figure.add_axes((0.8, 0.2, 0.1, 0.7)),
    )
    line = ax.axvline(0.2)
    for moving in (line, bar):
        moving.set_animated(True)
    drawn = counted_drawings(canvas, monkeypatch)
    first = picture(canvas)
    line.set_xdata([0.7, 0.7])
    bar.set_ylim(0, 7)
    second = picture(canvas)
    assert len(drawn) == 1
    assert np.any(second[:, :700] != first[:, :700])
    assert np.any(second[:, 800:] != first[:, 800:])
    ax.set_ylim(0, 3)
    assert np.any(picture(canvas) != second)
    assert len(drawn) == 2


def test_a_saved_figure_holds_what_is_animated():
    canvas = new_canvas(2.0)
    canvas.figure.add_axes((0.1, 0.2, 0.6, 0.7))
    files = []
    for animated in (False, True):
        canvas.figure.axes[0].set_animated(animated)
        files.append(io.BytesIO())
        canvas.figure.savefig(files[-1])
    assert files[0].getvalue() == files[1].getvalue()
    assert canvas.figure.axes[0].get_animated()


def test_a_threshold_that_moves_draws_no_tick_anew(simulated, monkeypatch):
    widget = Threshold(simulated.scan)
    widget.background.wait()
    widget.refresh()  # with the projection's own dark frame
    widget.background.wait()
    before = picture(widget.canvas)
    drawn = counted_drawings(widget.canvas, monkeypatch)
    widget.binth.value += 10 - widget.binth.value % 10
    assert np.any(picture(widget.canvas) != before)
    assert not drawn


def test_another_projection_draws_no_tick_of_the_frame_anew(simulated, monkeypatch):
    widget = RegionOfInterest(simulated.scan)
    widget.background.wait()
    before = picture(widget.canvas)
    drawn = counted_drawings(widget.canvas, monkeypatch)
    widget.projection.value = 0
    assert np.any(picture(widget.canvas) != before)
    assert not drawn
