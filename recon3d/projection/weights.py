r"""The orientation bins of a voxel, and how strongly each shows in each frame: the factor W."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numba import prange
from numpy.typing import NDArray

from recon3d.geometry import turn_to_laboratory
from recon3d.projection.kernels import AnyFloats, FloatArray
from recon3d.runtime.compiled import njit


@dataclass(frozen=True)
class OrientationBins:
    """A regular grid of tilts (a, b), and of Bragg angle shifts where strain was scanned.

    Bins are numbered in C order over (a, b, Δθ).
    """

    a_deg: FloatArray  # centres of the bins
    b_deg: FloatArray
    dtheta_deg: FloatArray  # one bin at 0 without strain

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of bins along a, b and Δθ."""
        return self.a_deg.size, self.b_deg.size, self.dtheta_deg.size

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(np.prod(self.shape))

    def centres_deg(self) -> FloatArray:
        """The orientation of every bin: (a, b, Δθ), (3, size)."""
        grids = np.meshgrid(self.a_deg, self.b_deg, self.dtheta_deg, indexing="ij")
        return np.stack(grids).reshape(3, -1)


def centred_axis(half_range_deg: float, step_deg: float) -> FloatArray:
    """Bin centres symmetric about 0, one at 0, that cover ± `half_range_deg`.

    The outermost centres reach that at least to within half a step.
    """
    half = max(int(np.ceil(half_range_deg / step_deg - 0.5)), 0)
    return np.arange(-half, half + 1, dtype=np.float64) * step_deg


@dataclass(frozen=True)
class BinRuns:
    """Values of voxels, each in a run of bins of its own; zero in all other bins."""

    values: AnyFloats  # voxel by voxel
    # (voxels + 1,): where the values of each voxel start, and where those of the last one end
    starts: NDArray[np.int64]
    firsts: NDArray[np.int64]  # (voxels,): the first bin of each run
    bins: int  # how many bins there are

    @classmethod
    def whole(cls, volume: AnyFloats) -> BinRuns:
        """All bins of a volume (voxels, bins), C-contiguous; in its memory."""
        voxels, bins = volume.shape
        starts = np.arange(voxels + 1) * bins
        return cls(volume.reshape(-1), starts, np.zeros(voxels, np.int64), bins)

    @classmethod
    def of(cls, volume: AnyFloats) -> BinRuns:
        """Runs from the first to the last bin of each voxel that is not zero, to `take` it into."""
        firsts, lengths = np.empty((2, len(volume)), np.int64)
        _find_runs(volume, firsts, lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        return cls(np.empty(starts[-1], volume.dtype), starts, firsts, volume.shape[1])

    @cached_property
    def share(self) -> float:
        """Share of all bins of all voxels that are in a run."""
        return self.values.size / max(self.firsts.size * self.bins, 1)

    def empty(self) -> BinRuns:
        """Zeros in the same runs."""
        return BinRuns(np.zeros_like(self.values), self.starts, self.firsts, self.bins)

    def take(self, volume: AnyFloats) -> None:
        """Fill the values from a volume, (voxels, bins)."""
        _take(self.values, self.starts, self.firsts, volume)

    def add_to(self, volume: AnyFloats) -> None:
        """Add the values to a volume, (voxels, bins), in place."""
        _add(self.values, self.starts, self.firsts, volume)


@njit(parallel=True, cache=True, nogil=True)
def cut_tails(volume, share):  # type: ignore[no-untyped-def]
    """Set to zero what lies before and after a voxel's bins that hold a share of its largest.

    `volume`: (voxels, bins), changed in place.
    """
    for voxel in prange(volume.shape[0]):
        line = volume[voxel]
        least = share * line.max()
        first, last = 0, line.size
        while first < last and line[first] <= least:
            line[first] = 0
            first += 1
        while first < last and line[last - 1] <= least:
            last -= 1
            line[last] = 0


@njit(parallel=True, cache=True, nogil=True)
def _find_runs(volume, firsts, lengths):  # type: ignore[no-untyped-def]
    for voxel in prange(volume.shape[0]):
        line = volume[voxel]
        first, last = 0, line.size
        while first < last and line[first] == 0:
            first += 1
        while first < last and line[last - 1] == 0:
            last -= 1
        firsts[voxel], lengths[voxel] = first, last - first


@njit(parallel=True, cache=True, nogil=True)
def _take(values, starts, firsts, volume):  # type: ignore[no-untyped-def]
    for voxel in prange(firsts.size):
        run = values[starts[voxel] : starts[voxel + 1]]
        line = volume[voxel, firsts[voxel] : firsts[voxel] + run.size]
        for i in range(run.size):
            run[i] = line[i]


@njit(parallel=True, cache=True, nogil=True)
def _add(values, starts, firsts, volume):  # type: ignore[no-untyped-def]
    for voxel in prange(firsts.size):
        run = values[starts[voxel] : starts[voxel + 1]]
        line = volume[voxel, firsts[voxel] : firsts[voxel] + run.size]
        for i in range(run.size):
            line[i] += run[i]


@dataclass(frozen=True)
class Acceptance:
    """What the instrument accepts about a setting, fixed in the laboratory."""

    rocking_width_deg: float  # standard deviation; infinite where the instrument is wide open
    rolling_width_deg: float
    two_theta_width_deg: float = np.inf
    # by how much the setting in γ moves with the row and with the column of the image, from where
    # the sample's origin falls; weights of bins, which are nowhere, do not hold it
    slope_deg_per_pix: tuple[float, float] = (0.0, 0.0)

    @property
    def widths_deg(self) -> FloatArray:
        """The widths in μ, γ and 2θ."""
        return np.array([self.rocking_width_deg, self.rolling_width_deg, self.two_theta_width_deg])


@dataclass(frozen=True)
class Turning:
    """How tilts fixed in the sample turn in the laboratory."""

    handedness: int  # h = ±1
    # μ_c; with γ_c the setting at which **G** lies exactly along the rotation axis
    centre_mu_deg: float = 0.0
    centre_gamma_deg: float = 0.0
    base_tilt_sense: int = 1  # with which a shift of the Bragg angle shows in μ

    def settings_of(self, orientations_deg: FloatArray, omega_deg: float) -> FloatArray:
        """(μ, γ, 2θ shift), (3, n), at which orientations (a, b, Δθ), (3, n), diffract at ω."""
        a, b, dtheta = orientations_deg
        mu, gamma = turn_to_laboratory(a, b, omega_deg, self.handedness)
        mu = self.centre_mu_deg + mu + self.base_tilt_sense * dtheta
        return np.stack([mu, self.centre_gamma_deg + gamma, 2 * dtheta])


@dataclass(frozen=True)
class FrameSettings:
    """The settings of the frames of a scan in the laboratory, each (projections, frames).

    NaN stands for a frame that is missing.
    """

    mu_deg: FloatArray
    gamma_deg: FloatArray
    two_theta_deg: FloatArray  # from the middle of its range; 0 where it was not scanned

    def of(self, projection: int) -> FloatArray:
        """(μ, γ, 2θ) of the frames of a projection, (3, frames)."""
        columns = (self.mu_deg, self.gamma_deg, self.two_theta_deg)
        return np.stack([column[projection] for column in columns])


def frame_weights(of_frames: FloatArray, of_bins: FloatArray) -> NDArray[np.float32]:
    r"""Weights, (frames, bins), of orientation bins in the frames of a projection.

    .. math::
        W_{f,bin} = \exp\left(-\tfrac12 \left(\frac{μ_f - μ(ω)}{σ_μ}\right)^2
        -\tfrac12 \left(\frac{γ_f - γ(ω)}{σ_γ}\right)^2
        -\tfrac12 \left(\frac{2θ_f - 2Δθ}{σ_{2θ}}\right)^2\right)

    the Gaussian approximation of the resolution function (Poulsen et al. 2017, J. Appl. Cryst. 50,
    1441) with the turning law of Recon3D. Rows of missing frames are zero.

    `of_frames`, `of_bins`: as `scaled_settings` gives them.
    """
    squares = np.zeros((len(of_frames), len(of_bins)))
    for frame, bin_ in zip(of_frames.T, of_bins.T, strict=True):
        squares += (frame[:, None] - bin_) ** 2
    weights = np.exp(-0.5 * squares)
    # Beyond four widths nothing is seen; exact zeros keep denormal numbers out of the kernels.
    weights[~(squares < 16)] = 0
    return weights.astype(np.float32)


def scaled_settings(
    frames_deg: FloatArray, orientations_deg: FloatArray, acceptance: Acceptance
) -> tuple[FloatArray, FloatArray]:
    r"""Settings (3, n) of frames and of orientations in the instrument's widths, each (n, 3).

    The weight of a bin in a frame is :math:`\exp(-d^2 / 2)` of their distance d in (μ, γ, 2θ). What
    the instrument is wide open to is 0 everywhere; NaN stands for a missing frame.
    """
    both = (frames_deg, orientations_deg)
    of_frames, of_bins = (np.ascontiguousarray(one.T / acceptance.widths_deg) for one in both)
    return of_frames, of_bins


def nearest_frames(
    frames_deg: FloatArray, bins_deg: FloatArray, reach_deg: tuple[float, float, float]
) -> NDArray[np.int64]:
    """Which frame, by settings (3, frames), is nearest to each bin's, (3, bins); -1 for none.

    `reach_deg`: how far off in (μ, γ, 2θ) a frame may be; infinite where no choice was measured.
    """
    distance = np.zeros((frames_deg.shape[1], bins_deg.shape[1]))
    for frame, bin_, reach in zip(frames_deg, bins_deg, reach_deg, strict=True):
        np.maximum(distance, np.abs(frame[:, None] - bin_) / reach, out=distance)
    distance[np.isnan(distance)] = np.inf
    frame = distance.argmin(axis=0)
    frame[distance.min(axis=0) > 1] = -1
    return frame
