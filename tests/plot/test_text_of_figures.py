"""What is written in a figure lies inside it, and over no other panel."""

from collections.abc import Iterator

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text

from recon3d.cleaning.frame_preview import FrameSteps
from recon3d.config.volume import Volume
from recon3d.files.grain import Grain
from recon3d.plot import slices_figure
from recon3d.plot.grain.slices import GrowingFigure
from recon3d.plot.lesson import missing_cone_figure, setup_figure, turning_figure
from recon3d.plot.parts import new_figure
from recon3d.plot.scan.cleaning import CleaningFigure


def texts_of(ax: Axes) -> Iterator[Text]:
    """What is written at a panel: ticks beyond its ends are not drawn."""
    if not ax.axison:
        yield from ax.texts
        return
    yield from (ax.title, ax.xaxis.label, ax.yaxis.label, *ax.texts)
    for axis in (ax.xaxis, ax.yaxis):
        low, high = sorted(axis.get_view_interval())
        yield from (t.label1 for t in axis.get_major_ticks() if low <= t.get_loc() <= high)


def misplaced(figure: Figure) -> list[str]:
    """Texts that lie over another panel than their own, or beyond the figure."""
    figure.canvas.draw()
    found = []
    for ax in figure.axes:
        others = [other.get_window_extent() for other in figure.axes if other is not ax]
        for text in (text for text in texts_of(ax) if text.get_text()):
            box = text.get_window_extent()
            if min(*box.min) < -1 or box.x1 > figure.bbox.x1 + 1 or box.y1 > figure.bbox.y1 + 1:
                found.append(f"{text.get_text()} is cut off")
            found += [f"{text.get_text()} is over a panel" for o in others if box.overlaps(o)]
    return found


def small_grain(tilt_deg: float) -> Grain:
    volume = Volume((0.0, 0.0, 0.0), (13.3, 13.3, 13.3), (4, 4, 4))
    mask = np.ones(volume.shape, bool)
    tilts = tilt_deg * np.linspace(-1, 1, 128).reshape(4, 4, 4, 2)
    return Grain(
        volume,
        occupancy=mask.astype(np.float32),
        mask=mask,
        orientation=tilts.astype(np.float32),
        orientation_spread=np.full(mask.shape, 0.01, np.float32),
        completeness=mask.astype(np.float32),
        provenance={"method": "iterative"},
    )


@pytest.mark.parametrize("what", ["orientation", "spread"])
def test_slices_and_their_key(what):
    assert misplaced(slices_figure(small_grain(0.0648), what)) == []


def test_slices_can_have_the_colours_of_another_grain():
    wide, narrow = small_grain(0.08), small_grain(0.02)
    own, same = slices_figure(narrow), slices_figure(narrow, like=wide)
    numbers = [[t.get_text() for t in figure.axes[3].get_xticklabels()] for figure in (own, same)]
    assert numbers[0] != numbers[1]
    assert numbers[1] == [t.get_text() for t in slices_figure(wide).axes[3].get_xticklabels()]
    assert np.ptp(same.axes[0].images[0].get_array()) < np.ptp(own.axes[0].images[0].get_array())


def test_the_lesson():
    tilts = [(0.05, 0.0), (0.02, 0.03), (-0.03, 0.04)]
    for figure in (setup_figure(10.4), missing_cone_figure(10.4), turning_figure(tilts)):
        assert misplaced(figure) == []
    legend = turning_figure(tilts).legends[0]
    legend.figure.canvas.draw()
    below = legend.get_window_extent().y1
    assert all(ax.xaxis.label.get_window_extent().y0 > below for ax in legend.figure.axes)


@pytest.mark.parametrize("width_in", [7.9, 10.8, 18.0])
def test_a_growing_grain_and_the_steps_of_cleaning(width_in):
    growing = new_figure(width_in, 5.8)
    GrowingFigure(growing, small_grain(0.05).volume)
    cleaning = new_figure(width_in, 5.2)
    image = np.arange(30.0 * 40).reshape(30, 40)
    CleaningFigure(cleaning, FrameSteps(*[image] * 4, image > 9, image, 1.0), 100.0)
    assert misplaced(growing) == []
    assert misplaced(cleaning) == []
