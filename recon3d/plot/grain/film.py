"""The turning grain, as a picture and as a film."""

from __future__ import annotations

import shutil
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.animation import AbstractMovieWriter, FFMpegWriter
from matplotlib.figure import Figure
from PIL import Image

from recon3d.analysis.surface import coarsened, known_orientations, step_for, surface_of
from recon3d.arguments import checked
from recon3d.colors import orientation_range
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.colors import draw_color_key
from recon3d.plot.grain.quantities import surface_colors
from recon3d.plot.grain.render import radius_um, render_surface
from recon3d.plot.parts import TEXT_SIZE, draw_scale_bar, new_figure, place_axes
from recon3d.runtime.atomic import complete_or_absent
from recon3d.runtime.progress import track

LARGEST = 120**3
"""Voxels up to which the film shows every one."""


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
    writer, settings = _writer(path, per_second)
    angles = np.linspace(0, 360, frames, endpoint=False)
    with rc_context(settings), complete_or_absent(path) as temporary:
        turning = _TurningGrain(grain, 0.0)
        with writer.saving(turning.figure, str(temporary), 100):
            for angle in track(angles, "film", unit="picture", show=show_progress):
                turning.update(float(angle))
                writer.grab_frame()
    return path


class _TurningGrain:
    """A figure in which a grain can be turned."""

    def __init__(self, grain: Grain, angle_deg: float) -> None:
        coarse = coarsened(grain, step_for(grain.volume, LARGEST))
        surface = surface_of(coarse.mask, known_orientations(coarse))
        if not len(surface.vertices):
            raise ParameterError("the grain's mask is empty: there is no surface to draw")
        range_deg, center_deg = orientation_range(*coarse.orientation[coarse.mask].T)
        ends = (0.0, 1.0)
        colors = surface_colors(coarse, surface, "orientation", range_deg, center_deg, ends)
        self.picture = partial(render_surface, surface, colors, coarse.volume)
        self.figure = new_figure(5.4, 4.0)
        ax = place_axes(self.figure, (0.1, 0.35, 3.5, 3.5))
        reach = radius_um(surface, coarse.volume)
        place = (-reach, reach, -reach, reach)
        self.image = ax.imshow(self.picture(angle_deg), extent=place, interpolation="antialiased")
        ax.set_axis_off()
        draw_scale_bar(ax)
        arrow: dict[str, Any] = {"arrowstyle": "-|>", "color": "0.3"}
        ax.annotate("", (0.04, 0.24), (0.04, 0.06), xycoords="axes fraction", arrowprops=arrow)
        ax.text(0.06, 0.2, "G", transform=ax.transAxes, fontsize=TEXT_SIZE + 1)
        key = place_axes(self.figure, (4.05, 1.4, 1.2, 1.2))
        draw_color_key(key, range_deg, center_deg=center_deg)

    def update(self, angle_deg: float) -> None:
        """Turn the grain."""
        self.image.set_data(self.picture(angle_deg))


class _GifWriter(AbstractMovieWriter):
    """Writes a GIF whose pictures share one palette, so that no colour flickers."""

    def setup(self, fig: Figure, outfile: Any, dpi: float | None = None) -> None:
        super().setup(fig, outfile, dpi=dpi)
        self.pictures: list[Image.Image] = []

    def grab_frame(self, **savefig_kwargs: Any) -> None:
        pixels = BytesIO()
        self.fig.savefig(pixels, **(savefig_kwargs | {"format": "rgba", "dpi": self.dpi}))
        picture = Image.frombytes("RGBA", self.frame_size, pixels.getvalue())
        self.pictures.append(picture.convert("RGB"))

    def finish(self) -> None:
        width, height = self.frame_size
        few = self.pictures[:: max(len(self.pictures) // 8, 1)]
        sheet = Image.new("RGB", (width, height * len(few)))
        for row, picture in enumerate(few):
            sheet.paste(picture, (0, row * height))
        palette = sheet.quantize(256, Image.Quantize.MAXCOVERAGE)
        first, *others = (picture.quantize(palette=palette) for picture in self.pictures)
        first.save(
            self.outfile, save_all=True, append_images=others, duration=1000 / self.fps, loop=0
        )


def _writer(path: Path, per_second: int) -> tuple[AbstractMovieWriter, dict[Any, Any]]:
    if path.suffix == ".gif":
        return _GifWriter(fps=per_second), {}
    if path.suffix != ".mp4":
        raise ParameterError(f"{path}: expected a film's name to end in .gif or .mp4")
    program = find_ffmpeg()
    if program is None:
        raise ParameterError(
            f"{path}: an .mp4 needs ffmpeg (python -m pip install imageio-ffmpeg); a .gif does not"
        )
    # Most players know no other kind of pixels.
    options = ["-pix_fmt", "yuv420p", "-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2"]
    return FFMpegWriter(fps=per_second, extra_args=options), {"animation.ffmpeg_path": program}


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
