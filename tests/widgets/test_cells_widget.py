"""The cells of a grain in the notebook, without a browser."""

import numpy as np
import pytest

from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.widgets import GrainCells, or_told, show_table


@pytest.fixture
def steps():
    """A box of three slabs along z, apart by 10 and by 60 mdeg, each 12 x 12 x 4 voxels."""
    volume = Volume((0, 0, 0), (7, 7, 7), (14, 14, 14))
    mask = np.zeros(volume.shape, bool)
    mask[1:-1, 1:-1, 1:-1] = True
    a = np.repeat([0.0, 0.0, 0.01, 0.07, 0.07], [1, 4, 4, 4, 1])
    tilts = np.zeros((*volume.shape, 2))
    tilts[..., 0] = a
    tilts[~mask] = np.nan
    return Grain(
        volume,
        occupancy=mask.astype(np.float32),
        mask=mask,
        orientation=tilts.astype(np.float32),
        orientation_spread=np.where(mask, 0, np.nan).astype(np.float32),
        completeness=mask.astype(np.float32),
    )


def test_the_data_choose_and_a_threshold_parts_otherwise(steps):
    widget = GrainCells(steps)
    assert widget.threshold.disabled
    assert len(widget.value) == 3
    widget.by_data.value = False
    widget.threshold.value = 30
    assert not widget.threshold.disabled
    assert [cell["voxels"] for cell in widget.value.table] == [2 * 12 * 12 * 4, 12 * 12 * 4]
    assert ">1152</td>" in widget.table.value
    assert ">voxels</th>" in widget.table.value
    assert ">strain</th>" not in widget.table.value  # it was not scanned
    assert "2 cells, 1 boundaries" in widget.status.value
    texts = {text.get_text() for ax in widget.canvas.figure.axes for text in ax.texts}
    assert {"1", "2"} <= texts


def test_a_grain_without_orientations_is_told(grain_factory):
    grain = grain_factory()
    nothing = np.full_like(grain.orientation, np.nan)
    widget = GrainCells(grain_factory(orientation=nothing))
    assert widget.value is None
    assert "no voxel" in widget.status.value


def test_boundaries_are_shown_as_a_table(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    rows = np.array([(10234, 2, 0.041271)], [("first", int), ("second", int), ("angle_deg", float)])
    show_table(rows, "first", "angle_deg")
    assert "<th>first</th><th>angle_deg</th>" in shown[0].data
    assert "<td>10234</td><td>0.04127</td>" in shown[0].data


def test_cells_go_on_after_an_error_of_ours_and_of_no_other(capsys):
    with or_told():
        raise ParameterError("no Burgers vector is known here")
    assert capsys.readouterr().out == "no Burgers vector is known here\n"
    with pytest.raises(KeyError), or_told():
        raise KeyError("mu")
