"""The box of voxels that a grain is reconstructed in."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.arguments import checked
from recon3d.config.declare import Declared, setting
from recon3d.errors import ParameterError

MOST_VOXELS = 2**31
"""More are refused: voxels are counted in 32 bits."""

Three = tuple[float, float, float]


@dataclass(frozen=True, repr=False)
class Volume(Declared):
    """The box of voxels that is reconstructed, in sample axes (x, y along **G**, z).

    Examples
    --------
    >>> import recon3d as r3
    >>> volume = r3.Volume(position_um=(0, 0, 0), size_um=(12, 12, 6), shape=(48, 48, 24))
    >>> volume.voxel_um
    (0.25, 0.25, 0.25)
    >>> volume.axis_um(2)[:3]
    array([-2.875, -2.625, -2.375])
    """

    position_um: Three = setting(help="centre of the box", key="grain_pos", unit="µm")
    size_um: Three = setting(help="edges of the box", key="grain_dim", unit="µm", bounds="> 0")
    shape: tuple[int, int, int] = setting(
        help="voxels along each axis; one number serves for all three",
        key="grain_steps",
        bounds=">= 1",
        one_for_all=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if math.prod(self.shape) > MOST_VOXELS:
            raise ParameterError(
                f"grain_steps {list(self.shape)}: {math.prod(self.shape):.3g} voxels are more than "
                "any computer can hold"
            )

    @property
    def voxel_um(self) -> tuple[float, ...]:
        """Edges of one voxel."""
        return tuple(size / n for size, n in zip(self.size_um, self.shape, strict=True))

    @property
    def corner_um(self) -> tuple[float, ...]:
        """The box's lowest corner."""
        return tuple(p - s / 2 for p, s in zip(self.position_um, self.size_um, strict=True))

    @checked(voxels=">= 1")
    def with_longest(self, voxels: int) -> Volume:
        """The same box with about cubic voxels, `voxels` of them along the most divided axis."""
        x, y, z = (max(round(n * voxels / max(self.shape)), 1) for n in self.shape)
        return replace(self, shape=(x, y, z))

    @checked(axis=">= 0, <= 2")
    def axis_um(self, axis: int) -> NDArray[np.float64]:
        """Centres of the voxels along one axis, position + size / n (i - (n - 1) / 2)."""
        n = self.shape[axis]
        index = np.arange(n, dtype=np.float64) - (n - 1) / 2
        return self.position_um[axis] + self.size_um[axis] / n * index

    def centre_um(self, voxel: tuple[int, int, int]) -> Three:
        """Centre of a voxel, (x, y, z), by its number along each axis."""
        x, y, z = (float(self.axis_um(axis)[i]) for axis, i in enumerate(voxel))
        return x, y, z

    def places(self, points_um: ArrayLike) -> NDArray[np.float64]:
        """Where points, (..., 3), lie among the voxels: whole numbers at the voxels' centres."""
        return (np.asarray(points_um, float) - self.centre_um((0, 0, 0))) / self.voxel_um
