"""Shapes of planted grains: convex polyhedra."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import HalfspaceIntersection

from recon3d.errors import ParameterError
from recon3d.simulate.fields import Vector


@dataclass(frozen=True)
class Polyhedron:
    """A convex polyhedron about the origin: where ``normal · r <= distance`` for every face.

    A ParameterError says that a face does not leave the origin inside, or that the faces close no
    volume.
    """

    normals: tuple[Vector, ...] = field(repr=False)  # outward, of length 1
    distances_um: tuple[float, ...] = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.normals) != len(self.distances_um) or len(self.normals) < 4:
            raise ParameterError(
                f"{len(self.normals)} normals and {len(self.distances_um)} distances: expected "
                "one distance for each face, and 4 faces or more"
            )
        if not min(self.distances_um) > 0:
            raise ParameterError(
                f"distances {list(self.distances_um)}: expected positive ones, in µm, so that "
                "the origin is inside the polyhedron"
            )

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


def irregular_polyhedron(size_um: float, rng: np.random.Generator, faces: int = 16) -> Polyhedron:
    """Draw an irregular grain, unlike any of its mirror images.

    The normals are spread over the sphere by a spiral of golden angles, turned and shaken at
    random; the distances of the faces vary by nearly a factor of two.

    `size_um`: diameter of the sphere about the origin that just holds the grain. `faces`: number of
    half spaces, 12 or more so that they always close.
    """
    if not 1e-3 <= size_um <= 1e6 or faces < 12:
        raise ParameterError(
            f"a grain of {size_um:g} µm with {faces} faces: expected a positive size and 12 "
            "faces or more"
        )
    height = 1 - (2 * np.arange(faces) + 1) / faces
    azimuth = np.pi * (3 - np.sqrt(5)) * np.arange(faces)
    radius = np.sqrt(1 - height**2)
    normals = np.column_stack((radius * np.cos(azimuth), radius * np.sin(azimuth), height))
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    normals = normals @ turn + rng.uniform(-0.2, 0.2, (faces, 3))
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    distances = rng.uniform(0.55, 1.0, faces)
    outward = tuple((float(x), float(y), float(z)) for x, y, z in normals)
    scale = size_um / 2 / Polyhedron(outward, tuple(distances)).radius_um
    return Polyhedron(outward, tuple(float(distance) for distance in distances * scale))
