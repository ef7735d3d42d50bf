"""The unit cell, its lattice spacings, and the Bragg angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from recon3d.errors import ParameterError

HC_KEV_ANGSTROM = 12.398419843320026
"""Planck's constant times the speed of light, in keV Å (exact in the SI of 2019)."""

_LENGTHS_ANGSTROM = (0.01, 1e6)


@dataclass(frozen=True)
class Crystal:
    """A crystal, the reflection that is imaged, and the wavelength that images it.

    Parameters
    ----------
    unit_cell
        a, b, c in Å and α, β, γ in degrees, of any crystal system.
    hkl
        Miller indices of the reflection.
    wavelength_angstrom
        X-ray wavelength in Å.
    space_group
        Number of the space group, 1 to 230, for the record.

    Raises
    ------
    ParameterError
        The cell is impossible, hkl is 0 0 0, or the wavelength is longer than 2d.
    """

    unit_cell: tuple[float, float, float, float, float, float]
    hkl: tuple[int, int, int]
    wavelength_angstrom: float
    space_group: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.space_group <= 230:
            raise ParameterError(f"sg_no is {self.space_group}: space groups run from 1 to 230")
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
        if not self.wavelength_angstrom > 0:
            raise ParameterError(
                f"wavelength is {self.wavelength_angstrom:g}: expected a positive length in Å"
            )
        if self.wavelength_angstrom > 2 * self.d_spacing_angstrom:
            raise ParameterError(
                f"wavelength {self.wavelength_angstrom:g} Å is longer than 2d = "
                f"{2 * self.d_spacing_angstrom:.5g} Å of hkl {self.hkl}: no Bragg angle exists "
                "(is the wavelength in Å, and the cell the right one?)"
            )

    @property
    def d_spacing_angstrom(self) -> float:
        r"""Distance of the lattice planes, :math:`1 / \sqrt{h^T G^{*} h}`, in Å.

        :math:`G^{*}` is the inverse of the cell's metric tensor (International Tables
        for Crystallography, volume D, section 1.1.2), so every crystal system is covered.
        """
        lengths = np.array(self.unit_cell[:3])
        cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(self.unit_cell[3:]))
        cosines = np.array(
            [[1, cos_gamma, cos_beta], [cos_gamma, 1, cos_alpha], [cos_beta, cos_alpha, 1]]
        )
        metric = np.outer(lengths, lengths) * cosines
        if np.linalg.det(cosines) <= 1e-12:
            raise ParameterError(
                f"unit_cell angles {list(self.unit_cell[3:])} degrees close no cell: "
                "check α, β, γ (degrees, after a, b, c)"
            )
        hkl = np.array(self.hkl, dtype=float)
        return float(1 / np.sqrt(hkl @ np.linalg.solve(metric, hkl)))

    @property
    def bragg_angle_deg(self) -> float:
        """Bragg angle θ in degrees, from sin θ = λ / 2d."""
        ratio = self.wavelength_angstrom / (2 * self.d_spacing_angstrom)
        return float(np.degrees(np.arcsin(ratio)))

    @property
    def energy_kev(self) -> float:
        """Photon energy in keV."""
        return HC_KEV_ANGSTROM / self.wavelength_angstrom
