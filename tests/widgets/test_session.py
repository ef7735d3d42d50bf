"""What a session passes on from one notebook to the next."""

import shutil

import numpy as np
import pytest
from bliss_files import topotomo

from recon3d.cli.main import main
from recon3d.errors import DataError, ParameterError
from recon3d.files.grain import Grain
from recon3d.files.store import open_store
from recon3d.widgets import Session


def same_frames(first, second):
    assert first.shape == second.shape
    return all(
        np.array_equal(first.read_projection(k), second.read_projection(k))
        for k in range(first.shape[0])
    )


def test_binning_goes_through_the_settings_file(simulated, tmp_path):
    """Widgets show bins, choose in pixels of the detector, and give what the command gives."""
    session = simulated.session(tmp_path / "choices.ini", framebg=6, min_region=40, binning=2)
    roi = session.choose_roi()
    assert roi.scan.shape[2:] == session.scan.source.frame_shape
    roi.value = ((33, 29), (61, 55))
    threshold = session.tune_threshold()
    assert threshold.scan.shape[2:] == (27, 30)
    threshold.binth.value = 15.0
    threshold.background.cancel()
    k, frame = threshold.projection.value, threshold.frame.value
    threshold.preview.prepare(k, threshold.value)
    shown = threshold.preview.steps(k, frame, threshold.value)
    store = session.store
    assert store.binning == (2, 2)
    np.testing.assert_allclose(shown.after, store.read_projection(k)[frame], atol=1e-2)
    words = [str(simulated.folder), "topotomo_", "-", "-", "33,29", "61,55", str(tmp_path), "out"]
    words += ["-3.5", "1.2", "0.032", "7", "6", "15"]
    assert main(["getdata", *words, "--min-region", "40", "--binning", "2x2", "--quiet"]) == 0
    assert same_frames(store, open_store(tmp_path / "out" / "scan.h5"))
    films = session.check_projections()
    assert films.glances[0].bin_pix == (2, 2)
    # The axis is 3 columns beside the middle of the detector, the region begins at column 3.
    assert films.fit.axis_pix == pytest.approx(33.5 + 3 - 3, abs=0.7)


def test_widgets_and_command_line_give_the_same_files(session, simulated, tmp_path):
    """Choose in the widgets, then type the same numbers: every array is the same."""
    roi = session.choose_roi()
    roi.value = ((34, 30), (60, 54))
    threshold = session.tune_threshold()
    threshold.binth.value, threshold.min_region.value = 15.5, 30
    threshold.hot.value = False
    threshold.close_mask.value = False
    threshold.background.cancel()
    store = session.store
    films = session.check_projections()
    films.value = (30.0,)
    typed = tmp_path / "typed"
    words = [str(simulated.folder), "topotomo_", "-", "-", "34,30", "60,54", str(typed), "out"]
    words += ["-3.5", "1.2", "0.032", "7", "6", "15.5"]
    options = ["--min-region", "30", "--hot-pixels", "0", "--close-radius", "0", "--quiet"]
    assert main(["getdata", *words, *options]) == 0
    assert same_frames(store, open_store(typed / "out" / "scan.h5"))
    filed = tmp_path / "filed"
    session.settings.update({"outputpath": filed})
    assert main(["getdata", "--settings", str(session.settings.path), "--quiet"]) == 0
    for name in ("dataarray_final.npy", "mu.npy", "gamma.npy", "omega.npy"):
        arrays = [np.load(folder / name) for folder in (typed / "out", filed / "results")]
        assert np.array_equal(*arrays), name
    assert main(["reconstruct", "--settings", str(session.settings.path), "--quiet"]) == 0
    ini = tmp_path / "typed.ini"
    text = (simulated.folder / "experiment.ini").read_text("utf-8")
    ini.write_text(f"{text}omega_exclude 30.0\npath {typed / 'out'}\n", "utf-8")
    assert main(["reconstruct", str(ini), "--quiet"]) == 0
    grains = [Grain.load(folder / "grain.h5") for folder in (typed / "out", filed / "results")]
    assert len(grains[0].projections["omega"]) == 11
    for name, array in grains[0].arrays().items():
        np.testing.assert_allclose(array, grains[1].arrays()[name], atol=1e-5, err_msg=name)


def test_a_scan_is_cleaned_again_only_where_something_changed(session):
    first = session.store.path.stat().st_mtime_ns
    assert session.store.path.stat().st_mtime_ns == first
    session.settings.update({"binth": 20.0})
    assert session.store.path.stat().st_mtime_ns > first
    assert session.store.provenance["cleaning"]["binth"] == 20


def test_a_folder_that_was_moved_is_not_cleaned_again(session):
    made = session.store.path.stat().st_mtime_ns
    folder = session.settings.path.parent
    moved = folder.rename(folder.with_name("moved"))
    again = Session.start(settings=moved / session.settings.path.name, show_progress=False)
    assert again.store.path.stat().st_mtime_ns == made
    again.settings.update({"binth": 21.0})
    assert again.store.path.stat().st_mtime_ns > made


def test_the_origin_that_was_found_is_written_down(simulated, tmp_path):
    session = Session.start(
        simulated.folder, "topotomo_", settings=tmp_path / "c.ini", show_progress=False
    )
    origin = session.scan.origin
    assert (session.plan.phi0, session.plan.chi0) == (origin.phi_deg, origin.chi_deg)
    assert origin.phi_deg == pytest.approx(-3.5, abs=0.01)


def test_other_data_begin_anew_and_the_same_go_on(simulated, tmp_path):
    settings = tmp_path / "choices.ini"
    session = simulated.session(settings)
    session.settings.update({"binth": 33.0, "omega_exclude": (15.0,)})
    assert simulated.session(settings).plan.cleaning.binth == 33
    assert Session.start(settings=settings).plan.cleaning.binth == 33
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(simulated.folder / "topotomo_0000.edf", other / "a_0000.edf")
    with pytest.warns(UserWarning, match="other data"):
        moved = Session.start(other, "a_", settings=settings)
    assert set(moved.settings.read()) == {"datadir", "dataname", "outputdirname"}
    with pytest.raises(ParameterError, match="'experiment' is missing"):
        _ = moved.experiment


def test_what_is_wrong_is_said_in_the_first_cell_and_nothing_is_written(simulated, tmp_path):
    settings = tmp_path / "choices.ini"
    with pytest.raises(ParameterError, match="nowhere"):
        Session.start(tmp_path / "nowhere", settings=settings)
    with pytest.raises(DataError, match="x_"):
        Session.start(simulated.folder, "x_", settings=settings)
    with pytest.raises(DataError, match="no frames of a detector 'pico'; it has frames of pco"):
        Session.start(topotomo(tmp_path / "scan.h5"), "pico", settings=settings)
    wrong = tmp_path / "wrong.ini"
    wrong.write_text("hkl [2, 0]\n", "utf-8")
    with pytest.raises(ParameterError, match="unit_cell"):
        Session.start(simulated.folder, "topotomo_", wrong, settings=settings)
    assert not settings.exists()


def test_another_wavelength_than_the_motors_show_is_said_in_the_first_cell(simulated, tmp_path):
    text = (simulated.folder / "experiment.ini").read_text("utf-8")
    wrong = tmp_path / "wrong.ini"
    wrong.write_text(text.replace("wavelength 0.7293", "wavelength 0.70"), "utf-8")
    with pytest.warns(UserWarning, match="arm stands at 2θ = 20.75.*at 0.7 Å diffracts at 19.9"):
        Session.start(simulated.folder, "topotomo_", wrong, settings=tmp_path / "c.ini")


def test_what_follows_from_a_grain(finished, capsys):
    assert finished.mosaicity().shown.options == ("projection", "slice")
    finished.results()
    printed = capsys.readouterr().out
    assert "grain.h5" in printed
    assert "recon3d getdata --settings choices.ini" in printed


def test_a_grain_of_another_cleaning_is_made_anew(session):
    first = session.grain
    path = session.folder / "grain.h5"
    made = path.stat().st_mtime_ns
    assert session.grain.mask.sum() == first.mask.sum()
    assert path.stat().st_mtime_ns == made
    session.settings.update({"binth": 40.0})
    assert session.grain.mask.sum() != first.mask.sum()
    assert path.stat().st_mtime_ns > made
    assert "slice" in session.mosaicity().shown.options
