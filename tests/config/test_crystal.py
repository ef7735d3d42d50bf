"""The unit cell, its spacings and its orientation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from recon3d.config.crystal import COMMON_CRYSTALS, Crystal, read_cif
from recon3d.errors import ParameterError

LONG_ENOUGH = 1e-3
"""A wavelength in Å that reaches every reflection of these tests."""


def d_spacing(cell, hkl):
    return Crystal(cell, hkl, LONG_ENOUGH).d_spacing_angstrom


def cubic(a, hkl):
    h, k, m = hkl
    return a / np.sqrt(h**2 + k**2 + m**2)


def hexagonal(a, c, hkl):
    h, k, m = hkl
    return 1 / np.sqrt(4 / 3 * (h * h + h * k + k * k) / a**2 + m * m / c**2)


def rhombohedral(a, alpha_deg, hkl):
    h, k, m = hkl
    cosine, sine = np.cos(np.radians(alpha_deg)), np.sin(np.radians(alpha_deg))
    above = (h * h + k * k + m * m) * sine**2
    above += 2 * (h * k + k * m + h * m) * (cosine**2 - cosine)
    return 1 / np.sqrt(above / (a**2 * (1 - 3 * cosine**2 + 2 * cosine**3)))


def orthorhombic(a, b, c, hkl):
    return 1 / np.linalg.norm(np.array(hkl) / (a, b, c))


def monoclinic(a, b, c, beta_deg, hkl):
    h, k, m = hkl
    cosine, sine = np.cos(np.radians(beta_deg)), np.sin(np.radians(beta_deg))
    terms = h * h / a**2 + k * k * sine**2 / b**2 + m * m / c**2 - 2 * h * m * cosine / (a * c)
    return sine / np.sqrt(terms)


def triclinic(cell, hkl):
    """From the cell's vectors and their cross products, with no metric tensor."""
    a, b, c = cell[:3]
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(cell[3:]))
    sin_gamma = np.sin(np.radians(cell[5]))
    third = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    vectors = np.array(
        [
            [a, 0, 0],
            [b * cos_gamma, b * sin_gamma, 0],
            [c * cos_beta, c * third, c * np.sqrt(1 - cos_beta**2 - third**2)],
        ]
    )
    volume = vectors[0] @ np.cross(vectors[1], vectors[2])
    reciprocal = [np.cross(vectors[i - 2], vectors[i - 1]) / volume for i in range(3)]
    return 1 / np.linalg.norm(np.array(hkl) @ np.array(reciprocal))


HKL = [(1, 0, 0), (0, 0, 2), (1, 1, 1), (2, -1, 3), (0, 1, -4)]


@pytest.mark.parametrize("hkl", HKL)
def test_d_spacing_in_all_seven_crystal_systems(hkl):
    cases = [
        ((4.05, 4.05, 4.05, 90, 90, 90), cubic(4.05, hkl)),
        ((3.99, 3.99, 4.03, 90, 90, 90), orthorhombic(3.99, 3.99, 4.03, hkl)),
        ((2.86, 5.87, 4.95, 90, 90, 90), orthorhombic(2.86, 5.87, 4.95, hkl)),
        ((3.21, 3.21, 5.21, 90, 90, 120), hexagonal(3.21, 5.21, hkl)),
        ((5.13, 5.13, 5.13, 55.3, 55.3, 55.3), rhombohedral(5.13, 55.3, hkl)),
        ((5.15, 5.21, 5.32, 90, 99.2, 90), monoclinic(5.15, 5.21, 5.32, 99.2, hkl)),
        ((8.1, 12.9, 7.2, 94, 116.6, 87.7), triclinic((8.1, 12.9, 7.2, 94, 116.6, 87.7), hkl)),
    ]
    for cell, expected in cases:
        assert d_spacing(cell, hkl) == pytest.approx(expected, rel=1e-12), cell


@given(
    lengths=st.tuples(*[st.floats(2, 20)] * 3),
    angles=st.tuples(*[st.floats(70, 110)] * 3),
    hkl=st.tuples(*[st.integers(-5, 5)] * 3).filter(any),
)
def test_d_spacing_of_any_cell(lengths, angles, hkl):
    assert d_spacing(lengths + angles, hkl) == pytest.approx(triclinic(lengths + angles, hkl))


def test_aluminium_200_at_17_kev():
    crystal = Crystal((4.0495, 4.0495, 4.0495, 90, 90, 90), (2, 0, 0), 0.7293, 225)
    assert crystal.d_spacing_angstrom == pytest.approx(2.02475)
    assert crystal.bragg_angle_deg == pytest.approx(10.376, abs=1e-3)
    assert crystal.energy_kev == pytest.approx(17.0, abs=1e-3)


def test_textbook_values():
    silicon = Crystal((5.4309, 5.4309, 5.4309, 90, 90, 90), (1, 1, 1), 1.5406)
    assert silicon.d_spacing_angstrom == pytest.approx(3.1355, abs=1e-4)
    assert 2 * silicon.bragg_angle_deg == pytest.approx(28.443, abs=5e-3)
    quartz = Crystal((4.9134, 4.9134, 5.4052, 90, 90, 120), (1, 0, 1), 1.5406)
    assert quartz.d_spacing_angstrom == pytest.approx(3.343, abs=1e-3)
    assert 2 * quartz.bragg_angle_deg == pytest.approx(26.64, abs=1e-2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space_group": 0}, "space_group is 0: expected a whole number from 1 to 230"),
        ({"space_group": 231}, "space_group is 231"),
        ({"unit_cell": (4, 4, 0, 90, 90, 90)}, "positive lengths in Å"),
        ({"unit_cell": (4, 4, -4, 90, 90, 90)}, "positive lengths in Å"),
        ({"unit_cell": (4, 4, 4, 30, 30, 90)}, "close no cell"),
        ({"unit_cell": (4, 4, 4, 90, 90, 0)}, "between 0 and 180"),
        ({"unit_cell": (4, 4, 4, 90, 90, 240)}, "between 0 and 180"),
        ({"unit_cell": (4, 4, 4, 90, 90, -90)}, "between 0 and 180"),
        ({"hkl": (0, 0, 0)}, "no reflection"),
        ({"wavelength_angstrom": 0.0}, "expected a number above 0, in Å"),
        ({"wavelength_angstrom": -0.7}, "expected a number above 0, in Å"),
        ({"wavelength_angstrom": float("nan")}, "expected a number above 0, in Å"),
        ({"wavelength_angstrom": 4.1}, "longer than 2d = 4 Å"),
        ({"hkl": (9, 9, 9)}, "longer than 2d"),
    ],
)
def test_impossible_crystals_are_refused(changes, message):
    possible = {"unit_cell": (4, 4, 4, 90, 90, 90), "hkl": (2, 0, 0), "wavelength_angstrom": 0.7}
    Crystal(**possible)
    with pytest.raises(ParameterError, match=message):
        Crystal(**(possible | changes))


def test_no_orientation_is_known_unless_it_is_given():
    assert Crystal((4, 4, 4, 90, 90, 90), (2, 0, 0), 0.7).orientation is None


def oriented(**how):
    return Crystal((4, 4, 4, 90, 90, 90), (2, 0, 0), 0.7, **how).orientation


@pytest.mark.parametrize(
    ("angles", "matrix"),
    [
        ((0, 0, 0), [[1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        # The crystal's x is found 90 degrees from the sample's x, along its y.
        ((90, 0, 0), [[0, -1, 0], [1, 0, 0], [0, 0, 1]]),
        ((0, 90, 0), [[1, 0, 0], [0, 0, -1], [0, 1, 0]]),
        ((0, 90, 90), [[0, -1, 0], [0, 0, -1], [1, 0, 0]]),
    ],
)
def test_bunge_angles_by_hand(angles, matrix):
    np.testing.assert_allclose(oriented(euler_bunge_deg=angles), matrix, atol=1e-12)


@given(st.tuples(*[st.floats(-360, 360)] * 3))
def test_bunge_angles_are_those_of_scipy(angles):
    # Bunge's angles turn the axes about z, the new x and the new z: intrinsic rotations.
    expected = Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()
    np.testing.assert_allclose(oriented(euler_bunge_deg=angles), expected, atol=1e-12)


def test_a_matrix_is_taken_as_it_is_and_must_be_a_rotation():
    u = Rotation.from_euler("ZXZ", (10, 20, 30), degrees=True).as_matrix()
    np.testing.assert_array_equal(oriented(orientation_matrix=u.ravel()), u)
    for wrong in (-u, 4.05 * u, u + 0.01):
        with pytest.raises(ParameterError, match="is no rotation"):
            oriented(orientation_matrix=wrong.ravel())
    with pytest.raises(ParameterError, match="say the same"):
        oriented(orientation_matrix=u.ravel(), euler_bunge_deg=(10, 20, 30))


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
