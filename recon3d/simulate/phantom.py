"""Planted grains: a known shape, orientation field and strain field.

A field gives one number at every point of the grain: a tilt in degrees, a strain or a
density. Coordinates are in µm from the centre of the grain. Fields add up with ``+``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import HalfspaceIntersection

from recon3d.arguments import check_fields, checked
from recon3d.errors import ParameterError

FloatArray = NDArray[np.float64]
Vector = tuple[float, float, float]

FACES = 16
"""Half spaces of an irregular grain; 12 or more always close."""


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


@dataclass(frozen=True)
class Polyhedron:
    """A convex polyhedron about the origin: where ``normal · r <= distance`` for every face."""

    normals: tuple[Vector, ...] = field(repr=False)  # outward, of length 1
    distances_um: tuple[float, ...] = field(repr=False)

    @property
    def vertices_um(self) -> NDArray[np.float64]:
        """Corners, shape (corners, 3)."""
        faces = np.column_stack((self.normals, -np.array(self.distances_um)))
        vertices = HalfspaceIntersection(faces, np.zeros(3)).intersections
        if not np.isfinite(vertices).all():
            raise ParameterError("the faces of the polyhedron close no volume: spread the normals")
        return vertices

    @property
    def radius_um(self) -> float:
        """Distance of the farthest corner from the origin."""
        return float(np.linalg.norm(self.vertices_um, axis=1).max())

    def holds(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> NDArray[np.bool_]:
        """Tell which points are inside."""
        x, y, z = np.broadcast_arrays(x_um, y_um, z_um)
        inside = np.ones(x.shape, bool)
        for (nx, ny, nz), distance in zip(self.normals, self.distances_um, strict=True):
            inside &= nx * x + ny * y + nz * z <= distance
        return inside


def irregular_polyhedron(size_um: float, rng: np.random.Generator) -> Polyhedron:
    """Draw an irregular grain, unlike any of its mirror images, that just fits a sphere.

    The normals are spread over the sphere by a spiral of golden angles, turned and shaken at
    random; the distances of the faces vary by nearly a factor of two.
    """
    if not 1e-3 <= size_um <= 1e6:
        raise ParameterError(f"a grain of {size_um:g} µm: expected a positive size")
    height = 1 - (2 * np.arange(FACES) + 1) / FACES
    azimuth = np.pi * (3 - np.sqrt(5)) * np.arange(FACES)
    radius = np.sqrt(1 - height**2)
    normals = np.column_stack((radius * np.cos(azimuth), radius * np.sin(azimuth), height))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    normals = normals @ turn + rng.uniform(-0.2, 0.2, (FACES, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distances = rng.uniform(0.55, 1.0, FACES)
    outward = tuple(map(_vector, normals))
    scale = size_um / 2 / Polyhedron(outward, tuple(distances)).radius_um
    return Polyhedron(outward, tuple((distances * scale).tolist()))


_NONE, _WHOLE = Constant(0.0), Constant(1.0)
Maker = Callable[["Phantom", float, float, np.random.Generator], "Phantom"]


@dataclass(frozen=True)
class PhantomSample:
    """What a planted grain is at a set of points, all arrays of one shape."""

    density: FloatArray  # scattering power, 1 in a plain grain, 0 outside
    a_deg: FloatArray  # fixed in the sample, as b is; the fields go on outside the grain
    b_deg: FloatArray
    strain: FloatArray  # along **G**


@dataclass(frozen=True)
class Phantom:
    """A grain of which everything is known.

    Parameters
    ----------
    shape
        Its outline, about its own centre.
    a_deg, b_deg
        The orientation field: tilts in degrees, as fields about the grain's centre.
    strain
        Strain along **G**, as a field about the grain's centre.
    density
        Scattering power inside the shape, as a field about the grain's centre.
    position_um
        Where the grain's centre sits, in sample axes.
    second
        Where every point scatters at two orientations: the share of the second one, and its
        (a, b) from the first, in degrees.
    """

    shape: Polyhedron
    a_deg: Field = _NONE
    b_deg: Field = _NONE
    strain: Field = _NONE
    density: Field = _WHOLE
    position_um: Vector = (0.0, 0.0, 0.0)
    second: Vector = (0.0, 0.0, 0.0)

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def radius_um(self) -> float:
        """Radius of the sphere about `position_um` that just holds the grain."""
        return self.shape.radius_um

    @checked()
    def sample(self, x_um: ArrayLike, y_um: ArrayLike, z_um: ArrayLike) -> PhantomSample:
        """Tell what the grain is at points, which broadcast; of two orientations, their mean."""
        x, y, z = (
            np.asarray(coordinate, float) - centre
            for coordinate, centre in zip((x_um, y_um, z_um), self.position_um, strict=True)
        )
        inside = self.shape.holds(x, y, z)
        share, a_off, b_off = self.second
        return PhantomSample(
            density=np.where(inside, self.density.at(x, y, z), 0.0),
            a_deg=self.a_deg.at(x, y, z) + share * a_off,
            b_deg=self.b_deg.at(x, y, z) + share * b_off,
            strain=self.strain.at(x, y, z),
        )


@checked(spread_deg=">= 0", seed=">= 0")
def make_phantom(
    name: str = "subgrains",
    size_um: float = 12.0,
    spread_deg: float = 0.06,
    seed: int = 0,
    *,
    strain: float = 1e-3,
    position_um: Vector = (0.0, 0.0, 0.0),
) -> Phantom:
    """Plant one of the named grains in an irregular polyhedron.

    Parameters
    ----------
    name
        "single": one orientation. "subgrains": seven cells, each with its own.
        "gradient": a tilt that grows linearly. "bent": one that grows quadratically along
        one direction and linearly along another. "strained": a linear tilt, and a linear
        strain with an inclusion.
    size_um
        Diameter of the sphere that just holds the grain.
    spread_deg
        Largest tilt: a² + b² stays within its square.
    seed
        Seed of the random shape, directions and subgrains.
    strain
        Largest strain of the "strained" grain, either sign.
    position_um
        Where the grain's centre sits, in sample axes.

    Raises
    ------
    ParameterError
        No such grain, a size that is not positive, or a negative spread.

    Examples
    --------
    >>> import recon3d as r3
    >>> phantom = r3.simulate.make_phantom("subgrains", size_um=9.5, spread_deg=0.05, seed=4)
    """
    if name not in PHANTOMS:
        raise ParameterError(f"phantom '{name}' is not known: expected one of {list(PHANTOMS)}")
    rng = np.random.default_rng(seed)
    grain = Phantom(irregular_polyhedron(size_um, rng), position_um=position_um)
    return PHANTOMS[name](grain, spread_deg, strain, rng)


def _single(grain: Phantom, spread: float, _: float, rng: np.random.Generator) -> Phantom:
    azimuth = rng.uniform(0, 2 * np.pi)
    return replace(
        grain,
        a_deg=Constant(0.7 * spread * float(np.cos(azimuth))),
        b_deg=Constant(0.7 * spread * float(np.sin(azimuth))),
    )


def _subgrains(grain: Phantom, spread: float, _: float, rng: np.random.Generator) -> Phantom:
    inner = _points_inside(grain.shape, 400, rng)
    seeds = tuple(map(_vector, _far_apart(inner, 7)))
    radius, azimuth = np.sqrt(rng.uniform(0, 1, 400)), rng.uniform(0, 2 * np.pi, 400)
    disk = np.column_stack((radius * np.cos(azimuth), radius * np.sin(azimuth)))
    a, b = (spread * _far_apart(disk, 7)).T
    a_deg, b_deg = (Cells(seeds, tuple(tilts.tolist())) for tilts in (a, b))
    return replace(grain, a_deg=a_deg, b_deg=b_deg)


def _gradient(grain: Phantom, spread: float, _: float, rng: np.random.Generator) -> Phantom:
    slopes = spread / grain.radius_um * _directions(rng)
    return replace(grain, a_deg=Gradient(_vector(slopes[0])), b_deg=Gradient(_vector(slopes[1])))


def _bent(grain: Phantom, spread: float, _: float, rng: np.random.Generator) -> Phantom:
    along, across = _directions(rng)[:2]
    bend = Bend(1.6 * spread / grain.radius_um**2, _vector(along))
    return replace(
        grain,
        a_deg=Constant(-0.8 * spread) + bend,
        b_deg=Gradient(_vector(0.55 * spread / grain.radius_um * across)),
    )


def _strained(grain: Phantom, spread: float, strain: float, rng: np.random.Generator) -> Phantom:
    tilted = _gradient(grain, spread, strain, rng)
    along = _directions(rng)[0]
    inclusion = Inclusion(
        _vector(0.25 * grain.radius_um * along), 0.3 * grain.radius_um, -0.45 * strain
    )
    return replace(
        tilted, strain=Gradient(_vector(0.9 * strain / grain.radius_um * along)) + inclusion
    )


PHANTOMS: dict[str, Maker] = {
    "single": _single,
    "subgrains": _subgrains,
    "gradient": _gradient,
    "bent": _bent,
    "strained": _strained,
}
"""The named grains and how they are made."""


def _vector(values: FloatArray) -> Vector:
    x, y, z = values.tolist()
    return x, y, z


def _directions(rng: np.random.Generator) -> FloatArray:
    """Three random directions at right angles, shape (3, 3)."""
    return np.linalg.qr(rng.standard_normal((3, 3)))[0].T


def _points_inside(shape: Polyhedron, count: int, rng: np.random.Generator) -> FloatArray:
    points = rng.uniform(-shape.radius_um, shape.radius_um, (20 * count, 3))
    return points[shape.holds(*points.T)][:count]


def _far_apart(points: FloatArray, count: int) -> FloatArray:
    """Pick points one by one, each as far as can be from those before."""
    picked = [points[0]]
    while len(picked) < count:
        apart = np.linalg.norm(points[:, None] - np.array(picked), axis=2).min(axis=1)
        picked.append(points[apart.argmax()])
    return np.array(picked)
