"""The dock's panels on a simulated scan, driven to their end: a voxel's distribution, a frame."""

from dataclasses import dataclass, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from matplotlib import colormaps

from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.reconstruction.run import reconstruct
from recon3d.scan.scan import open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import demo_plan
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulate_scan

STEP_DEG = 0.032


@dataclass(frozen=True)
class Planted:
    """A grain's file with its scan beside it, and the truth on its voxels."""

    path: Path
    inside: np.ndarray
    tilts_deg: np.ndarray


@pytest.fixture(scope="module")
def planted(tmp_path_factory) -> Planted:
    folder = tmp_path_factory.mktemp("panels")
    plan = replace(
        demo_plan(),
        omega_deg=tuple(15.0 * k for k in range(12)),
        rows=48,
        cols=52,
        magnification_pix_per_um=4.0,
    )
    phantom = make_phantom(size_um=8.0, spread_deg=0.05, seed=4)
    simulate_scan(folder, phantom, plan, voxels=24, show_progress=False)
    scan = open_scan(
        folder, "topotomo_", phi0_deg=plan.phi0_deg, chi0_deg=plan.chi0_deg, show_progress=False
    )
    cleaning = Cleaning(framebg=4, min_region_pix=40)
    store = clean(scan, cleaning, folder / "scan.h5", show_progress=False)
    given = Experiment.from_ini(folder / "experiment.ini")
    chosen = given.with_settings(method="backprojection", completeness_cutoff=0.9)
    grain = reconstruct(store, chosen, show_progress=False)
    grain.save(folder / "grain.h5")
    truth = Truth.load(folder / "truth.h5").sample_on(grain.volume)
    known = truth.inside & grain.mask
    return Planted(folder / "grain.h5", known, np.stack([truth.a_deg, truth.b_deg], axis=-1))


@pytest.fixture(scope="module")
def window(app, planted):  # noqa: ARG001
    import recon3d

    window = recon3d.view(planted.path, block=False)
    yield window
    window.viewer.close()


@pytest.fixture
def inner(planted):
    """Voxels deep in the grain, in two different subgrains."""
    middle = np.array(planted.inside.shape) / 2
    places = np.argwhere(planted.inside)
    first = places[np.linalg.norm(places - middle, axis=1).argmin()]
    gap = np.linalg.norm(
        planted.tilts_deg[tuple(places.T)] - planted.tilts_deg[tuple(first)], axis=1
    )
    other = places[gap > 1.5 * STEP_DEG]
    second = other[np.linalg.norm(other - middle, axis=1).argmin()]
    return [tuple(map(int, first)), tuple(map(int, second))]


def click_into_slice(window, voxel):
    """Click as the mouse does, into the slice that holds a voxel."""
    volume = window.scene.grain.volume
    window.dock.mode.value = "slices z"
    point = [float(volume.axis_um(axis)[i]) for axis, i in enumerate(voxel)]
    window.viewer.dims.set_point(2, point[2])

    class Event:
        type = "mouse_press"
        position = tuple(point)
        view_direction = None

    event = Event()
    act = window._clicked(window.viewer, event)
    next(act)
    event.type = "mouse_release"
    next(act, None)


def on_canvas(canvas, ax, x, y):
    """Colour of a panel's drawing at a point of its axes."""
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    col, up = ax.transData.transform((x, y))
    return pixels[pixels.shape[0] - 1 - int(up), int(col), :3].astype(int)


def test_a_click_shows_the_values_and_the_distribution_of_a_voxel(window, planted, inner, wait):
    for voxel in inner:
        click_into_slice(window, voxel)
        assert window.voxel == voxel
        panel = window.dock.voxel
        wait(panel)
        assert window.dock.tabs.currentWidget() is panel.widget
        a, b = 1e3 * window.scene.grain.orientation[voxel]
        assert f"voxel {voxel[0]}, {voxel[1]}, {voxel[2]}" in panel.text.text()
        assert f"(a, b): {a:.2f}, {b:.2f} mdeg" in panel.text.text()
        assert panel.note.text() == "light of the frames at this voxel, turned back to ω = 0"
        (ax,) = panel.canvas.figure.axes
        shares = np.asarray(ax.images[0].get_array())
        left, right, bottom, top = ax.images[0].get_extent()
        row, col = np.unravel_index(shares.argmax(), shares.shape)
        brightest = (
            left + (col + 0.5) * (right - left) / shares.shape[1],
            bottom + (row + 0.5) * (top - bottom) / shares.shape[0],
        )
        assert shares.max() == pytest.approx(1)
        assert shares.min() < 0.2
        # The truth lies within a step of the scan.
        np.testing.assert_allclose(
            brightest, 1e3 * planted.tilts_deg[voxel], rtol=0, atol=1e3 * STEP_DEG
        )
        (ring,) = ax.get_lines()
        np.testing.assert_allclose(np.ravel(ring.get_data()), (a, b), rtol=1e-6)
        assert "(mdeg)" in ax.get_xlabel()
        dark = np.unravel_index(shares.argmin(), shares.shape)
        place = (
            left + (dark[1] + 0.5) * (right - left) / shares.shape[1],
            bottom + (dark[0] + 0.5) * (top - bottom) / shares.shape[0],
        )
        expected = 255 * np.array(colormaps["viridis"](shares.min())[:3])
        np.testing.assert_allclose(on_canvas(panel.canvas, ax, *place), expected, atol=3)


def landing(window, voxel, omega_deg):
    """Where the formula of the README puts a voxel: row and column."""
    found = window.scene.grain.provenance
    x, y, z = (window.scene.grain.volume.axis_um(axis)[i] for axis, i in enumerate(voxel))
    wavelength, spacing = float(found["wavelength"]), 4.0495 / 2
    theta, omega = np.arcsin(wavelength / (2 * spacing)), np.radians(omega_deg)
    along, across = x * np.cos(omega) + z * np.sin(omega), z * np.cos(omega) - x * np.sin(omega)
    row = 4.0 * (np.sin(theta) * along - np.cos(theta) * y) + (48 - 1) / 2
    return row, -4.0 * across + found["rotation_center"]


def test_a_measured_frame_beside_that_of_the_grain(window, planted, inner, wait):
    panel = window.dock.frames
    window.select(inner[0])
    wait(window.dock.voxel)
    panel.omega.value = 7
    wait(panel)
    with h5py.File(planted.path.with_name("scan.h5")) as file:
        stored = file["entry/data/frames"][7].astype(float)
    assert panel.omega.max == 11
    assert panel.note.text() == "ω = 105.00°"
    upper, lower = panel.canvas.figure.axes
    measured = np.asarray(upper.images[0].get_array(), float)
    modelled = np.asarray(lower.images[0].get_array(), float)
    assert (upper.get_title(), lower.get_title()) == ("measured", "modelled")
    np.testing.assert_allclose(measured, stored.sum(axis=0), rtol=1e-5)
    assert np.corrcoef(measured.ravel(), modelled.ravel())[0, 1] > 0.9
    assert modelled.sum() == pytest.approx(measured.sum(), rel=1e-3)
    assert upper.images[0].get_clim() == lower.images[0].get_clim()
    (circle,) = upper.get_lines()
    row, col = landing(window, inner[0], 105.0)
    drift = window.scene.grain.projections["drift"][7]
    np.testing.assert_allclose(
        np.ravel(circle.get_data()) * 4.0 - 0.5, (col + drift[1], row + drift[0]), atol=0.02
    )

    brightest = int(stored.sum(axis=(1, 2)).argmax())
    panel.frame.value = str(brightest)
    upper, lower = panel.canvas.figure.axes
    shown = np.asarray(upper.images[0].get_array(), float)
    np.testing.assert_allclose(shown, stored[brightest])
    assert np.corrcoef(shown.ravel(), np.ravel(lower.images[0].get_array()))[0, 1] > 0.7
    assert "μ = " in panel.note.text()
    assert "γ = " in panel.note.text()
    row, col = np.unravel_index(shown.argmax(), shown.shape)
    illuminated = on_canvas(panel.canvas, upper, (col + 0.5) / 4.0, (row + 0.5) / 4.0)
    # Viridis: dark violet where nothing is, ever greener where there is light.
    dark = on_canvas(panel.canvas, upper, 0.2, 0.2)
    np.testing.assert_allclose(dark, 255 * np.array(colormaps["viridis"](0.0)[:3]), atol=3)
    assert illuminated[1] > dark[1] + 80
