"""How far a grain can be trusted: residuals, drift, and the agreement of two halves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from recon3d.arguments import checked
from recon3d.errors import ParameterError
from recon3d.files.exports.volumes import write_xdmf
from recon3d.files.grain import Grain
from recon3d.plot.parts import BLUE, GREEN, ORANGE, TEXT_SIZE, VERMILION, new_figure
from recon3d.runtime.atomic import complete_or_absent

RESULTS = ("grain.h5", "grain.xdmf", "grain_xdmf.h5", "grain_ang.npy", "quality.png")
"""The files that a reconstruction leaves in its folder."""


def draw_residual(ax: Axes, grain: Grain) -> None:
    """Draw what the model left unexplained after each pass."""
    passes = np.arange(1, grain.residual.size + 1)
    ax.plot(passes, grain.residual, "o-", color=BLUE)
    ax.set(xlabel="pass", ylabel="residual / measured", ylim=(0, None), xticks=passes)


def draw_projections(ax: Axes, grain: Grain) -> None:
    """Draw the residual of every projection over ω, with the suspect ones marked."""
    known = grain.projections
    omega, residual = known["omega"], known["residual"]
    ax.plot(omega, residual, ".", color=BLUE, label="frames")
    if "sum_residual" in known:
        ax.plot(omega, known["sum_residual"], ".", color=GREEN, label="summed frames")
    suspect = known.get("suspect", np.zeros_like(omega)) > 0
    if suspect.any():
        ax.plot(
            omega[suspect], residual[suspect], "o", color=VERMILION, mfc="none", label="suspect"
        )
    ax.legend(fontsize=TEXT_SIZE, frameon=False)
    ax.set(xlabel="ω (°)", ylabel="residual / measured", ylim=(0, None))


def draw_drift(ax: Axes, grain: Grain) -> None:
    """Draw how the sample drifted over ω, along rows and columns."""
    omega, drift = grain.projections["omega"], grain.projections["drift"]
    ax.plot(omega, drift[:, 0], ".-", color=BLUE, label="rows")
    ax.plot(omega, drift[:, 1], ".-", color=ORANGE, label="columns")
    ax.axhline(0, color="0.7", linewidth=0.8, zorder=0)
    ax.set(xlabel="ω (°)", ylabel="drift (pixel)")
    ax.legend(fontsize=TEXT_SIZE, frameon=False)


def draw_shell_correlation(ax: Axes, grain: Grain) -> None:
    """Draw the Fourier shell correlation of two halves, and where it gives the resolution."""
    frequency = grain.curves["fsc_frequency"]
    ax.plot(frequency, grain.curves["fsc"], ".-", color=BLUE, label="two halves")
    ax.plot(frequency, grain.curves["fsc_threshold"], "--", color="0.5", label="half bit")
    resolution_nm = float(grain.provenance["resolution_nm"])
    if np.isfinite(resolution_nm):
        ax.axvline(1e3 / resolution_nm, color=VERMILION, linewidth=1)
        ax.set_title(f"resolution {resolution_nm:.0f} nm", fontsize=TEXT_SIZE)
    ax.set(xlabel="spatial frequency (1/µm)", ylabel="correlation", ylim=(-0.1, 1.05))
    ax.legend(fontsize=TEXT_SIZE, frameon=False)


@checked()
def quality_figure(grain: Grain) -> Figure:
    """Residuals, drift and shell correlation of an iterative reconstruction, as far as it has them.

    Raises a ParameterError where the grain was not fitted to the frames.
    """
    if not grain.residual.size:
        raise ParameterError(
            f"a grain by {grain.provenance.get('method', 'another method')} has no residuals: "
            "reconstruct it iteratively to see how far it can be trusted"
        )
    panels = [draw_residual, draw_projections, draw_drift]
    if "fsc" in grain.curves:
        panels.append(draw_shell_correlation)
    figure = new_figure(9.2, 2.7)
    for draw, ax in zip(panels, figure.subplots(1, len(panels)), strict=True):
        draw(ax, grain)
        ax.tick_params(labelsize=TEXT_SIZE)
    figure.set_layout_engine("tight")
    return figure


def write_results(grain: Grain, folder: Path) -> list[Path]:
    """Write grain.h5, its header for ParaView, grain_ang.npy and, after a fit, quality.png."""
    path = folder / "grain.h5"
    grain.save(path)
    paths = [path, write_xdmf(grain, path), grain.save_arrays(folder)]
    if grain.residual.size:
        with complete_or_absent(folder / "quality.png") as temporary:
            quality_figure(grain).savefig(temporary, dpi=120)
        paths.append(folder / "quality.png")
    return paths
