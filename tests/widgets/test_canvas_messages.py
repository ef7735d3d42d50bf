"""What a page tells a figure, which may come in another thread than the one that runs cells."""

import threading

from recon3d.widgets.controls.background import Background
from recon3d.widgets.controls.panel import button, new_canvas


def test_a_browser_that_has_begun_is_told_again_that_nothing_is_resized(monkeypatch):
    canvas = new_canvas(2.0)
    sent = []
    monkeypatch.setattr(canvas, "send_state", sent.append)
    # By then the script of the page has set its own copy to true, and draws a handle.
    canvas._handle_message(canvas, {"type": "initialized"}, [])
    assert sent == ["resizable"]
    assert canvas.resizable is False


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
