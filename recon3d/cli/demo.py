"""The demonstration: a planted grain, its simulated frames, and their reconstruction."""

from __future__ import annotations

import logging
from pathlib import Path

from recon3d.cleaning.pipeline import clean
from recon3d.cli.figures import reprojections
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.plot.grain.quality import quality_figure
from recon3d.plot.grain.slices import slices_figure
from recon3d.plot.scan.projections import mosaicity_map_figure
from recon3d.reconstruction.quality.reprojection import model_of
from recon3d.reconstruction.run import reconstruct
from recon3d.runtime.atomic import make_folder
from recon3d.scan.scan import open_scan
from recon3d.simulate.lesson import Row, each_way, row_of
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import PLANS, grain_size_um
from recon3d.simulate.truth import Truth
from recon3d.simulate.writers.edf_scan import simulate_scan

logger = logging.getLogger(__name__)


def run_demo(out: Path, *, full: bool = False, show_progress: bool = True) -> list[Row]:
    """Simulate, clean, reconstruct by each method, compare with the truth, and draw.

    `full`: a rocking-only scan and a strain scan of the same grain too.
    """
    store, experiment, truth = _scan(out, "demo", show_progress)
    rows = []
    for row, grain in each_way(store, experiment, truth, show_progress=show_progress):
        grain.save(out / f"grain_{row.name.replace(' ', '_')}.h5")
        rows.append(row)
    draw_figures(grain, store, experiment, out / "figures")  # the last is the iterative one
    for kind, name in _MORE_SCANS.items() if full else ():
        folder = out / kind
        store, experiment, truth = _scan(folder, kind, show_progress)
        chosen = experiment.with_settings(split_half=False)
        grain = reconstruct(store, chosen, show_progress=show_progress)
        grain.save(folder / "grain.h5")
        rows.append(row_of(name, grain, truth.sample_on(experiment.volume)))
        draw_figures(grain, store, experiment, folder / "figures")
    return rows


_MORE_SCANS = {"rocking": "iterative, rocking only", "strain": "iterative, strain scan"}


def _scan(out: Path, kind: str, show_progress: bool) -> tuple[CleanedScan, Experiment, Truth]:
    """Simulate one kind of scan and clean it."""
    plan = PLANS[kind]()
    frames = out / "frames"
    grain = "strained" if kind == "strain" else "subgrains"
    phantom = make_phantom(grain, grain_size_um(plan, 8), seed=1)
    simulate_scan(frames, phantom, plan, overwrite=True, show_progress=show_progress)
    experiment = Experiment.from_ini(frames / "experiment.ini")
    scan = open_scan(
        frames,
        "topotomo_",
        phi0_deg=plan.phi0_deg,
        chi0_deg=plan.chi0_deg,
        show_progress=show_progress,
    )
    cleaning = Cleaning(framebg=8, binth=12)
    store = clean(scan, cleaning, out / "scan.h5", show_progress=show_progress)
    return store, experiment, Truth.load(frames / "truth.h5")


def draw_figures(
    grain: Grain, store: CleanedScan, experiment: Experiment, folder: Path
) -> list[Path]:
    """Draw slices, the mosaicity of a projection, and frames against their models."""
    make_folder(folder)
    model = model_of(grain, store, experiment)
    middle = int(model.projections[len(model.projections) // 2])
    mosaicity = mosaicity_map_figure(
        model.frames(middle),
        model.settings.mu_deg[middle],
        model.settings.gamma_deg[middle],
        model.pixel_um,
        title=f"ω = {model.omega_deg(middle):.1f}°",
    )
    figures = {
        "slices": slices_figure(grain),
        "quality": quality_figure(grain),
        "mosaicity": mosaicity,
        "reprojections": reprojections(grain, model),
    }
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path, dpi=150)
        logger.info("written: %s", path)
    return paths
