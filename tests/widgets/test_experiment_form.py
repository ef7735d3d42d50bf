"""An .ini file that is written by a form."""

import pytest

from recon3d.config.crystal import Crystal
from recon3d.config.declare import settings_of
from recon3d.config.experiment import Detector, Experiment
from recon3d.config.ini import read_ini
from recon3d.config.settings_file import SettingsFile
from recon3d.config.volume import Volume
from recon3d.widgets.controls.experiment_form import ExperimentForm

BOX = {"grain_pos": "0 0 0", "grain_dim": "20 24 28", "grain_steps": "10 12 14", "M": "18.57"}


@pytest.fixture
def form(tmp_path):
    return ExperimentForm(SettingsFile(tmp_path / "choices.ini"))


def fill(form, **texts):
    for key, text in texts.items():
        form.fields[key].value = text


def test_it_has_a_field_for_every_declared_key(form):
    declared = [key for part in (Crystal, Detector, Volume) for key in settings_of(part)]
    assert list(form.fields) == declared
    assert all(field.tooltip for field in form.fields.values())
    assert form.fields["M"].description == "M (pixels per µm)"
    assert form.fields["M"].placeholder == "a number above 0"


def test_what_is_missing_is_named_and_nothing_is_written(form, tmp_path):
    fill(form, hkl="2 0 0")
    assert form.write_button.disabled
    assert "unit_cell" in form.status.value
    form.write_button.click()
    assert list(tmp_path.iterdir()) == []


def test_a_crystal_and_an_energy_make_an_experiment(form, tmp_path):
    form.crystal.value = "aluminium"
    form.energy.value = "17"
    fill(form, hkl="2 0 0", **BOX)
    # 12.39842 keV Å / 17 keV
    assert float(form.fields["wavelength"].value) == pytest.approx(0.7293188, abs=1e-6)
    assert "d = 2.0248 Å" in form.status.value  # 4.0495 / 2
    form.write_button.click()
    assert "written to" in form.status.value
    experiment = form.settings.experiment()
    assert experiment == Experiment.from_ini(tmp_path / "experiment.ini")
    assert experiment.crystal.space_group == 225
    assert experiment.volume.shape == (10, 12, 14)


def test_a_changed_wavelength_changes_the_energy(form):
    form.crystal.value = "aluminium"
    fill(form, hkl="2 0 0", wavelength="0.5", **BOX)
    assert float(form.energy.value) == pytest.approx(24.79684, rel=1e-5)
    assert form.fields["wavelength"].value == "0.5"
    form.energy.value = "fast"
    assert "expected keV" in form.status.value


def test_a_cif_file_fills_the_cell(form, tmp_path):
    lengths = "_cell_length_a 4.9\n_cell_length_b 4.9\n_cell_length_c 5.4\n"
    angles = "_cell_angle_alpha 90\n_cell_angle_beta 90\n_cell_angle_gamma 120\n"
    (tmp_path / "a.cif").write_text(lengths + angles, "utf-8")
    form.cif.value = str(tmp_path / "a.cif")
    assert form.fields["unit_cell"].value == "4.9,4.9,5.4,90.0,90.0,120.0"
    assert "set sg_no" in form.status.value
    form.cif.value = str(tmp_path / "b.cif")
    assert "cannot be read" in form.status.value


def test_a_file_of_another_hand_is_not_replaced(form, tmp_path):
    form.crystal.value = "aluminium"
    fill(form, hkl="2 0 0", wavelength="0.7", **BOX)
    (tmp_path / "experiment.ini").write_text("M 1\n", "utf-8")
    form.write_button.click()
    assert "name another" in form.status.value
    assert (tmp_path / "experiment.ini").read_text("utf-8") == "M 1\n"
    form.file.value = str(tmp_path / "second.ini")
    form.write_button.click()
    fill(form, hkl="2 2 0")
    form.write_button.click()
    assert read_ini(tmp_path / "second.ini")["hkl"] == "2 2 0"


def test_a_known_experiment_fills_the_form_and_keeps_its_other_keys(write_ini, tmp_path):
    settings = SettingsFile(tmp_path / "choices.ini")
    settings.update({"experiment": write_ini(iterations="7", detector_transpose="True")})
    form = ExperimentForm(settings)
    assert form.fields["unit_cell"].value.startswith("[4.0495")
    assert form.fields["detector_transpose"].value == "true"
    assert form.value.settings.iterations == 7
    assert form.value.detector.transpose
