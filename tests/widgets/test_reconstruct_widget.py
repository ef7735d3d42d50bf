"""A reconstruction that is started, watched and stopped."""

import time

import numpy as np
import pytest

from recon3d.config.settings_file import SettingsFile
from recon3d.files.grain import Grain
from recon3d.reconstruction.run import reconstruct
from recon3d.widgets import Reconstruct


@pytest.fixture
def widget(finished, tmp_path):
    settings = SettingsFile(tmp_path / "choices.ini")
    return Reconstruct(finished.store, finished.experiment, settings, folder=tmp_path)


def test_the_controls_are_the_parameters(widget):
    widget.method.value = "backprojection"
    widget.voxels.value = 12
    widget.cutoff.value = 0.9
    chosen = widget.value
    assert chosen.volume.shape == (12, 12, 12)
    assert chosen.settings.method == "backprojection"
    assert widget.params["completeness_cutoff"] == 0.9
    assert widget.params["bin_size"] is None
    # What has no control stays as the .ini file has it.
    assert chosen.settings.rocking_width_deg == 0.016
    assert all(control.tooltip for control in (widget.method, widget.voxels, widget.tv_weight))


def test_it_runs_and_gives_what_the_library_gives(widget, finished, tmp_path, drawn):
    before = drawn(widget.canvas)
    widget.start()
    assert widget.start_button.disabled
    widget.done()
    assert widget.grain is not None
    assert not widget.start_button.disabled
    assert widget.bar.value == widget.bar.max
    assert list(widget._figure.residual.get_ydata()) == list(widget.grain.residual)
    assert np.mean(before != drawn(widget.canvas)) > 0.02
    same = reconstruct(finished.store, widget.value, show_progress=False)
    saved = Grain.load(tmp_path / "grain.h5")
    np.testing.assert_allclose(saved.occupancy, same.occupancy, atol=1e-4)
    assert widget.settings.read()["iterations"] == "2"


def test_a_grain_that_is_there_is_shown_and_started_anew_when_asked(finished):
    widget = finished.reconstruct()
    grain = finished.grain
    assert list(widget._figure.residual.get_ydata()) == pytest.approx(list(grain.residual))
    assert "there already: press Start" in widget.status.value
    assert widget.grain is None  # `done` starts


def test_it_can_be_stopped_and_leaves_nothing(widget, tmp_path):
    widget.iterations.value = 30
    widget.start()
    widget.stop()
    widget.background.wait()
    assert widget.grain is None
    assert "nothing was written" in widget.status.value
    assert not (tmp_path / "grain.h5").exists()
    assert widget.stop_button.disabled


def test_an_error_is_shown_in_words(widget):
    widget.memory.min = 0
    widget.memory.value = 0.0
    widget.start()
    widget.background.wait()
    assert "memory_gib is 0.0" in widget.status.value
    assert not widget.running


def test_the_time_left_is_told_from_the_passes_so_far(widget):
    widget.bar.max, widget.bar.value = 14, 4
    widget._fit_began = time.time() - 6
    assert widget._time_left(2) == "about 30 s left at most"
