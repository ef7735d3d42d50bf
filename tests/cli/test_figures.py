"""Every figure of a grain: what is drawn is what the grain holds."""

import numpy as np
import pytest
from matplotlib.image import imread
from scipy.ndimage import uniform_filter

from recon3d.analysis.surface import surface_of
from recon3d.cli.main import main
from recon3d.colors import orientation_colors
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.plot import (
    draw_histogram,
    histograms_figure,
    orientation_density_figure,
    reprojection_figure,
    surface_figure,
    write_film,
)
from recon3d.plot.grain.film import find_ffmpeg, render_surface
from recon3d.plot.grain.quantities import limits_of, quantities_of, scalar_colors, values_of
from recon3d.plot.parts import new_figure


@pytest.fixture
def halves(grain_factory):
    """A box, red (+a) at z < 0 and cyan (-a) at z > 0."""
    shape = (12, 12, 12)
    mask = np.zeros(shape, bool)
    mask[2:10, 2:10, 2:10] = True
    a = np.where(np.arange(12) < 6, 0.05, -0.05) * np.ones(shape)
    tilts = np.where(mask[..., None], np.stack([a, 0 * a], axis=-1), np.nan).astype(np.float32)
    grain = grain_factory(shape, mask=mask, orientation=tilts, occupancy=mask.astype(np.float32))
    return type(grain)(**{**grain.__dict__, "volume": Volume((0, 0, 0), (6, 6, 6), shape)})


def drawn(figure):
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3]


def test_a_rendered_box_has_its_planted_colours(halves):
    surface = surface_of(halves.mask, halves.mask)
    a, b = halves.orientation[tuple(surface.voxels.T)].T
    colors = np.concatenate([orientation_colors(a, b, 0.05), np.ones((len(a), 1))], axis=1)
    picture = render_surface(
        surface, colors, halves.volume, 0.0, pixels=100, elevation_deg=0.0, shade=False
    )
    # z runs to the right, y upwards.
    np.testing.assert_allclose(picture[50, 40, :3], orientation_colors(0.05, 0, 0.05), atol=0.01)
    np.testing.assert_allclose(picture[50, 60, :3], orientation_colors(-0.05, 0, 0.05), atol=0.01)
    assert picture[50, 50, 3] == 1
    assert picture[2, 2, 3] == 0
    # No holes: what is lit in a row is one run.
    illuminated = picture[50, :, 3] > 0
    assert np.count_nonzero(np.diff(illuminated.astype(int))) == 2
    behind = render_surface(surface, colors, halves.volume, 180.0, pixels=100, shade=False)
    np.testing.assert_allclose(behind[50, 60, :3], orientation_colors(0.05, 0, 0.05), atol=0.01)


def test_the_surface_is_drawn_with_its_key(halves):
    figure = surface_figure(halves)
    picture_ax, key_ax = figure.axes
    assert picture_ax.images[0].get_array()[..., 3].mean() > 0.2
    assert key_ax.get_xlabel() == "a (°)"
    assert drawn(figure).std() > 10


def test_the_density_is_where_the_orientations_are(halves):
    figure = orientation_density_figure(halves)
    mesh = figure.axes[0].collections[0]
    shares = np.asarray(mesh.get_array())
    assert shares.sum() == pytest.approx(100)
    assert np.count_nonzero(shares) == 2
    assert sorted(shares[shares > 0]) == pytest.approx([50, 50])
    rows, cols = np.nonzero(shares)
    assert rows.tolist() == [20, 20]
    assert np.ptp(cols) > 20
    assert mesh.get_rasterized()
    assert drawn(figure).std() > 5


def test_a_grain_without_orientations_has_no_density(grain_factory):
    grain = grain_factory(mask=np.zeros((5, 4, 3), bool))
    with pytest.raises(ParameterError, match="no voxel"):
        orientation_density_figure(grain)


def test_histograms_count_the_voxels_of_the_mask(grain):
    ax = new_figure(3, 3).add_subplot()
    draw_histogram(ax, grain, "a")
    assert sum(bar.get_height() for bar in ax.patches) == grain.mask.sum()
    median = 1e3 * np.median(grain.orientation[grain.mask][:, 0])
    assert ax.get_lines()[0].get_xdata()[0] == pytest.approx(median, rel=1e-4)
    figure = histograms_figure(grain)
    assert len(figure.axes) == len(quantities_of(grain)) == 7
    assert drawn(figure).std() > 5


def test_quantities_have_their_units(grain, grain_factory):
    inside = grain.mask
    np.testing.assert_allclose(
        values_of(grain, "b")[inside], 1e3 * grain.orientation[inside, 1], rtol=1e-5
    )
    np.testing.assert_allclose(values_of(grain, "strain")[inside], 1e6 * grain.strain[inside])
    assert "strain" not in quantities_of(grain_factory(strain=False))
    with pytest.raises(ParameterError, match="'strain': the grain has"):
        values_of(grain_factory(strain=False), "strain")
    errors = np.full((*grain.mask.shape, 2), (3e-3, 4e-3), np.float32)
    with_errors = grain_factory(orientation_error=errors, quality=grain.completeness)
    assert {"error", "quality"} <= set(quantities_of(with_errors))
    # 3 and 4 together, as in precision_mdeg.
    np.testing.assert_allclose(values_of(with_errors, "error"), 5, rtol=1e-4)
    low, high = limits_of(grain, "a")
    assert low == -high
    grey = scalar_colors("spread", np.array([np.nan, 1.0]), (0, 2))
    np.testing.assert_array_equal(grey[0], 0.6)
    assert np.ptp(grey[1]) > 0


def test_measured_beside_reprojected():
    measured = np.zeros((20, 30))
    measured[5:10, 5:15] = 100
    modelled = measured / 2
    figure = reprojection_figure([10.0, 20.0], [measured] * 2, [modelled] * 2, 0.1)
    titles = [ax.get_title() for ax in figure.axes]
    assert titles[:3] == ["ω = 10.0°, measured", "reprojected", "difference"]
    left = figure.axes[2].images[0].get_array()
    assert left[7, 7] == pytest.approx(0.5)
    assert left[0, 0] == 0
    assert figure.axes[0].images[0].get_clim() == figure.axes[1].images[0].get_clim()
    assert drawn(figure).std() > 5
    with pytest.raises(ParameterError, match="2 angles, 1 measured"):
        reprojection_figure([1.0, 2.0], [measured], [modelled], 0.1)


def test_a_film_turns_the_grain(halves, tmp_path):
    path = write_film(halves, tmp_path / "g.gif", frames=4, show_progress=False)
    from PIL import Image

    with Image.open(path) as film:
        assert film.n_frames == 4
        shown = []
        for number in range(4):
            film.seek(number)
            shown.append(np.asarray(film.convert("RGB"), int))
    assert np.abs(shown[0] - shown[1]).max() > 50
    # The key and the paper stay as they are, in the colours of the figure.
    figure = surface_figure(halves)
    figure.set_dpi(100)
    exact = drawn(figure).astype(int)
    for picture in shown:
        np.testing.assert_array_equal(picture[:, 380:], shown[0][:, 380:])
        assert (picture[:8] == 255).all()
        blurred = [uniform_filter(p[140:260, 405:525], (9, 9, 0)) for p in (picture, exact)]
        assert np.abs(blurred[0] - blurred[1]).max() < 12
    assert list(tmp_path.iterdir()) == [path]
    with pytest.raises(ParameterError, match=r"end in \.gif or \.mp4"):
        write_film(halves, tmp_path / "g.avi", show_progress=False)


@pytest.mark.skipif(find_ffmpeg() is None, reason="ffmpeg is not installed (imageio-ffmpeg)")
def test_a_film_as_mp4(halves, tmp_path):
    path = write_film(halves, tmp_path / "g.mp4", frames=3, show_progress=False)
    assert b"ftyp" in path.read_bytes()[:32]


def test_the_command_draws_them_all(halves, tmp_path, capsys):
    halves.save(tmp_path / "grain.h5")
    command = ["figures", str(tmp_path / "grain.h5"), str(tmp_path / "out"), "--quiet"]
    assert main([*command, "--format", "png", "--film", "none"]) == 0
    names = {path.stem for path in (tmp_path / "out").glob("*.png")}
    assert {"surface", "slices", "slices_strain", "orientation_density", "histograms"} < names
    for path in (tmp_path / "out").glob("*.png"):
        assert imread(path)[..., :3].std() > 0.02, path
    assert main([*command, "--film", "none", "--scan", str(tmp_path / "no.h5")]) == 1
    assert "no.h5" in capsys.readouterr().err


def test_figures_are_vectors_with_images_inside(halves, tmp_path):
    halves.save(tmp_path / "grain.h5")
    call = ["figures", str(tmp_path / "grain.h5"), "--quiet", "--film", "none", "--format", "svg"]
    assert main(call) == 0
    text = (tmp_path / "figures" / "orientation_density.svg").read_text("utf-8")
    assert "<image" in text
    assert "<path" in text
