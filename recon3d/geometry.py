"""Where a voxel lands on the detector, and which frames light it up.

Sample axes (x, y, z) are in µm, right-handed, y along the rotation axis, which is along
the diffraction vector **G**. A voxel's orientation is a small tilt (a, b), in degrees,
fixed in the sample: the (μ, γ) at which it diffracts at ω = 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class ProjectionGeometry:
    """The map from sample coordinates to detector pixels, pixel centres at integers."""

    theta_deg: float  # Bragg angle: the tilt of the sample against the diffracted beam
    magnification_pix_per_um: float
    centre_row_pix: float  # where the sample's origin falls, in the ROI
    centre_col_pix: float  # the column of the rotation axis
    # 1 / cos of the detector's deviation from perpendicular, along each image axis; times the width
    # of a pixel over its height where pixels are no squares
    stretch_rows: float = 1.0
    stretch_cols: float = 1.0
    omega_sense: int = 1  # +1 or -1: the sense of the ω motor in this map

    def affine(self, omega_deg: float) -> FloatArray:
        r"""Affine map at ω, (2, 4): ``matrix @ (x, y, z, 1)``, in µm, is (row, col) in pixels.

        .. math::
            x' = x \cos ω + z \sin ω, \quad z' = -x \sin ω + z \cos ω

            row = -M (x' \sin t + y \cos t) + row_0, \quad col = -M z' + col_0, \quad t = -θ
        """
        omega = np.radians(self.omega_sense * omega_deg)
        cosine, sine = np.cos(omega), np.sin(omega)
        tilt = -np.radians(self.theta_deg)
        per_row = -self.magnification_pix_per_um * self.stretch_rows
        per_col = -self.magnification_pix_per_um * self.stretch_cols
        return np.array(
            [
                [
                    per_row * np.sin(tilt) * cosine,
                    per_row * np.cos(tilt),
                    per_row * np.sin(tilt) * sine,
                    self.centre_row_pix,
                ],
                [-per_col * sine, 0.0, per_col * cosine, self.centre_col_pix],
            ]
        )


@dataclass(frozen=True)
class TiltOrigin:
    """The motor readings from which the tilts of a scan are counted, in degrees."""

    base_tilt_deg: float = 0.0  # diffrz0: the middle of the range of the base tilt
    chi_deg: float = 0.0  # as the user gave it, as is phi_deg
    phi_deg: float = 0.0
    azimuth_deg: float = 0.0  # 0 or 90: which of χ and φ is the rolling one at ω = 0


def sample_tilts(
    chi_deg: ArrayLike, phi_deg: ArrayLike, origin: TiltOrigin
) -> tuple[FloatArray, FloatArray]:
    """Tilts above the rotation stage: χ = (chi - chi0) cos phi0 and φ = phi - phi0, in degrees.

    The readings may have any shape; (χ, φ) is turned by the origin's azimuth.
    """
    chi = (np.asarray(chi_deg, float) - origin.chi_deg) * np.cos(np.radians(origin.phi_deg))
    phi = np.asarray(phi_deg, float) - origin.phi_deg
    azimuth = np.radians(origin.azimuth_deg)
    return (
        chi * np.cos(azimuth) - phi * np.sin(azimuth),
        chi * np.sin(azimuth) + phi * np.cos(azimuth),
    )


def frame_settings(
    omega_deg: ArrayLike,
    base_tilt_deg: ArrayLike,
    chi_deg: ArrayLike,
    phi_deg: ArrayLike,
    origin: TiltOrigin,
    handedness: int,
) -> tuple[FloatArray, FloatArray]:
    """The settings (μ_f, γ_f) of frames in the laboratory, in degrees, from their motors.

    The readings are in degrees and of one shape, which the settings have too. `handedness`: h = ±1,
    the relative sense of the tilt motors and ω.
    """
    chi, phi = sample_tilts(chi_deg, phi_deg, origin)
    omega = np.radians(np.asarray(omega_deg, float))
    mu = np.asarray(base_tilt_deg, float) - origin.base_tilt_deg
    mu = mu + handedness * (chi * np.cos(omega) - phi * np.sin(omega))
    return mu, chi * np.sin(omega) + phi * np.cos(omega)


def turn_to_laboratory(
    a_deg: ArrayLike, b_deg: ArrayLike, omega_deg: ArrayLike, handedness: int
) -> tuple[FloatArray, FloatArray]:
    """Turn tilts fixed in the sample by ω: (a, b) to (μ - μ_c, γ - γ_c), in degrees.

    These are a cos ω - h b sin ω and h a sin ω + b cos ω; ω broadcasts against the tilts.
    """
    omega = handedness * np.radians(np.asarray(omega_deg, float))
    a, b = np.asarray(a_deg, float), np.asarray(b_deg, float)
    return a * np.cos(omega) - b * np.sin(omega), a * np.sin(omega) + b * np.cos(omega)
