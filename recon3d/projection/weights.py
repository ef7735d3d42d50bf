r"""How strongly each orientation bin shows in each frame, the factor W of the operator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recon3d.geometry import turn_to_laboratory
from recon3d.projection.bins import Orientations

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Acceptance:
    """What the instrument accepts about a setting, fixed in the laboratory."""

    rocking_width_deg: float  # standard deviation; infinite where the instrument is wide open
    rolling_width_deg: float
    two_theta_width_deg: float = np.inf
    # by how much the setting in γ moves with the row and with the column of the image, from where
    # the sample's origin falls; weights of bins, which are nowhere, do not hold it
    slope_deg_per_pix: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class Turning:
    """How tilts fixed in the sample turn in the laboratory."""

    handedness: int  # h = ±1
    # μ_c; with γ_c the setting at which **G** lies exactly along the rotation axis
    centre_mu_deg: float = 0.0
    centre_gamma_deg: float = 0.0
    base_tilt_sense: int = 1  # with which a shift of the Bragg angle shows in μ

    def settings_of(
        self, bins: Orientations, omega_deg: float
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(μ, γ, 2θ shift) in degrees at which every bin diffracts at ω, each (bins,)."""
        a, b, dtheta = bins.centres_deg()
        mu, gamma = turn_to_laboratory(a, b, omega_deg, self.handedness)
        return (
            self.centre_mu_deg + mu + self.base_tilt_sense * dtheta,
            self.centre_gamma_deg + gamma,
            2 * dtheta,
        )


@dataclass(frozen=True)
class FrameSettings:
    """The settings of the frames of a scan in the laboratory, each (projections, frames).

    NaN stands for a frame that is missing.
    """

    mu_deg: FloatArray
    gamma_deg: FloatArray
    two_theta_deg: FloatArray  # from the middle of its range; 0 where it was not scanned


def frame_weights(
    settings: FrameSettings,
    projection: int,
    omega_deg: float,
    bins: Orientations,
    turning: Turning,
    acceptance: Acceptance,
) -> NDArray[np.float32]:
    r"""Weights, (frames, bins), of the orientation bins in the frames of one projection.

    .. math::
        W_{f,bin} = \exp\left(-\tfrac12 \left(\frac{μ_f - μ(ω)}{σ_μ}\right)^2
        -\tfrac12 \left(\frac{γ_f - γ(ω)}{σ_γ}\right)^2
        -\tfrac12 \left(\frac{2θ_f - 2Δθ}{σ_{2θ}}\right)^2\right)

    the Gaussian approximation of the resolution function (Poulsen et al. 2017, J. Appl. Cryst. 50,
    1441) with the turning law of Recon3D. Rows of missing frames are zero.
    """
    of_frames, of_bins = scaled_settings(settings, projection, omega_deg, bins, turning, acceptance)
    squares = np.zeros((len(of_frames), len(of_bins)))
    for frame, bin_ in zip(of_frames.T, of_bins.T, strict=True):
        squares += (frame[:, None] - bin_) ** 2
    weights = np.exp(-0.5 * squares)
    # Beyond four widths nothing is seen; exact zeros keep denormal numbers out of the kernels.
    weights[~(squares < 16)] = 0
    return weights.astype(np.float32)


def scaled_settings(
    settings: FrameSettings,
    projection: int,
    omega_deg: float,
    bins: Orientations,
    turning: Turning,
    acceptance: Acceptance,
) -> tuple[FloatArray, FloatArray]:
    r"""Settings of a projection's frames, (frames, 3), and of the bins, in the instrument's widths.

    The weight of a bin in a frame is :math:`\exp(-d^2 / 2)` of their distance d in (μ, γ, 2θ). What
    the instrument is wide open to is 0 everywhere; NaN stands for a missing frame.
    """
    widths = (
        acceptance.rocking_width_deg,
        acceptance.rolling_width_deg,
        acceptance.two_theta_width_deg,
    )
    columns = (settings.mu_deg, settings.gamma_deg, settings.two_theta_deg)
    of_frames = [column[projection] / width for column, width in zip(columns, widths, strict=True)]
    of_bins = [
        column / width
        for column, width in zip(turning.settings_of(bins, omega_deg), widths, strict=True)
    ]
    return np.stack(of_frames, axis=-1), np.stack(of_bins, axis=-1)


def nearest_frames(
    settings: FrameSettings,
    projection: int,
    omega_deg: float,
    bins: Orientations,
    turning: Turning,
    reach_deg: tuple[float, float, float],
) -> NDArray[np.int64]:
    """Which frame of a projection lies nearest to the setting of each bin; -1 for none.

    `reach_deg`: how far off in (μ, γ, 2θ) a frame may be; infinite where no choice was measured.
    """
    reach_mu, reach_gamma, reach_two_theta = reach_deg
    mu, gamma, two_theta = turning.settings_of(bins, omega_deg)
    distance = np.maximum(
        np.abs(settings.mu_deg[projection][:, None] - mu) / reach_mu,
        np.abs(settings.gamma_deg[projection][:, None] - gamma) / reach_gamma,
    )
    distance = np.maximum(
        distance,
        np.abs(settings.two_theta_deg[projection][:, None] - two_theta) / reach_two_theta,
    )
    distance[np.isnan(distance)] = np.inf
    frame = distance.argmin(axis=0)
    frame[distance.min(axis=0) > 1] = -1
    return frame
