"""Figures have the width of the page: a browser draws no handle to resize them."""

from recon3d.widgets.controls.panel import new_canvas


def test_a_browser_that_has_begun_is_told_again_that_nothing_is_resized(monkeypatch):
    canvas = new_canvas(2.0)
    sent = []
    monkeypatch.setattr(canvas, "send_state", sent.append)
    # By then the script of the page has set its own copy to true.
    canvas._handle_message(canvas, {"type": "initialized"}, [])
    assert sent == ["resizable"]
    assert canvas.resizable is False
