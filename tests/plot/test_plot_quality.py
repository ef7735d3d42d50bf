"""The figure of trust: what is drawn is what the grain holds."""

import numpy as np
import pytest

from recon3d.errors import ParameterError
from recon3d.plot import quality_figure

OMEGA = np.arange(0, 180, 30.0)


def trusted(make, **changes):
    known = {
        "residual": np.array([0.4, 0.2, 0.15]),
        "projections": {
            "omega": OMEGA,
            "residual": np.array([0.1, 0.1, 0.5, 0.1, 0.1, 0.1]),
            "suspect": np.array([0, 0, 1, 0, 0, 0.0]),
            "drift": np.stack([0.01 * OMEGA, -0.02 * OMEGA], axis=1),
        },
        "curves": {
            "fsc_frequency": np.array([0, 0.5, 1.0, 1.5]),
            "fsc": np.array([1, 0.9, 0.5, 0.1]),
            "fsc_threshold": np.array([0.6, 0.4, 0.3, 0.25]),
        },
        "provenance": {"method": "iterative", "resolution_nm": 800.0},
    }
    return make(**(known | changes))


def lines(ax):
    return {line.get_label(): line for line in ax.get_lines()}


def test_every_panel_shows_its_numbers(grain_factory):
    grain = trusted(grain_factory)
    figure = quality_figure(grain)
    passes, projections, drift, shells = figure.axes
    assert passes.get_lines()[0].get_ydata() == pytest.approx(grain.residual)
    assert lines(projections)["suspect"].get_xdata() == pytest.approx([60])
    assert lines(drift)["rows"].get_ydata() == pytest.approx(0.01 * OMEGA)
    assert lines(drift)["columns"].get_ydata() == pytest.approx(-0.02 * OMEGA)
    assert lines(shells)["two halves"].get_ydata() == pytest.approx([1, 0.9, 0.5, 0.1])
    assert shells.get_lines()[2].get_xdata()[0] == pytest.approx(1.25)
    assert "800 nm" in shells.get_title()
    figure.canvas.draw()
    assert np.asarray(figure.canvas.buffer_rgba())[..., :3].std() > 5


def test_without_halves_there_is_no_shell_correlation(grain_factory):
    assert len(quality_figure(trusted(grain_factory, curves={})).axes) == 3


def test_a_backprojection_has_nothing_to_show(grain_factory):
    grain = trusted(grain_factory, residual=np.zeros(0), provenance={"method": "backprojection"})
    with pytest.raises(ParameterError, match="backprojection has no residuals"):
        quality_figure(grain)
