import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from recon3d.config.experiment import Detector, Experiment
from recon3d.config.goniometer import GONIOMETERS
from recon3d.config.reconstruction import Settings
from recon3d.config.volume import Volume
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
    assert experiment.record()["M"] == 18.57


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
        ("completeness_cutoff", "auto", "settings", "completeness_cutoff", None),
        ("euler_bunge", "10 20 30", "crystal", "euler_bunge_deg", (10.0, 20.0, 30.0)),
        (
            "orientation_matrix",
            "[[0, 1, 0], [0, 0, 1], [1, 0, 0]]",
            "crystal",
            "orientation_matrix",
            (0.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0),
        ),
        ("M", "18.57# pixels per µm", "detector", "magnification_pix_per_um", 18.57),
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
    assert changed == plain


@pytest.mark.parametrize("key", REQUIRED)
def test_a_missing_key_is_named_with_its_file(write_ini, key):
    with pytest.raises(ParameterError, match=rf"experiment\.ini: the key '{key}' is missing"):
        Experiment.from_ini(write_ini(**{key: None}))


def test_many_unknown_keys_are_told_at_once(write_ini):
    unknown = {f"qqq{number}": "3" for number in range(200)}
    with pytest.warns(Recon3DWarning, match="the keys 'qqq0', 'qqq1', .* are not") as caught:
        Experiment.from_ini(write_ini(**unknown))
    assert len(caught) == 1


@pytest.mark.parametrize(
    ("key", "nearest"),
    [("rotation_centre", "rotation_center"), ("iteration", "iterations"), ("SG_NO", "sg_no")],
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
        ("wavelength", "7.293e-11 m", "expected a number above 0, in Å"),
        ("wavelength", "None", "expected a number above 0, in Å"),
        ("hkl", "[2, 0]", "expected 3 whole numbers"),
        ("hkl", "[2, 0, 0.5]", "expected 3 whole numbers"),
        ("unit_cell", "4.05", "expected 6 numbers"),
        ("M", "0", "M is '0': expected a number above 0, in pixels per µm"),
        ("M", "-18", "M is '-18'"),
        ("M", "nan", "expected a number above 0, in pixels per µm"),
        ("M", "2 * 9", "expected a number above 0, in pixels per µm"),
        ("grain_steps", "100.5", "grain_steps is '100.5': expected one whole number or 3"),
        ("grain_steps", "[10, 0, 10]", "whole numbers of 1 or more"),
        ("grain_steps", "[10, 10]", "or 3 whole numbers of 1"),
        ("grain_dim", "[10, 0, 10]", "3 numbers above 0, in µm"),
        ("t_y", "1", "t_y is '1': expected 0"),
        ("xyz_up", "[0, 0, 1]", "xyz_up is .* not modelled"),
        ("xyz_lo", "[0, 1, 0]", "xyz_lo is .* not modelled"),
        ("xyz_th", "[1, 0, 0]", "xyz_th is .* not modelled"),
        ("mode", "diagonal", "mode is 'diagonal': expected horizontal or vertical"),
        ("t_x", "85", "t_x is '85': expected a number above -80 and below 80, in degrees"),
        ("t_z", "-80", "t_z is '-80': .*above -80"),
        ("omega_sense", "2", r"omega_sense is '2': expected \+1 or -1"),
        ("omega_sense", "0", r"omega_sense is '0': expected \+1 or -1"),
        ("detector_flip", "up", "expected one of none, rows, columns, both"),
        ("detector_transpose", "perhaps", "expected true or false"),
        ("method", "magic", "expected iterative or backprojection"),
        ("frame", "moon", "expected sample or lab"),
        ("iterations", "0", "iterations is '0': expected a whole number of 1 or more"),
        ("handedness", "2", r"handedness is '2': expected auto or \+1 or -1"),
        ("handedness", "left", "handedness is 'left'"),
        ("completeness_cutoff", "1.5", "a number from 0 to 1 or auto"),
        ("rocking_width", "0", "rocking_width is '0'"),
        ("bin_size", "-0.1", "bin_size is '-0.1'"),
        ("tilt_azimuth", "45", "tilt_azimuth is '45': expected 0 or 90"),
        ("base_tilt_sense", "3", "base_tilt_sense is '3'"),
        ("sg_no", "400", "sg_no is '400': expected a whole number from 1 to 230"),
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
    with pytest.raises(ParameterError, match=f"{name} is {value!r}: expected .* or "):
        experiment.with_settings(**{name: value})


def test_an_unknown_flip_is_refused_without_an_ini_too():
    with pytest.raises(ParameterError, match="flip is 'up': expected one of none, rows"):
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


def test_the_known_beamlines():
    id06, id03 = GONIOMETERS["id06"], GONIOMETERS["id03"]
    assert (id06.omega, id06.base_tilt, id06.two_theta) == ("diffry", "diffrz", "obpitch")
    assert (id03.omega, id03.base_tilt) == ("omega", "mu")
    assert (id06.chi, id06.phi) == (id03.chi, id03.phi) == ("chi", "phi")


ORIGINAL = """
sg_no  225  # Space group
unit_cell  [4.,4.,4.,90.,90.,90.]
hkl  [2,0,0]
wavelength  0.73
grain_pos  [0,0,0]
grain_dim  [11.,11.,11.]\t   # 3D ROI
grain_steps  [11,11,11]
ang_mean  [0,0]
ang_width  [.01,.01]
#image simulation
ang_steps  [2,2,18]
ang_types  ["phi_upper","phi_lower","Omega"]
ang_min  [0,0,-85.]
ang_max  [.01,.01,85.] # test
detx_size  20
detz_size  30
M 1.\t# Magnification value
t_x  "None"
t_y  0
t_z  0
path  "/data/grain #1"  # Folder with npy files
format  "edf"
mode "horizontal"
xyz_up [0,0,0]
xyz_lo [0,0,0]
xyz_th [0,0,0]
# box simulations
grain_dim  [18.,18.,20.]
stem  "../test/box"
"""
"""All that .ini files of the original program have."""


def test_an_ini_of_the_original_is_read_without_a_word(tmp_path):
    (tmp_path / "al.ini").write_text(ORIGINAL, "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        experiment = Experiment.from_ini(tmp_path / "al.ini")
    assert experiment.detector == Detector(1.0)
    assert experiment.volume == Volume((0, 0, 0), (18, 18, 20), (11, 11, 11))
    assert experiment.path == Path("/data/grain #1")


@pytest.mark.parametrize("quotes", ["'{}'", '"{}"', "{}"])
@pytest.mark.parametrize("key", ["t_x", "rotation_center", "handedness", "align", "path", "format"])
def test_none_is_not_given_with_quotes_or_without(write_ini, key, quotes):
    assert Experiment.from_ini(write_ini(**{key: quotes.format("None")})) == Experiment.from_ini(
        write_ini()
    )


def test_the_record_gives_the_experiment_again(write_ini):
    ini = write_ini(t_x="1.5", align="none", omega_exclude="10, 20.5", path="'grain #1'")
    experiment = Experiment.from_ini(ini).with_settings(handedness=-1, split_half=False)
    record = experiment.record()
    assert record["align"] == "none"
    assert record["grain_steps"] == (10, 12, 14)
    assert "rocking_width" not in record
    assert Experiment.from_record(record | {"resolution_nm": 12.5}) == experiment
    as_stored = {key: list(v) if isinstance(v, tuple) else v for key, v in record.items()}
    assert Experiment.from_record(as_stored) == experiment


def test_the_record_is_that_of_the_values_however_they_came(write_ini):
    by_file = Experiment.from_ini(write_ini(algorithm="sirt", grain_steps="16"))
    plain = Experiment.from_ini(write_ini())
    volume = Volume(plain.volume.position_um, plain.volume.size_um, (16, 16, 16))
    by_hand = replace(plain, volume=volume).with_settings(algorithm="sirt")
    assert by_hand == by_file
    assert by_hand.record() == by_file.record()


def test_experiments_are_values(write_ini):
    experiment = Experiment.from_ini(write_ini(iterations="3"))
    assert pickle.loads(pickle.dumps(experiment)) == experiment
    assert hash(experiment) == hash(Experiment.from_ini(write_ini(iterations="3")))
    assert len(repr(experiment)) < 500
    assert "Settings(iterations=3)" in repr(experiment)


@pytest.mark.parametrize("part", ["crystal", "detector", "volume", "settings"])
def test_a_part_that_is_something_else_is_named(write_ini, part):
    with pytest.raises(ParameterError, match=rf"{part} is 5: expected a recon3d\."):
        replace(Experiment.from_ini(write_ini()), **{part: 5})


def test_mistakes_in_python_name_the_argument_and_what_was_expected():
    for make, message in (
        (lambda: Detector("18"), "magnification_pix_per_um is '18': expected a number above 0"),
        (lambda: Settings(iterations=2.5), "iterations is 2.5: expected a whole number of 1"),
        (lambda: Settings(split_half="no"), "split_half is 'no': expected true or false"),
        (lambda: Settings(omega_exclude=3.0), "omega_exclude is 3.0: expected numbers"),
        (lambda: Volume((0, 0), (1, 1, 1), (2, 2, 2)), r"position_um is \(0, 0\): expected 3"),
        (lambda: Volume((0, 0, 0), (1, 1, 1), (2, 2, True)), "shape is .*: expected .* 1 or more"),
    ):
        with pytest.raises(ParameterError, match=message):
            make()


def test_numbers_of_numpy_are_plain_ones():
    volume = Volume(np.zeros(3), np.array([1, 2, 3]), np.array([4, 5, 6], np.int32))
    assert volume == Volume((0, 0, 0), (1, 2, 3), (4, 5, 6))
    assert [type(n) for n in volume.shape] == [int] * 3
