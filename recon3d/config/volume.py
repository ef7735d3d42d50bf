"""The box of voxels that a grain is reconstructed in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError

MOST_VOXELS = 2**31
"""More are refused: voxels are counted in 32 bits."""


@dataclass(frozen=True)
class Volume:
    """The box of voxels that is reconstructed, in sample axes (x, y along **G**, z).

    Parameters
    ----------
    position_um
        Centre of the box.
    size_um
        Edges of the box.
    shape
        Number of voxels along each axis.
    """

    position_um: tuple[float, float, float]
    size_um: tuple[float, float, float]
    shape: tuple[int, int, int]

    def __post_init__(self) -> None:
        if min(self.shape) < 1:
            raise ParameterError(f"grain_steps {list(self.shape)}: expected whole numbers from 1")
        if math.prod(self.shape) > MOST_VOXELS:
            raise ParameterError(
                f"grain_steps {list(self.shape)}: {math.prod(self.shape):.3g} voxels are more than "
                "any computer can hold"
            )
        if not all(0 < size < math.inf for size in self.size_um):
            raise ParameterError(f"grain_dim {list(self.size_um)}: expected positive lengths in µm")

    @property
    def voxel_um(self) -> tuple[float, ...]:
        """Edges of one voxel."""
        return tuple(size / n for size, n in zip(self.size_um, self.shape, strict=True))

    def with_longest(self, voxels: int) -> Volume:
        """The same box with about cubic voxels, `voxels` of them along the most divided axis."""
        x, y, z = (max(round(n * voxels / max(self.shape)), 1) for n in self.shape)
        return replace(self, shape=(x, y, z))

    def axis_um(self, axis: int) -> NDArray[np.float64]:
        """Centres of the voxels along one axis, position + size / n (i - (n - 1) / 2)."""
        n = self.shape[axis]
        index = np.arange(n, dtype=np.float64) - (n - 1) / 2
        return self.position_um[axis] + self.size_um[axis] / n * index
