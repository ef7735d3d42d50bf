"""The unit cell, also of a CIF file, its spacings, its orientation, and the Bragg angle."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.config.declare import Declared, setting
from recon3d.errors import ParameterError

HC_KEV_ANGSTROM = 12.398419843320026
"""Planck's constant times the speed of light, in keV Å (exact in the SI of 2019)."""

_LENGTHS_ANGSTROM = (0.01, 1e6)
_ROTATION_TOLERANCE = 1e-3

Six = tuple[float, float, float, float, float, float]
Nine = tuple[float, float, float, float, float, float, float, float, float]


@dataclass(frozen=True, repr=False)
class Crystal(Declared):
    """A crystal, the reflection that is imaged, and the wavelength that images it.

    Raises
    ------
    ParameterError
        The cell is impossible, hkl is 0 0 0, the wavelength is longer than 2d, or the matrix of
        the orientation is no rotation.

    Examples
    --------
    >>> import recon3d as r3
    >>> cell = (4.0495, 4.0495, 4.0495, 90, 90, 90)
    >>> crystal = r3.Crystal(cell, hkl=(2, 0, 0), wavelength_angstrom=0.7293, space_group=225)
    >>> round(crystal.bragg_angle_deg, 3)
    10.375
    """

    unit_cell: Six = setting(help="a, b, c in Å and α, β, γ in degrees, of any crystal system")
    hkl: tuple[int, int, int] = setting(help="Miller indices of the imaged reflection")
    wavelength_angstrom: float = setting(
        help="X-ray wavelength", key="wavelength", unit="Å", bounds="> 0"
    )
    space_group: int = setting(
        1,
        "number of the space group, for the symmetry of exports",
        key="sg_no",
        bounds=">= 1, <= 230",
    )
    orientation_matrix: Nine | None = setting(
        None,
        "the rotation U from the crystal's axes (x along a, z along c*) to the sample's, row by "
        "row: with it exports give whole orientations",
    )
    euler_bunge_deg: tuple[float, float, float] | None = setting(
        None,
        "φ1, Φ, φ2 after Bunge, from the sample's axes to the crystal's: in place of U",
        key="euler_bunge",
        unit="degrees",
        bounds=">= -360, <= 360",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        least, most = _LENGTHS_ANGSTROM
        if not all(least <= length <= most for length in self.unit_cell[:3]):
            raise ParameterError(
                f"unit_cell {list(self.unit_cell)}: a, b and c must be positive lengths in Å, "
                f"{least:g} to {most:g}"
            )
        if not all(0 < angle < 180 for angle in self.unit_cell[3:]):
            raise ParameterError(
                f"unit_cell {list(self.unit_cell)}: α, β and γ must lie between 0 and 180 degrees"
            )
        if not any(self.hkl):
            raise ParameterError("hkl is 0 0 0, which is no reflection: give the imaged one")
        if self.wavelength_angstrom > 2 * self.d_spacing_angstrom:
            raise ParameterError(
                f"wavelength {self.wavelength_angstrom:g} Å is longer than 2d = "
                f"{2 * self.d_spacing_angstrom:.5g} Å of hkl {self.hkl}: no Bragg angle exists "
                "(is the wavelength in Å, and the cell the right one?)"
            )
        if self.orientation_matrix is None:
            return
        if self.euler_bunge_deg is not None:
            raise ParameterError("orientation_matrix and euler_bunge say the same: give one")
        u = np.array(self.orientation_matrix).reshape(3, 3)
        off = float(np.abs(u @ u.T - np.eye(3)).max())
        if off > _ROTATION_TOLERANCE or np.linalg.det(u) < 0:
            raise ParameterError(
                f"orientation_matrix {u.round(4).tolist()} is no rotation (U times its transpose "
                f"is {off:.2g} off the unit matrix, its determinant {np.linalg.det(u):.3g}): "
                "expected the nine numbers of U, without the lengths of the cell"
            )

    @property
    def orientation(self) -> NDArray[np.float64] | None:
        """U, shape (3, 3), from the crystal's axes to the sample's; None where it is not given.

        The Bunge angles (φ1, Φ, φ2) make Z(φ2) X(Φ) Z(φ1), which takes the sample's axes to the
        crystal's (Bunge 1982, Texture Analysis in Materials Science, section 2.1.2); U is its
        transpose.
        """
        if self.orientation_matrix is not None:
            return np.array(self.orientation_matrix).reshape(3, 3)
        if self.euler_bunge_deg is None:
            return None
        (c1, c, c2), (s1, s, s2) = (
            function(np.radians(self.euler_bunge_deg)) for function in (np.cos, np.sin)
        )
        first, second = _about_z(c1, s1), _about_z(c2, s2)
        tilt = np.array([[1, 0, 0], [0, c, s], [0, -s, c]])
        return (second @ tilt @ first).T

    @property
    def reflection(self) -> NDArray[np.float64]:
        r"""**G** of hkl in the crystal's axes (x along a, z along c*), shape (3,), in 1/Å.

        Its products with the edges of the cell are h, k and l (International Tables for
        Crystallography, volume D, section 1.1.2), so every crystal system is covered.
        """
        a, b, c = self.unit_cell[:3]
        cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(self.unit_cell[3:]))
        sin_gamma = np.sin(np.radians(self.unit_cell[5]))
        across = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
        above = 1 - cos_beta**2 - across**2
        if above * sin_gamma**2 <= 1e-12:
            raise ParameterError(
                f"unit_cell angles {list(self.unit_cell[3:])} degrees close no cell: "
                "check α, β, γ (degrees, after a, b, c)"
            )
        edges = [
            [a, 0, 0],
            [b * cos_gamma, b * sin_gamma, 0],
            [c * cos_beta, c * across, c * np.sqrt(above)],
        ]
        return np.linalg.solve(edges, self.hkl)

    @property
    def d_spacing_angstrom(self) -> float:
        """Distance of the lattice planes in Å, one by the length of **G**."""
        return float(1 / np.linalg.norm(self.reflection))

    @property
    def bragg_angle_deg(self) -> float:
        """Bragg angle θ in degrees, from sin θ = λ / 2d."""
        ratio = self.wavelength_angstrom / (2 * self.d_spacing_angstrom)
        return float(np.degrees(np.arcsin(ratio)))

    @property
    def energy_kev(self) -> float:
        """Photon energy in keV."""
        return HC_KEV_ANGSTROM / self.wavelength_angstrom


def _about_z(c: float, s: float) -> NDArray[np.float64]:
    return np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


CELL_TAGS = ("length_a", "length_b", "length_c", "angle_alpha", "angle_beta", "angle_gamma")
_SPACE_GROUP = r"(?:space_group_IT_number|symmetry_Int_Tables_number)"
_MOST_BYTES = 50 * 2**20


def _cubic(a: float) -> Six:
    return (a, a, a, 90.0, 90.0, 90.0)


def _hexagonal(a: float, c: float) -> Six:
    return (a, a, c, 90.0, 90.0, 120.0)


COMMON_CRYSTALS: dict[str, tuple[Six, int]] = {
    "aluminium": (_cubic(4.0495), 225),
    "copper": (_cubic(3.6149), 225),
    "gold": (_cubic(4.0782), 225),
    "nickel": (_cubic(3.5238), 225),
    "silver": (_cubic(4.0857), 225),
    "iron, ferrite (α)": (_cubic(2.8665), 229),
    "tungsten": (_cubic(3.1652), 229),
    "titanium (α)": (_hexagonal(2.9505, 4.6826), 194),
    "magnesium": (_hexagonal(3.2094, 5.2108), 194),
    "zirconium (α)": (_hexagonal(3.2316, 5.1475), 194),
    "silicon": (_cubic(5.4310), 227),
    "germanium": (_cubic(5.6579), 227),
    "diamond": (_cubic(3.5668), 227),
    "gallium nitride": (_hexagonal(3.189, 5.185), 186),
    "lithium fluoride": (_cubic(4.0263), 225),
    "calcite": (_hexagonal(4.9896, 17.061), 167),
    "hydroxyapatite": (_hexagonal(9.418, 6.884), 176),
}
"""Unit cells, a, b, c in Å and α, β, γ in degrees at room temperature, and space groups."""


def read_cif(path: str | Path) -> tuple[Six, int | None]:
    """Read the unit cell (Å, degrees) and the space group, None if not given, of a CIF file.

    A ParameterError says where it cannot be read, lacks a part of the cell, or holds several.
    """
    path = Path(path).expanduser()
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ParameterError(f"{path}: is far too large for a CIF file")
        text = path.read_text("utf-8", errors="replace")
    except OSError as error:
        raise ParameterError(f"{path}: cannot be read ({error.strerror})") from error
    a, b, c, alpha, beta, gamma = (_cell_value(path, text, tag) for tag in CELL_TAGS)
    number = _values(text, _SPACE_GROUP)
    if len(number) > 1:
        raise ParameterError(f"{path}: holds several crystals: give a file of one")
    group = next(iter(number), "")
    if group and not (group.isdigit() and 1 <= int(group) <= 230):
        raise ParameterError(f"{path}: the space group is '{group[:20]}': expected 1 to 230")
    return (a, b, c, alpha, beta, gamma), int(group) if group else None


def _cell_value(path: Path, text: str, tag: str) -> float:
    found = _values(text, f"cell_{tag}")
    if len(found) != 1:
        what = "holds several crystals: give a file of one" if found else f"_cell_{tag} is missing"
        raise ParameterError(f"{path}: {what}")
    (value,) = found
    number = re.fullmatch(r"(\d+\.?\d*|\.\d+)(?:\(\d+\))?", value)
    if number is None:
        raise ParameterError(f"{path}: _cell_{tag} is '{value[:20]}': expected a number")
    return float(number[1])


def _values(text: str, tag: str) -> set[str]:
    """The different values that a tag has in a file; unknown ones (? and .) are none."""
    pattern = rf"^[ \t]*_{tag.replace('cell_', 'cell[_.]')}\s+(\S+)"
    found = re.findall(pattern, text, re.IGNORECASE | re.MULTILINE)
    return {value.strip("'\"") for value in found} - {"?", "."}
