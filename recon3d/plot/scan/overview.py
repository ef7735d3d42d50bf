"""Overview of a scan: a film over ω, its rotation, gaps, intensity, and centre of mass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from recon3d.cleaning.overview import ProjectionGlance
from recon3d.plot.parts import (
    BLUE,
    ORANGE,
    TEXT_SIZE,
    VERMILION,
    bright_counts,
    draw_color_bar,
    label,
)
from recon3d.plot.scan.detector_frames import animate_frame, draw_frame, update_frame
from recon3d.reconstruction.model.scanned import CentreOfMassFit

Glances = Sequence[ProjectionGlance]
FloatArray = NDArray[np.float64]

_COLORS = {"row": BLUE, "column": ORANGE}


def draw_rotation_steps(ax: Axes, glances: Glances) -> None:
    """Draw the step of ω from each projection to the next: even where none is missing."""
    omega = np.array([glance.omega_deg for glance in glances])
    steps = np.diff(omega)
    ax.plot(omega[1:], steps, ".", color=BLUE, markersize=4)
    title = "one projection"
    if steps.size:
        usual = float(np.median(steps))
        gaps = np.flatnonzero(steps > 1.5 * usual)
        ax.plot(omega[gaps + 1], steps[gaps], "o", color=VERMILION, mfc="none")
        ax.set_ylim(0, max(1.2 * float(steps.max()), 1.6 * usual))
        span = f"{len(omega)} projections, {omega[0]:.2f}° to {omega[-1]:.2f}°"
        title = f"{span}, {len(gaps)} gaps"
    label(ax, "ω (°)", "step of ω (°)", title)


def draw_missing(ax: Axes, glances: Glances) -> AxesImage:
    """Draw which frames of which projection were recorded."""
    valid = np.stack([glance.valid for glance in glances])
    image = ax.imshow(
        valid.T,
        cmap=ListedColormap([VERMILION, "0.85"]),
        vmin=0,
        vmax=1,
        aspect="auto",
        origin="lower",
        interpolation="nearest",
        extent=(-0.5, len(valid) - 0.5, -0.5, valid.shape[1] - 0.5),
    )
    label(ax, "projection", "frame", f"{np.count_nonzero(~valid)} frames missing")
    if valid.all():
        ax.text(0.5, 0.5, "every frame is there", transform=ax.transAxes, ha="center", color="0.4")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    ax.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    return image


def draw_counts(ax: Axes, places: Sequence[float], glances: Glances, name: str) -> None:
    """Draw the counts of projections over their places along an axis of some name."""
    totals = [glance.total for glance in glances]
    ax.plot(places, totals, ".-", color=BLUE, linewidth=0.8)
    ax.set_ylim(0, 1.15 * max(*totals, 1))
    ax.ticklabel_format(axis="y", style="sci", scilimits=(0, 3))
    ax.yaxis.get_offset_text().set_fontsize(TEXT_SIZE - 1)
    label(ax, name, "counts of a projection")


def draw_intensity(ax: Axes, glances: Glances) -> Axes:
    """Draw the integrated intensity and the ring current over time; returns the second axis."""
    ordered = sorted(glances, key=lambda glance: glance.taken)
    taken = [glance.taken for glance in ordered]
    draw_counts(ax, taken, ordered, "frame, in the order of time")
    ax.yaxis.label.set_color(BLUE)
    twin = ax.twinx()
    current = [glance.current_ma for glance in ordered]
    if np.isfinite(current).any():
        twin.plot(taken, current, "-", color=ORANGE)
        twin.set_ylim(0, 1.2 * float(np.nanmax(current)))
        twin.set_ylabel("ring current (mA)", fontsize=TEXT_SIZE, color="#a56f00")
        twin.tick_params(labelsize=TEXT_SIZE)
        ax.set_title("intensity over time", fontsize=TEXT_SIZE + 1)
    else:
        twin.set_yticks([])
        ax.set_title("intensity over time (current not recorded)", fontsize=TEXT_SIZE + 1)
    return twin


def draw_centre_of_mass(ax: Axes, fit: CentreOfMassFit) -> None:
    """Draw the centre of mass over ω against the fitted rotation."""
    for fitted, color in zip(fit.fitted_pix.T, _COLORS.values(), strict=True):
        ax.plot(fit.omega_deg, fitted, "-", color=color, linewidth=1)
    _draw_rows_and_columns(ax, fit, fit.measured_pix, ".")
    known = np.isfinite(fit.axis_pix)
    axis = f"axis at column {fit.axis_pix:.1f}" if known else "too short a rotation to tell"
    label(ax, "ω (°)", "centre of mass (pixel)", axis)


def draw_centre_of_mass_residual(ax: Axes, fit: CentreOfMassFit) -> None:
    """Draw what the fitted rotation leaves: drift, and the projections that stand out."""
    ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    _draw_rows_and_columns(ax, fit, fit.measured_pix - fit.fitted_pix, ".-")
    number = int(fit.outlier.sum())
    label(ax, "ω (°)", "off the rotation (pixel)", f"drift; {number} projections stand out")


def _draw_rows_and_columns(ax: Axes, fit: CentreOfMassFit, values: FloatArray, style: str) -> None:
    """Draw values, (projections, 2), with rings about the projections that stand out."""
    for part, (name, color) in zip(values.T, _COLORS.items(), strict=True):
        ax.plot(fit.omega_deg, part, style, color=color, label=name, linewidth=0.8)
        ax.plot(fit.omega_deg[fit.outlier], part[fit.outlier], "o", color=VERMILION, mfc="none")
    ax.legend(fontsize=TEXT_SIZE - 1, frameon=False, handlelength=1.4)


class SettingIntensity:
    """How a projection's intensity is spread over (μ, γ), in the laboratory.

    `glances`: all of them: they give the limits, and the track of the mean setting.
    """

    def __init__(self, ax: Axes, glances: Glances) -> None:
        means = np.array([mean_setting(glance) for glance in glances])
        ax.plot(means[:, 0], means[:, 1], "-", color="0.6", linewidth=0.8)
        self.points = ax.scatter([], [], c=[], s=60, cmap="viridis", marker="s")
        (self.mean,) = ax.plot([], [], "o", color=VERMILION, mfc="none", markersize=8)
        for setting, set_limits in (("mu_deg", ax.set_xlim), ("gamma_deg", ax.set_ylim)):
            values = np.concatenate([getattr(glance, setting) for glance in glances])
            low, high = float(np.nanmin(values)), float(np.nanmax(values))
            margin = 0.08 * (high - low) + 1e-3
            set_limits(low - margin, high + margin)
        label(ax, "μ (°)", "γ (°)", "√counts over (μ, γ), and the mean's track")
        ax.xaxis.set_major_locator(MaxNLocator(4))
        self.update(glances[0])

    def update(self, glance: ProjectionGlance) -> None:
        """Show a projection."""
        known = np.isfinite(glance.mu_deg)
        self.points.set_offsets(np.stack([glance.mu_deg[known], glance.gamma_deg[known]], axis=1))
        counts = np.sqrt(np.maximum(glance.integrated[known], 0))
        self.points.set_array(counts)
        self.points.set_clim(0, float(counts.max(initial=1.0)))
        mu, gamma = mean_setting(glance)
        self.mean.set_data([mu], [gamma])


def mean_setting(glance: ProjectionGlance) -> tuple[float, float]:
    """Intensity-weighted mean (μ, γ) of a projection in degrees; NaN where it is dark."""
    total = glance.total
    if total <= 0:
        return (np.nan, np.nan)
    weights = glance.integrated / total
    mu, gamma = np.nan_to_num(glance.mu_deg), np.nan_to_num(glance.gamma_deg)
    return float(mu @ weights), float(gamma @ weights)


class Film:
    """The first projection of a scan, and then others, all on one scale of counts.

    `figure`: an empty figure, about 11 by 3.8 inches.
    """

    def __init__(self, figure: Figure, glances: Sequence[ProjectionGlance]) -> None:
        first = glances[0]
        self.top = max(bright_counts(glance.summed) for glance in glances)
        self.ax = figure.add_axes((0.06, 0.14, 0.22, 0.74))
        whole = np.kron(first.summed, np.ones(first.bin_pix, np.float32))
        self.image = draw_frame(self.ax, whole)
        bar = figure.add_axes((0.287, 0.14, 0.009, 0.74))
        draw_color_bar(self.image, bar, "sum over the frames (counts)")
        self.settings = SettingIntensity(figure.add_axes((0.465, 0.14, 0.19, 0.74)), glances)
        right = figure.add_axes((0.745, 0.14, 0.235, 0.74))
        draw_counts(right, [glance.omega_deg for glance in glances], glances, "ω (°)")
        self.here = right.axvline(first.omega_deg, color=VERMILION, linewidth=1.4)
        animate_frame(self.image)
        for moving in (self.ax.title, self.settings.points, self.settings.mean, self.here):
            moving.set_animated(True)
        self.update(first)

    def update(self, glance: ProjectionGlance, *, excluded: bool = False) -> None:
        """Show another projection, and whether it is left out of the reconstruction."""
        update_frame(self.image, glance.summed, top=self.top)
        note = " (left out)" if excluded else ""
        self.ax.title.set_text(f"ω = {glance.omega_deg:.2f}°{note}")
        self.ax.title.set_color(VERMILION if excluded else "black")
        self.settings.update(glance)
        self.here.set_xdata([glance.omega_deg, glance.omega_deg])


def draw_scan_health(
    figure: Figure,
    glances: Sequence[ProjectionGlance],
    fit: CentreOfMassFit,
    excluded_deg: Sequence[float] = (),
) -> None:
    """Draw what tells whether a scan is sound: rotation, gaps, intensity, and centre of mass.

    `figure`: empty, about 11 by 5.6 inches. Projections that are left out are shaded.
    """
    figure.clear()
    boxes = [(0.07 + 0.32 * (i % 3), 0.58 - 0.49 * (i // 3), 0.225, 0.34) for i in range(5)]
    mass, residual, intensity, steps, missing = (figure.add_axes(box) for box in boxes)
    draw_centre_of_mass(mass, fit)
    draw_centre_of_mass_residual(residual, fit)
    draw_intensity(intensity, glances)
    draw_rotation_steps(steps, glances)
    draw_missing(missing, glances)
    for angle in excluded_deg:
        for ax in (mass, residual):
            ax.axvline(angle, color=VERMILION, alpha=0.3, linewidth=3, zorder=0)
