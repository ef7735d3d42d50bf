"""The unit cell and the space group of a CIF file, and of common crystals."""

from __future__ import annotations

import re
from pathlib import Path

from recon3d.config.crystal import Six
from recon3d.errors import ParameterError

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
