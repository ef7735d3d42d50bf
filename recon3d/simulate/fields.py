"""Scalar fields from which planted grains are put together.

A field gives one number at every point of the grain: a tilt in degrees, a strain or a
density. Coordinates are in µm from the centre of the grain. Fields add up with ``+``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.errors import ParameterError

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]


class Field(ABC):
    """One number at every point of the grain."""

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        return self._at(
            *(np.asarray(each, float) for each in np.broadcast_arrays(x_um, y_um, z_um))
        )

    @abstractmethod
    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray: ...

    def __add__(self, other: Field) -> Sum:
        return Sum((self, other))


@dataclass(frozen=True)
class Constant(Field):
    """The same value everywhere."""

    value: float = 0.0

    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        return _along((0.0, 0.0, 0.0), x, y, z) + self.value


@dataclass(frozen=True)
class Gradient(Field):
    """A value that grows linearly from 0 at the centre, by so much for one µm along x, y and z."""

    slope_per_um: Vector

    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        return _along(self.slope_per_um, x, y, z)


@dataclass(frozen=True)
class Bend(Field):
    """A value that grows with the square of the distance from a plane through the centre."""

    curvature_per_um2: float  # value at one µm from the plane
    direction: Vector  # normal of the plane, of length 1

    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        return self.curvature_per_um2 * _along(self.direction, x, y, z) ** 2


@dataclass(frozen=True)
class Cells(Field):
    """One value for each Voronoi cell: every point takes that of the nearest seed."""

    seeds_um: tuple[Vector, ...] = field(repr=False)
    values: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if not self.seeds_um or len(self.seeds_um) != len(self.values):
            raise ParameterError(
                f"{len(self.seeds_um)} seeds and {len(self.values)} values: expected one value "
                "for each Voronoi seed, and at least one"
            )

    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        nearest, values = np.full(x.shape, np.inf), np.zeros(x.shape)
        for seed, value in zip(self.seeds_um, self.values, strict=True):
            distance = (x - seed[0]) ** 2 + (y - seed[1]) ** 2 + (z - seed[2]) ** 2
            values = np.where(distance < nearest, value, values)
            nearest = np.minimum(nearest, distance)
        return values


@dataclass(frozen=True)
class Inclusion(Field):
    """A value inside a sphere, and 0 outside of it."""

    centre_um: Vector
    radius_um: float
    value: float

    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        cx, cy, cz = self.centre_um
        distance = (x - cx) ** 2 + (y - cy) ** 2 + (z - cz) ** 2
        return np.where(distance <= self.radius_um**2, float(self.value), 0.0)


@dataclass(frozen=True)
class Sum(Field):
    """Several fields, added up."""

    parts: tuple[Field, ...]

    def _at(self, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
        return np.sum([part.at(x, y, z) for part in self.parts], axis=0)


def _along(direction: Vector, x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    return direction[0] * x + direction[1] * y + direction[2] * z
