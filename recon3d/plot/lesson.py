"""Figures that explain dark-field microscopy: the setting, tilts that turn, the missing cone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Arc, FancyArrowPatch, Polygon, Rectangle, Wedge
from numpy.typing import NDArray

from recon3d.files.store import CleanedScan
from recon3d.geometry import ProjectionGeometry, turn_to_laboratory
from recon3d.plot.parts import (
    BLUE,
    GREEN,
    ORANGE,
    TEXT_SIZE,
    VERMILION,
    draw_color_bar,
    label,
    new_figure,
)
from recon3d.plot.scan.detector_frames import draw_frame_grid

_TEXT = TEXT_SIZE + 2


def setup_figure(theta_deg: float) -> Figure:
    """The experiment from the side: beams, lattice planes, **G** and what turns about what."""
    figure = new_figure(8.0, 3.6)
    ax = figure.add_axes((0.01, 0.02, 0.98, 0.96))
    ax.set_aspect("equal")
    ax.set_axis_off()
    ax.set_xlim(-4.4, 5.4)
    ax.set_ylim(-1.6, 2.8)
    theta = np.radians(theta_deg)
    normal = np.array([-np.sin(theta), np.cos(theta)])
    planes = np.array([np.cos(theta), np.sin(theta)])
    for offset in np.linspace(-0.36, 0.36, 5):
        ends = np.array([offset * normal - 0.55 * planes, offset * normal + 0.55 * planes])
        ax.plot(*ends.T, color="0.6", linewidth=1)
    corners = np.array([(-0.6, -0.35), (0.1, -0.55), (0.65, -0.1), (0.45, 0.5), (-0.35, 0.45)])
    ax.add_patch(Polygon(corners, facecolor=BLUE, alpha=0.25, edgecolor=BLUE))
    exit_end = 4.4 * np.array([np.cos(2 * theta), np.sin(2 * theta)])
    _arrow(ax, (-4.2, 0), (-0.65, 0), "0.2")
    _arrow(ax, 0.65 * exit_end / 4.4, exit_end, "0.2")
    ax.plot([0.65, 2.6], [0, 0], "--", color="0.6", linewidth=0.9)
    _arrow(ax, (0, 0), 2.0 * normal, VERMILION)
    ax.plot(*np.array([-1.3 * normal, 2.4 * normal]).T, ":", color=VERMILION, linewidth=1)
    ax.add_patch(Arc((0, 0), 4.4, 4.4, theta1=0, theta2=2 * theta_deg, color="0.4"))
    middle = 1.9 * np.array([np.cos(theta), np.sin(theta)])
    _write(ax, middle, "2θ", va="center")
    lens = exit_end * 0.55
    across = np.array([-np.sin(2 * theta), np.cos(2 * theta)])
    for side, name, low in ((lens, "objective", 0.35), (exit_end, "detector", 0.6)):
        ends = np.array([side - low * across, side + low * across])
        ax.plot(*ends.T, color=BLUE, linewidth=4, solid_capstyle="butt")
        _write(ax, side + (low + 0.2) * across, name, ha="center")
    ax.text(-4.2, 0.12, "X-ray beam", fontsize=_TEXT)
    _write(ax, 2.15 * normal + (0.15, 0), "G, the rotation axis (y)", color=VERMILION)
    start, end = (1.65 * normal + side for side in ((-0.35, -0.08), (0.35, 0.06)))
    _arrow(ax, start, end, VERMILION, connectionstyle="arc3,rad=0.5")
    _write(ax, 1.5 * normal - (0.55, 0), "ω", color=VERMILION, ha="right")
    ax.text(-1.55, -0.9, "μ: rock the planes\nthrough the angle θ", fontsize=_TEXT, ha="center")
    ax.text(1.5, -1.1, "γ: roll them about\nthe beam", fontsize=_TEXT, ha="center")
    return figure


def turning_figure(
    tilts_deg: Sequence[tuple[float, float]], handedness: int = 1, step_deg: float = 0.032
) -> Figure:
    """How tilts (a, b), fixed in the sample, turn in the laboratory with ω, on a grid of steps."""
    figure = new_figure(8.6, 3.5)
    left, middle, right = (figure.add_axes((0.08 + 0.33 * i, 0.23, 0.23, 0.67)) for i in range(3))
    omega = np.linspace(0, 180, 181)
    for (a, b), color in zip(tilts_deg, (BLUE, ORANGE, GREEN, VERMILION), strict=False):
        mu, gamma = turn_to_laboratory(a, b, omega, handedness)
        name = f"a = {a:g}°, b = {b:g}°"
        left.plot(omega, mu, color=color, label=name)
        middle.plot(omega, gamma, color=color)
        right.plot(mu, gamma, color=color)
        right.plot(mu[0], gamma[0], "o", color=color)
    label(left, "ω (°)", "μ (°)", "the rocking angle it needs")
    label(middle, "ω (°)", "γ (°)", "the rolling angle it needs")
    label(right, "μ (°)", "γ (°)", "both: half a circle (dot: ω = 0)")
    right.set_aspect("equal", adjustable="datalim")
    figure.legend(fontsize=TEXT_SIZE, frameon=False, loc="lower center", ncols=len(tilts_deg))
    reach = np.ceil(max(np.hypot(*np.array(tilts_deg).T)) / step_deg) * step_deg
    for value in np.arange(-reach, reach + step_deg / 2, step_deg):
        right.axhline(value, color="0.9", linewidth=0.6, zorder=0)
        right.axvline(value, color="0.9", linewidth=0.6, zorder=0)
    return figure


def missing_cone_figure(theta_deg: float) -> Figure:
    """Which spatial frequencies a turn about **G** measures, and which it never does.

    `theta_deg`: Bragg angle: half the opening of the cone about **G**.
    """
    figure = new_figure(4.2, 3.6)
    ax = figure.add_axes((0.14, 0.14, 0.82, 0.76))
    ax.set_aspect("equal")
    ax.add_patch(Wedge((0, 0), 1, 0, 360, facecolor=BLUE, alpha=0.25))
    for middle in (90, 270):
        ax.add_patch(
            Wedge((0, 0), 1, middle - theta_deg, middle + theta_deg, facecolor=VERMILION, alpha=0.8)
        )
    _arrow(ax, (0, 0), (0, 1.25), VERMILION)
    ax.text(0.06, 1.2, "G", color=VERMILION, fontsize=_TEXT)
    ax.text(0.55, 0, "measured", ha="center", va="center", fontsize=_TEXT)
    ax.annotate(
        "never measured",
        (0.03, 0.8),
        (0.45, 1.2),
        fontsize=_TEXT,
        arrowprops={"arrowstyle": "-", "color": "0.4"},
    )
    ax.set_xlim(-1.15, 1.6)
    ax.set_ylim(-1.15, 1.4)
    title = f"half-angle θ = {theta_deg:.1f}°"
    label(ax, "frequency along x (shares of the highest)", "frequency along y", title)
    return figure


def projection_figure(store: CleanedScan, *projections: int) -> Figure:
    """All frames of projections, side by side, each as a grid over its settings.

    `store`: a cleaned scan of two axes of settings, μ the slower one: it counts from θ.
    `projections`: their numbers.
    """
    slow, fast = store.axes
    axes = (replace(slow, values_deg=slow.values_deg - store.origin.base_tilt_deg), fast)
    share = 1 / len(projections)
    figure = new_figure(5.2 * len(projections), 4.0)
    for left, k in zip(np.arange(len(projections)) * share, projections, strict=True):
        ax = figure.add_axes((left + 0.13 * share, 0.11, 0.69 * share, 0.81))
        image = draw_frame_grid(ax, store.read_projection(k), axes)
        bar = figure.add_axes((left + 0.84 * share, 0.11, 0.02 * share, 0.81))
        draw_color_bar(image, bar, "counts")
        ax.set_title(f"ω = {store.omega_deg[k]:.1f}°", fontsize=TEXT_SIZE + 1)
    return figure


class SpotFigure:
    """A grid of settings and a frame, with the tilt in the laboratory and the spot of one voxel.

    `figure`: about 10.8 by 4.4 inches; it is cleared. `mu_deg`, `gamma_deg`: the steps of the scan,
    evenly spaced. `shape`: rows and columns of a frame.
    """

    def __init__(
        self,
        figure: Figure,
        mu_deg: NDArray[np.float64],
        gamma_deg: NDArray[np.float64],
        shape: tuple[int, int],
    ) -> None:
        figure.clear()
        self.axes_deg = (mu_deg, gamma_deg)
        self.step_deg = [axis[1] - axis[0] for axis in self.axes_deg]
        left = figure.add_axes((0.08, 0.14, 0.36, 0.76))
        label(left, "μ (°)", "γ (°)")
        for lines, axis, step in zip(
            (left.axvline, left.axhline), self.axes_deg, self.step_deg, strict=True
        ):
            for edge in (*(axis - step / 2), axis[-1] + step / 2):
                lines(edge, color="0.85", linewidth=0.8, zorder=0)
        reach = 1.5 * max(mu_deg[-1], gamma_deg[-1])
        left.set(aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
        self.lit = Rectangle((0, 0), *self.step_deg, color=ORANGE, alpha=0.45, linewidth=0)
        left.add_patch(self.lit)
        (self.turn,) = left.plot([], [], color="0.5", linewidth=1)
        (self.tilt,) = left.plot([], [], "o", color=BLUE, markersize=9)
        right = figure.add_axes((0.56, 0.14, 0.4, 0.76))
        label(right, "column (pixel)", "row (pixel)")
        ends = {"xlim": (-0.5, shape[1] - 0.5), "ylim": (shape[0] - 0.5, -0.5)}
        right.set(aspect="equal", facecolor="0.08", **ends)
        (self.path,) = right.plot([], [], color="0.5", linewidth=1)
        (self.spot,) = right.plot([], [], "o", color=ORANGE, markersize=11, markeredgewidth=0)
        self.about_tilt = left.set_title("", fontsize=TEXT_SIZE + 1)
        self.about_spot = right.set_title("", fontsize=TEXT_SIZE + 1)

    def update(
        self,
        tilt_deg: tuple[float, float],
        place_um: tuple[float, float, float],
        omega_deg: float,
        geometry: ProjectionGeometry,
        handedness: int,
    ) -> float:
        """Move the tilt (a, b) and the spot of a voxel, and return its brightness, 0 to 1."""
        turns = np.linspace(0, 360, 181)
        self.turn.set_data(*turn_to_laboratory(*tilt_deg, turns, handedness))
        lab = np.array(turn_to_laboratory(*tilt_deg, omega_deg, handedness), float)
        self.tilt.set_data(*lab[:, None])
        nearest = np.array(
            [axis[np.abs(axis - at).argmin()] for axis, at in zip(self.axes_deg, lab, strict=True)]
        )
        away = np.hypot(*((lab - nearest) / self.step_deg))
        light = float(np.exp(-2 * away**2)) if away < 2 else 0.0
        self.lit.set_xy(tuple(nearest - np.array(self.step_deg) / 2))
        self.lit.set_alpha(0.7 * light)
        point = (*place_um, 1.0)
        path = np.array([geometry.affine(omega) @ point for omega in turns])
        self.path.set_data(path[:, 1], path[:, 0])
        row, col = geometry.affine(omega_deg) @ point
        self.spot.set_data([col], [row])
        self.spot.set_alpha(light)
        self.about_tilt.set_text(f"its tilt: μ = {lab[0]:.3f}°, γ = {lab[1]:.3f}°")
        frame = f"frame μ = {nearest[0]:.3f}°, γ = {nearest[1]:.3f}°"
        self.about_spot.set_text(frame if light else "no frame lights it")
        return light


def _write(ax: Axes, place: Any, text: str, **options: Any) -> None:
    ax.text(float(place[0]), float(place[1]), text, fontsize=_TEXT, **options)


def _arrow(ax: Axes, start: Any, end: Any, color: str, **options: Any) -> None:
    ax.add_patch(
        FancyArrowPatch(
            tuple(start),
            tuple(end),
            arrowstyle="-|>",
            mutation_scale=14,
            color=color,
            linewidth=1.6,
            **options,
        )
    )
