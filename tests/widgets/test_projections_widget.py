"""The film of a scan, and the marks on what to leave out."""

from dataclasses import replace

import numpy as np
import pytest

from recon3d.cleaning.getdata import region_of
from recon3d.cleaning.overview import GrowingOverview, glances_of_store
from recon3d.config.settings_file import SettingsFile
from recon3d.errors import ParameterError
from recon3d.widgets import Projections


@pytest.fixture
def projections(finished):
    return Projections(finished.store)


def test_the_film_shows_the_sum_of_the_projection(projections, finished, drawn):
    first = drawn(projections.canvas)
    for k in (1, 7):
        projections.projection.value = k
        shown = projections._film.image.get_array()
        np.testing.assert_allclose(shown, finished.store.read_summed(k), atol=0.5)
        angle = finished.store.omega_deg[k]
        assert list(projections._film.here.get_xdata()) == [angle, angle]
    assert np.mean(first != drawn(projections.canvas)) > 0.005


def test_marked_projections_are_left_out(finished, tmp_path):
    settings = SettingsFile(tmp_path / "choices.ini")
    widget = Projections(finished.store, settings)
    widget.projection.value = 3
    assert not widget.mark.value
    widget.mark.value = True
    assert widget.value == pytest.approx((45.0,), abs=1e-3)
    assert settings.experiment_texts() == {"omega_exclude": repr(widget.value[0])}
    assert "left out" in widget._film.image.axes.get_title()
    widget.projection.value = 4
    assert not widget.mark.value
    widget.projection.value = 3
    assert widget.mark.value
    assert "which is every projection" not in widget.status.value
    widget.value = finished.store.omega_deg
    assert "which is every projection: keep some" in widget.status.value
    widget.keep_all()
    assert widget.value == ()
    assert not widget.mark.value
    assert settings.experiment_texts() == {"omega_exclude": "None"}


def test_what_is_off_the_rotation_stands_out(finished):
    glances = list(glances_of_store(finished.store))
    moved = np.roll(glances[5].summed, 6, axis=1)
    glances[5] = replace(glances[5], summed=moved)
    widget = Projections(glances)
    assert "off the rotation: 7" in widget.status.value
    widget.exclude_outliers()
    assert widget.value == pytest.approx((75.0,), abs=1e-3)


def test_the_rotation_axis_is_where_it_was_simulated(projections, finished):
    column = 33.5 + 3.0 - finished.store.roi.col
    assert projections.fit.axis_pix == pytest.approx(column, abs=0.6)
    assert not projections.fit.outlier.any()


def test_measured_and_reprojected_frames_are_compared(finished):
    widget = finished.check_projections()
    widget.projection.value = 2
    widget.background.wait()
    measured, modelled = (image.get_array() for image in widget._compared[:2])
    np.testing.assert_allclose(measured, finished.store.read_summed(2), atol=0.5)
    correlation = np.corrcoef(np.ravel(measured), np.ravel(modelled))[0, 1]
    assert correlation > 0.95
    assert widget.compare_canvas.layout.display is None


def test_a_comparison_needs_the_experiment(finished):
    with pytest.raises(ParameterError, match="experiment"):
        Projections(finished.store, grain=finished.grain)
    with pytest.raises(ParameterError, match="no projection"):
        Projections([])


def test_new_projections_appear(finished, simulated):
    # What was not chosen was suggested when the scan was cleaned.
    roi, used = finished.store.roi, finished.store.provenance["cleaning"]
    plan = replace(
        finished.plan,
        poi=(roi.col + roi.cols // 2, roi.row + roi.rows // 2),
        imgsize=(roi.cols, roi.rows),
        cleaning=replace(
            finished.plan.cleaning, framebg=int(used["framebg"]), binth=float(used["binth"])
        ),
    )
    scan = region_of(simulated.scan, plan)
    overview = GrowingOverview(plan.cleaning)
    part = scan.of_projections(range(5))
    widget = Projections(overview.extend(part))
    widget.projection.value = 4
    assert len(widget.glances) == 5
    assert [glance.omega_deg for glance in overview.extend(scan)] == list(scan.omega_deg[5:])
    widget.set_glances(overview.glances.values())
    assert len(widget.glances) == 12
    assert widget.projection.max == 11
    assert widget.projection.value == 4
    for glance, stored in zip(widget.glances, glances_of_store(finished.store), strict=True):
        np.testing.assert_allclose(glance.summed, stored.summed, rtol=1e-4, atol=0.5)
        np.testing.assert_allclose(glance.mu_deg, stored.mu_deg)


def test_a_cut_grain_is_in_doubt_and_mended(simulated, tmp_path):
    session = simulated.session(
        tmp_path / "c.ini", framebg=6, binth=12.0, min_region=40, poi=(36, 30), imgsize=(30, 30)
    )
    with pytest.warns(UserWarning, match="rectangle"):
        films = session.check_projections()
    assert "the mask is a rectangle" in films.status.value
    assert films.mend.layout.display is None
    films.mend.click()
    films.background.wait()
    assert films.doubts == session.store.doubts == ()
    assert films.mend.layout.display == "none"
    assert films.store.shape[2] > 30


def test_the_film_moves_quickly_to_the_picture_that_a_whole_drawing_gives(projections, drawn):
    before = drawn(projections.canvas)
    projections.projection.value = 3
    projections.canvas.handle_draw()
    moved = np.array(projections.canvas.buffer_rgba())
    assert np.mean(moved != before) > 0.01
    np.testing.assert_array_equal(moved, drawn(projections.canvas))
    projections.mark.value = True
    projections.canvas.handle_draw()
    np.testing.assert_array_equal(
        np.array(projections.canvas.buffer_rgba()), drawn(projections.canvas)
    )
