"""All figures of a grain, as files."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.plot.grain.distributions import histograms_figure, orientation_density_figure
from recon3d.plot.grain.film import surface_figure, write_film
from recon3d.plot.grain.quality import quality_figure
from recon3d.plot.grain.slices import slices_figure
from recon3d.plot.scan.projections import reprojection_figure
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.quality.reprojection import find_model, reproject
from recon3d.runtime.atomic import complete_or_absent, make_folder

logger = logging.getLogger(__name__)

SHOWN_PROJECTIONS = 3


def write_figures(
    grain_path: Path,
    folder: Path,
    *,
    scan: Path | None = None,
    ini: Path | None = None,
    suffix: str = "pdf",
    film: str | None = "gif",
    show_progress: bool = True,
) -> list[Path]:
    """Draw everything that a grain has to show, and list the files.

    `scan`, `ini`: where they are not beside the grain. `suffix`: "pdf", "svg" or "png". `film`:
    "gif", "mp4" or None.
    """
    grain = Grain.load(grain_path)
    draw: dict[str, Callable[[], Figure]] = {
        "surface": lambda: surface_figure(grain),
        "slices": lambda: slices_figure(grain),
        "slices_spread": lambda: slices_figure(grain, "spread"),
        "slices_completeness": lambda: slices_figure(grain, "completeness"),
        "orientation_density": lambda: orientation_density_figure(grain),
        "histograms": lambda: histograms_figure(grain),
    }
    if grain.strain is not None:
        draw["slices_strain"] = lambda: slices_figure(grain, "strain")
    if "residual" in grain.projections:
        draw["quality"] = lambda: quality_figure(grain)
    try:
        model = find_model(grain, grain_path, scan, ini)
        draw["reprojections"] = lambda: reprojections(grain, model)
    except ParameterError as error:
        if scan is not None or ini is not None:
            raise
        logger.info("no figure of projections: %s", error)
    make_folder(folder)
    paths = []
    for name, make in draw.items():
        path = folder / f"{name}.{suffix}"
        with complete_or_absent(path) as temporary:
            make().savefig(temporary, dpi=200)
        paths.append(path)
    if film:
        path = folder / f"turning.{film}"
        paths.append(write_film(grain, path, show_progress=show_progress))
    return paths


def reprojections(grain: Grain, model: ScanModel) -> Figure:
    """Summed frames of a few projections spread over the scan, and their models."""
    count = min(SHOWN_PROJECTIONS, len(model.projections))
    places = np.linspace(0, len(model.projections) - 1, count + 2)[1:-1].round().astype(int)
    chosen = [int(k) for k in model.projections[places]]
    measured = [model.frames(k).sum(axis=0) for k in chosen]
    modelled = [reproject(grain, model, k).sum(axis=0) for k in chosen]
    omega = [model.omega_deg(k) for k in chosen]
    return reprojection_figure(omega, measured, modelled, model.pixel_um)
