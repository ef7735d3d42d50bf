import dataclasses
import math
import warnings
from pathlib import Path

import numpy as np
import pytest

from recon3d.config.experiment import GONIOMETERS, Cleaning, Detector, Experiment, Settings, Volume
from recon3d.errors import ParameterError, Recon3DWarning

REQUIRED = ("unit_cell", "hkl", "wavelength", "grain_pos", "grain_dim", "grain_steps", "M")


def test_the_required_keys(write_ini):
    experiment = Experiment.from_ini(write_ini())
    assert experiment.crystal.unit_cell == (4.0495, 4.0495, 4.0495, 90, 90, 90)
    assert experiment.crystal.hkl == (2, 0, 0)
    assert experiment.crystal.wavelength_angstrom == 0.7293
    assert experiment.crystal.space_group == 225
    assert experiment.volume == Volume((0, 0, 0), (20, 24, 28), (10, 12, 14))
    assert experiment.detector == Detector(18.57)
    assert experiment.settings == Settings()
    assert experiment.path is None
    assert experiment.source["M"] == "18.57"


@pytest.mark.parametrize(
    ("key", "text", "part", "field", "value"),
    [
        ("sg_no", "194", "crystal", "space_group", 194),
        ("t_x", "1.5", "detector", "tilt_x_deg", 1.5),
        ("t_x", "None", "detector", "tilt_x_deg", 0.0),
        ("t_z", "-2", "detector", "tilt_z_deg", -2.0),
        ("omega_sense", "-1", "detector", "omega_sense", -1),
        ("detector_flip", "rows", "detector", "flip", "rows"),
        ("detector_flip", "none", "detector", "flip", "none"),
        ("align", "none", "settings", "align", "none"),
        ("align", "None", "settings", "align", "drift"),
        ("detector_transpose", "true", "detector", "transpose", True),
        ("rotation_center", "148.25", "detector", "rotation_center_pix", 148.25),
        ("rotation_center", "None", "detector", "rotation_center_pix", None),
        ("centre_row", "150", "detector", "centre_row_pix", 150.0),
        ("method", "iterative", "settings", "method", "iterative"),
        ("frame", "lab", "settings", "frame", "lab"),
        ("iterations", "7", "settings", "iterations", 7),
        ("handedness", "auto", "settings", "handedness", 0),
        ("handedness", "-1", "settings", "handedness", -1),
        ("handedness", "+1", "settings", "handedness", 1),
        ("turning_center", "0.045, -0.01", "settings", "turning_center_deg", (0.045, -0.01)),
        ("rocking_width", "0.016", "settings", "rocking_width_deg", 0.016),
        ("rolling_width", "0.05", "settings", "rolling_width_deg", 0.05),
        ("two_theta_width", "0.01", "settings", "two_theta_width_deg", 0.01),
        ("tilt_azimuth", "90", "settings", "tilt_azimuth_deg", 90.0),
        ("base_tilt_sense", "-1", "settings", "base_tilt_sense", -1),
        ("completeness_cutoff", "0.4", "settings", "completeness_cutoff", 0.4),
        ("bin_size", "0.016", "settings", "bin_deg", 0.016),
        ("omega_exclude", "[12.8, 45]", "settings", "omega_exclude", (12.8, 45.0)),
        ("grain_steps", "101", "volume", "shape", (101, 101, 101)),
    ],
)
def test_every_optional_key(write_ini, key, text, part, field, value):
    experiment = Experiment.from_ini(write_ini(**{key: text}))
    assert getattr(getattr(experiment, part), field) == value


@pytest.mark.parametrize(
    ("key", "text"),
    [
        ("mode", "horizontal"),
        ("mode", "vertical"),
        ("t_y", "None"),
        ("t_y", "0"),
        ("xyz_up", "[0, 0, 0]"),
        ("xyz_lo", "0 0 0"),
        ("xyz_th", "None"),
        ("format", "edf"),
        ("detx_size", "2048"),
        ("detz_size", "2048"),
    ],
)
def test_keys_that_are_only_checked_change_nothing(write_ini, key, text):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        changed = Experiment.from_ini(write_ini(**{key: text}))
    plain = Experiment.from_ini(write_ini())
    assert dataclasses.replace(changed, source={}) == dataclasses.replace(plain, source={})


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named_with_its_file(write_ini, key):
    with pytest.raises(ParameterError, match=rf"experiment\.ini: the key '{key}' is missing"):
        Experiment.from_ini(write_ini(**{key: None}))


@pytest.mark.parametrize(
    ("key", "nearest"), [("rotation_centre", "rotation_center"), ("iteration", "iterations")]
)
def test_an_unknown_key_warns_and_names_the_nearest(write_ini, key, nearest):
    with pytest.warns(Recon3DWarning, match=f"'{key}' is not known.*did you mean '{nearest}'"):
        Experiment.from_ini(write_ini(**{key: "3"}))


def test_an_unknown_key_like_no_other(write_ini):
    with pytest.warns(Recon3DWarning, match=r"'qqq' is not known and is ignored$") as caught:
        Experiment.from_ini(write_ini(qqq="3"))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("wavelength", "5", "longer than 2d"),
        ("wavelength", "7.293e-11 m", "expected one finite number"),
        ("wavelength", "None", "positive length"),
        ("hkl", "[2, 0]", "expected 3 values, not 2"),
        ("hkl", "[2, 0, 0.5]", "expected a whole number"),
        ("unit_cell", "4.05", "expected 6 values, not 1"),
        ("M", "0", "M is 0"),
        ("M", "-18", "M is -18"),
        ("M", "nan", "expected one finite number"),
        ("M", "2 * 9", "expected one finite number"),
        ("grain_steps", "100.5", "grain_steps is '100.5': expected a whole number"),
        ("grain_steps", "[10, 0, 10]", "expected whole numbers from 1"),
        ("grain_steps", "[10, 10]", "expected 3 values, not 2"),
        ("grain_dim", "[10, 0, 10]", "positive lengths in µm"),
        ("t_y", "1", "t_y is '1': expected 0"),
        ("xyz_up", "[0, 0, 1]", "xyz_up is .* not modelled"),
        ("xyz_lo", "[0, 1, 0]", "xyz_lo is .* not modelled"),
        ("xyz_th", "[1, 0, 0]", "xyz_th is .* not modelled"),
        ("mode", "diagonal", "mode is 'diagonal': expected one of horizontal, vertical"),
        ("t_x", "85", "t_x is 85°.*below 80°"),
        ("t_z", "-80", "t_z is -80°.*below 80°"),
        ("omega_sense", "2", r"omega_sense is 2: expected \+1 or -1"),
        ("omega_sense", "0", r"omega_sense is 0: expected \+1 or -1"),
        ("detector_flip", "up", "expected one of none, rows, columns, both"),
        ("detector_transpose", "perhaps", "expected true or false"),
        ("method", "magic", "expected one of iterative, backprojection"),
        ("frame", "moon", "expected one of sample, lab"),
        ("iterations", "0", "iterations is 0"),
        ("handedness", "2", "handedness is 2"),
        ("handedness", "left", "handedness is 'left'"),
        ("completeness_cutoff", "1.5", "expected a share"),
        ("rocking_width", "0", "rocking_width is 0"),
        ("bin_size", "-0.1", "bin_size is -0.1"),
        ("tilt_azimuth", "45", "tilt_azimuth is 45"),
        ("base_tilt_sense", "3", "base_tilt_sense is 3"),
        ("sg_no", "400", "sg_no is 400"),
        ("detx_size", "many", "detx_size is 'many'"),
    ],
)
def test_impossible_values_are_refused(write_ini, key, text, message):
    with pytest.raises(ParameterError, match=rf"experiment\.ini: .*{message}"):
        Experiment.from_ini(write_ini(**{key: text}))


@pytest.mark.parametrize(
    ("name", "value"), [("method", "magic"), ("frame", "moon"), ("tilt_azimuth_deg", 30.0)]
)
def test_settings_are_checked_without_an_ini_too(write_ini, name, value):
    experiment = Experiment.from_ini(write_ini())
    with pytest.raises(ParameterError, match=f"is {value}: expected one of"):
        experiment.with_settings(**{name: value})


def test_an_unknown_flip_is_refused_without_an_ini_too():
    with pytest.raises(ParameterError, match="detector_flip is up"):
        Detector(18.57, flip="up")


def test_a_relative_path_counts_from_the_ini(write_ini):
    ini = write_ini(path="out/run1")
    assert Experiment.from_ini(ini).path == ini.parent / "out/run1"
    absolute = str(ini.parent / "elsewhere")
    assert Experiment.from_ini(write_ini(path=absolute)).path == Path(absolute)


def test_settings_can_be_changed_without_touching_the_rest(write_ini):
    experiment = Experiment.from_ini(write_ini(method="iterative"))
    changed = experiment.with_settings(method="backprojection", frame="lab")
    assert (changed.settings.method, changed.settings.frame) == ("backprojection", "lab")
    assert experiment.settings.method == "iterative"
    assert changed.crystal == experiment.crystal


def test_voxel_centres():
    volume = Volume((1.0, 0.0, -3.0), (10.0, 6.0, 7.0), (5, 3, 1))
    assert volume.voxel_um == (2.0, 2.0, 7.0)
    for axis in range(3):
        n, size, position = volume.shape[axis], volume.size_um[axis], volume.position_um[axis]
        by_hand = [position + size / n * (i - (n - 1) / 2) for i in range(n)]
        np.testing.assert_allclose(volume.axis_um(axis), by_hand)


@pytest.mark.parametrize(
    "changes",
    [
        {"framebg": -1},
        {"binth": math.nan},
        {"binth": -1.0},
        {"min_region_pix": -5},
        {"hot_pixels": math.inf},
        {"close_radius_pix": -1},
        {"normalize": "current please"},
    ],
)
def test_impossible_cleaning_is_refused(changes):
    name = next(iter(changes))
    with pytest.raises(ParameterError, match=f"{name} is"):
        Cleaning(**changes)


def test_the_known_beamlines():
    id06, id03 = GONIOMETERS["id06"], GONIOMETERS["id03"]
    assert (id06.omega, id06.base_tilt, id06.two_theta) == ("diffry", "diffrz", "obpitch")
    assert (id03.omega, id03.base_tilt) == ("omega", "mu")
    assert (id06.chi, id06.phi) == (id03.chi, id03.phi) == ("chi", "phi")
