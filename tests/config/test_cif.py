"""Unit cells from CIF files, and those that are known by name."""

import pytest

from recon3d.config.cif import COMMON_CRYSTALS, read_cif
from recon3d.config.crystal import Crystal
from recon3d.errors import ParameterError

CIF = """data_quartz
_chemical_name_mineral Quartz
_cell_length_a   4.9137(2)
_cell_length_b   4.9137(2)
_cell_length_c
  5.4047(1)
_cell_angle_alpha 90
_cell_angle_beta 90.
_cell_angle_gamma 120
_symmetry_space_group_name_H-M 'P 32 2 1'
_space_group_IT_number   '154'
loop_
_atom_site_label
Si
"""


def read(tmp_path, text):
    path = tmp_path / "crystal.cif"
    path.write_text(text, "utf-8")
    return read_cif(path)


def test_a_cell_is_read(tmp_path):
    assert read(tmp_path, CIF) == ((4.9137, 4.9137, 5.4047, 90.0, 90.0, 120.0), 154)


def test_other_spellings_are_read(tmp_path):
    text = CIF.replace("_cell_", "_cell.").replace("_space_group_IT", "_Space_Group_IT")
    assert read(tmp_path, text)[0][2] == 5.4047
    old = CIF.replace("_space_group_IT_number   '154'", "_symmetry_Int_Tables_number 154")
    assert read(tmp_path, old)[1] == 154


def test_a_missing_space_group_is_none(tmp_path):
    assert read(tmp_path, CIF.replace("'154'", "?"))[1] is None


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("_cell_length_b ", "_other ", "_cell_length_b is missing"),
        ("_cell_angle_gamma 120", "_cell_angle_gamma ?", "_cell_angle_gamma is missing"),
        ("4.9137(2)\n_cell_length_b", "four\n_cell_length_b", "'four': expected a number"),
        ("loop_", "data_second\n_cell_length_a 3.0\n", "several crystals"),
        ("'154'", "P3221", "expected 1 to 230"),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path, old, new, told):
    assert old in CIF
    with pytest.raises(ParameterError, match=r"crystal\.cif") as error:
        read(tmp_path, CIF.replace(old, new))
    assert told in str(error.value)


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ParameterError, match="cannot be read"):
        read_cif(tmp_path / "none.cif")


@pytest.mark.parametrize("name", COMMON_CRYSTALS)
def test_common_crystals_reflect(name):
    cell, group = COMMON_CRYSTALS[name]
    crystal = Crystal(cell, hkl=(0, 0, 6), wavelength_angstrom=0.5, space_group=group)
    assert crystal.d_spacing_angstrom == pytest.approx(cell[2] / 6)
