"""Pictures of a surface in 3D, drawn without any graphics card."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recon3d.analysis.surface import Surface
from recon3d.config.volume import Volume

FloatArray = NDArray[np.float64]

_AMBIENT = 0.72
"""Share of the light that falls everywhere, so that shading changes no hue."""


def render_surface(
    surface: Surface,
    colors: FloatArray,
    volume: Volume,
    angle_deg: float,
    *,
    pixels: int = 360,
    elevation_deg: float = 20.0,
    shade: bool = True,
) -> FloatArray:
    """Look at a surface from afar, with y (**G**) upright: (pixels, pixels, 4), 0 to 1.

    Row 0 is at the top; beside the grain the picture is clear. It holds the sphere around the
    grain.

    `colors`, (vertices, 4): of the surface's corners. `volume`: the voxels that it was cut from.
    `angle_deg`: how far the grain has turned about y. `elevation_deg`: from how high up it is seen.
    `shade`: whether faces that look away are darker.
    """
    picture = np.ones((pixels, pixels, 4))
    picture[..., 3] = 0
    points_um = surface.vertices_um(volume)
    if not len(points_um):
        return picture
    corners = _seen(points_um, angle_deg, elevation_deg)[surface.faces]
    # The farthest triangles first, so that the nearest remain.
    order = np.argsort(-corners[..., 2].sum(axis=1), kind="stable")
    corners, rgb = corners[order], colors[surface.faces[order], :3]
    if shade:
        rgb = rgb * _light(corners)[:, None, None]
    scale = pixels / (2 * radius_um(surface, volume))
    longest_pix = scale * float(np.linalg.norm(volume.voxel_um))
    shares = _inside_triangle(int(np.ceil(longest_pix)) + 1)
    places = (shares @ corners[..., :2]).reshape(-1, 2)
    shown = (shares @ rgb).reshape(-1, 3)
    col = np.clip((places[:, 0] * scale + pixels / 2).astype(int), 0, pixels - 1)
    row = np.clip((pixels / 2 - places[:, 1] * scale).astype(int), 0, pixels - 1)
    picture[row, col, :3] = shown
    picture[row, col, 3] = 1
    return picture


def radius_um(surface: Surface, volume: Volume) -> float:
    """Radius of the sphere, about the middle of a surface's box, that holds it."""
    points = surface.vertices_um(volume)
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    return 1.03 * float(np.linalg.norm(points - middle, axis=1).max())


def _seen(points_um: FloatArray, angle_deg: float, elevation_deg: float) -> FloatArray:
    """Right, up and away of points, about the middle of their box."""
    x, y, z = (points_um - (points_um.max(axis=0) + points_um.min(axis=0)) / 2).T
    turn, rise = np.radians([angle_deg, elevation_deg])
    right = z * np.cos(turn) - x * np.sin(turn)
    depth = z * np.sin(turn) + x * np.cos(turn)
    up = y * np.cos(rise) + depth * np.sin(rise)
    return np.stack([right, up, depth * np.cos(rise) - y * np.sin(rise)], axis=1)


def _light(corners: FloatArray) -> FloatArray:
    """Brightness of triangles by how squarely they face the viewer."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(normals, axis=1)
    facing = np.abs(normals[:, 2]) / np.maximum(length, 1e-30)
    return _AMBIENT + (1 - _AMBIENT) * facing


def _inside_triangle(count: int) -> FloatArray:
    """Shares of the corners at points spread over a triangle, so many along each side."""
    steps = np.linspace(0, 1, count)
    pairs = [(p, q) for p in steps for q in steps if p + q <= 1 + 1e-9]
    return np.array([(p, q, 1 - p - q) for p, q in pairs])
