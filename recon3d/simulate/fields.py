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

    @abstractmethod
    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""

    def __add__(self, other: Field) -> Sum:
        return Sum((self, other))


@dataclass(frozen=True)
class Constant(Field):
    """The same value everywhere."""

    value: float = 0.0

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        return np.full(np.broadcast_shapes(*map(np.shape, (x_um, y_um, z_um))), float(self.value))


@dataclass(frozen=True)
class Gradient(Field):
    """A value that grows linearly from 0 at the centre, by so much for one µm along x, y and z."""

    slope_per_um: Vector

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        return _along(self.slope_per_um, x_um, y_um, z_um)


@dataclass(frozen=True)
class Bend(Field):
    """A value that grows with the square of the distance from a plane through the centre."""

    curvature_per_um2: float  # value at one µm from the plane
    direction: Vector  # normal of the plane, of length 1

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        return self.curvature_per_um2 * _along(self.direction, x_um, y_um, z_um) ** 2


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

    def cell_at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> NDArray[np.int64]:
        """Number of the cell that holds each point."""
        x, y, z = np.broadcast_arrays(x_um, y_um, z_um)
        nearest, cell = np.full(x.shape, np.inf), np.zeros(x.shape, np.int64)
        for number, seed in enumerate(self.seeds_um):
            distance = (x - seed[0]) ** 2 + (y - seed[1]) ** 2 + (z - seed[2]) ** 2
            cell = np.where(distance < nearest, number, cell)
            nearest = np.minimum(nearest, distance)
        return cell

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        return np.array(self.values, float)[self.cell_at(x_um, y_um, z_um)]


@dataclass(frozen=True)
class Inclusion(Field):
    """A value inside a sphere, and 0 outside of it."""

    centre_um: Vector
    radius_um: float
    value: float

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        x, y, z = (
            np.asarray(coordinate, float) - centre
            for coordinate, centre in zip((x_um, y_um, z_um), self.centre_um, strict=True)
        )
        return np.where(x**2 + y**2 + z**2 <= self.radius_um**2, float(self.value), 0.0)


@dataclass(frozen=True)
class Sum(Field):
    """Several fields, added up."""

    parts: tuple[Field, ...]

    def at(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> FloatArray:
        """Values at points, of the shape to which the coordinates broadcast."""
        total = Constant(0.0).at(x_um, y_um, z_um)
        for part in self.parts:
            total = total + part.at(x_um, y_um, z_um)
        return total


def _along(direction: Vector, x: ArrayLike, y: ArrayLike, z: ArrayLike) -> FloatArray:
    return (
        direction[0] * np.asarray(x, float)
        + direction[1] * np.asarray(y, float)
        + (direction[2] * np.asarray(z, float))
    )
