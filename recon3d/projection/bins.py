"""The orientation bins that every voxel is resolved into."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Orientations(Protocol):
    """Anything that names orientations (a, b) and shifts Δθ one by one."""

    def centres_deg(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(a, b, Δθ) of every orientation, each of one shape."""
        ...


@dataclass(frozen=True)
class OrientationList:
    """Orientations in no order, such as those of the voxels of a grain: tilts and shifts Δθ."""

    a_deg: FloatArray
    b_deg: FloatArray
    dtheta_deg: FloatArray

    def centres_deg(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(a, b, Δθ) of every orientation."""
        return self.a_deg, self.b_deg, self.dtheta_deg


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
    def step_deg(self) -> float:
        """Distance of neighbouring bins along a; 0 for a single one."""
        return float(self.a_deg[1] - self.a_deg[0]) if self.a_deg.size > 1 else 0.0

    @property
    def size(self) -> int:
        """Number of bins."""
        return int(np.prod(self.shape))

    def centres_deg(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """(a, b, Δθ) of every bin, each of shape (size,)."""
        a, b, dtheta = np.meshgrid(self.a_deg, self.b_deg, self.dtheta_deg, indexing="ij")
        return a.ravel(), b.ravel(), dtheta.ravel()


def centred_axis(half_range_deg: float, step_deg: float) -> FloatArray:
    """Bin centres symmetric about 0, one at 0, that cover ± `half_range_deg`.

    The outermost centres reach that at least to within half a step.
    """
    half = max(int(np.ceil(half_range_deg / step_deg - 0.5)), 0)
    return np.arange(-half, half + 1, dtype=np.float64) * step_deg
