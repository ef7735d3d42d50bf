"""The turning grain, as a picture and as a film, drawn without any graphics card."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import FFMpegWriter
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from recon3d.analysis.surface import Surface
from recon3d.arguments import checked
from recon3d.config.volume import Volume
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.grain.scene import FEWER, GrainScene
from recon3d.plot.parts import TEXT_SIZE, draw_color_key, draw_scale_bar, new_figure, place_axes
from recon3d.runtime.atomic import complete_or_absent
from recon3d.runtime.progress import track

FloatArray = NDArray[np.float64]

DPI = 100
"""Pixels an inch of a film."""
_AMBIENT = 0.72
"""Share of the light that falls everywhere, so that shading changes no hue."""


@checked()
def surface_figure(grain: Grain, angle_deg: float = 35.0) -> Figure:
    """The grain's surface in orientation colours, with the key and a scale bar.

    Parameters
    ----------
    grain
        The grain.
    angle_deg
        How far it has turned about **G**.
    """
    return _TurningGrain(grain, angle_deg).figure


@checked(frames=">= 1", per_second=">= 1")
def write_film(
    grain: Grain,
    path: str | Path,
    *,
    frames: int = 60,
    per_second: int = 15,
    show_progress: bool = True,
) -> Path:
    """Write a film of the grain turning once about **G**.

    Parameters
    ----------
    grain
        The grain.
    path
        The file: .gif, or .mp4 where ffmpeg is found (the package imageio-ffmpeg brings it).
    frames
        Number of pictures.
    per_second
        How many of them are shown in a second.
    show_progress
        False for a silent run.

    Raises
    ------
    ParameterError
        The name ends otherwise, or ffmpeg is not found.
    """
    path = Path(path)
    write = {".gif": _write_gif, ".mp4": _write_mp4}.get(path.suffix)
    if write is None:
        raise ParameterError(f"{path}: expected a film's name to end in .gif or .mp4")
    if path.suffix == ".mp4" and find_ffmpeg() is None:
        raise ParameterError(
            f"{path}: an .mp4 needs ffmpeg (python -m pip install imageio-ffmpeg); a .gif does not"
        )
    turning = _TurningGrain(grain, 0.0)
    angles = np.linspace(0, 360, frames, endpoint=False)
    with complete_or_absent(path) as temporary:
        steps = track(angles, "film", unit="picture", show=show_progress)
        write(turning, steps, temporary, per_second)
    return path


class _TurningGrain:
    """A figure in which a grain can be turned."""

    def __init__(self, grain: Grain, angle_deg: float) -> None:
        scene = GrainScene.of(grain, largest=FEWER)
        surface, volume = scene.surface, scene.coarse.volume
        if not len(surface.vertices):
            raise ParameterError("the grain's mask is empty: there is no surface to draw")
        self.picture = partial(render_surface, surface, scene.colors("orientation"), volume)
        self.figure = new_figure(5.4, 4.0)
        ax = place_axes(self.figure, (0.1, 0.35, 3.5, 3.5))
        reach = radius_um(surface, volume)
        place = (-reach, reach, -reach, reach)
        self.image = ax.imshow(self.picture(angle_deg), extent=place, interpolation="antialiased")
        ax.set_axis_off()
        draw_scale_bar(ax)
        arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": "0.3"}
        ax.annotate("", (0.04, 0.24), (0.04, 0.06), xycoords="axes fraction", arrowprops=arrow)
        ax.text(0.06, 0.2, "G", transform=ax.transAxes, fontsize=TEXT_SIZE + 1)
        key = place_axes(self.figure, (4.05, 1.4, 1.2, 1.2))
        draw_color_key(key, scene.range_deg, center_deg=scene.center_deg)

    def update(self, angle_deg: float) -> None:
        """Turn the grain."""
        self.image.set_data(self.picture(angle_deg))


def _write_gif(
    turning: _TurningGrain, angles: Iterable[float], path: Path, per_second: int
) -> None:
    """Write pictures that share one palette, so that no colour flickers."""
    turning.figure.set_dpi(DPI)
    canvas: Any = turning.figure.canvas
    pictures = []
    for angle in angles:
        turning.update(angle)
        canvas.draw()
        pictures.append(Image.fromarray(np.array(canvas.buffer_rgba())[..., :3]))
    few = pictures[:: max(len(pictures) // 8, 1)]
    sheet = Image.fromarray(np.concatenate([np.asarray(picture) for picture in few]))
    palette = sheet.quantize(256, Image.Quantize.MAXCOVERAGE)
    first, *others = (picture.quantize(palette=palette) for picture in pictures)
    first.save(path, save_all=True, append_images=others, duration=1000 / per_second, loop=0)


def _write_mp4(
    turning: _TurningGrain, angles: Iterable[float], path: Path, per_second: int
) -> None:
    # Most players know no other kind of pixels.
    options = ["-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    writer = FFMpegWriter(fps=per_second, extra_args=options)
    with (
        rc_context({"animation.ffmpeg_path": find_ffmpeg()}),
        writer.saving(turning.figure, str(path), DPI),
    ):
        for angle in angles:
            turning.update(angle)
            writer.grab_frame()


def find_ffmpeg() -> str | None:
    """Where ffmpeg is, on the PATH or in the package imageio-ffmpeg; None where it is not."""
    program = shutil.which("ffmpeg")
    if program:
        return program
    try:
        from imageio_ffmpeg import get_ffmpeg_exe
    except ImportError:
        return None
    return str(get_ffmpeg_exe())


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
