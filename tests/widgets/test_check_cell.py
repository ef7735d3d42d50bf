"""The cell that tries a grain against its own scan."""

from recon3d.reconstruction.quality.trials import Trial
from recon3d.widgets import Session
from recon3d.widgets.controls.asked import Waiting


def test_a_grain_is_checked_when_the_button_is_pressed_and_told_in_words(finished, monkeypatch):
    asked = []

    def check(path):
        asked.append(path)
        return (Trial("wrong support", False, "residual < 1: not told"), Trial("b", True, "good"))

    monkeypatch.setattr("recon3d.widgets.session.check_grain", check)
    panel = Session.start(settings=finished.settings.path, show_progress=False).check_grain()
    assert isinstance(panel, Waiting)
    assert asked == []
    panel.button.click()
    panel.background.wait()
    assert asked == [finished.folder / "grain.h5"]
    table = panel.children[-1].value
    assert table.count("<tr>") == 2
    assert "BAD</td><th style='text-align:left'>wrong support</th>" in table
    assert "residual &lt; 1: not told" in table
