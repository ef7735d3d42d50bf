"""The demonstration: a planted grain, its frames, and what comes back out of them."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from recon3d.atomic import make_folder
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.plot.grain.quality import quality_figure
from recon3d.plot.grain.slices import slices_figure
from recon3d.plot.parts import new_figure
from recon3d.plot.scan.projections import draw_comparison, mosaicity_map_figure
from recon3d.reconstruction.quality.reprojection import model_of, reproject
from recon3d.reconstruction.quality.truth import Comparison, compare_with_truth
from recon3d.reconstruction.run import reconstruct
from recon3d.scan.scan import open_scan
from recon3d.simulate.phantom import make_phantom
from recon3d.simulate.presets import PLANS, grain_size_um
from recon3d.simulate.truth import Truth, VoxelTruth
from recon3d.simulate.writers.edf_scan import simulate_scan

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Row:
    """How far one reconstruction is from the truth.

    Parameters
    ----------
    name
        The method.
    comparison
        Orientation and shape.
    strain_error
        Median error of the strain; None where none was planted or found.
    """

    name: str
    comparison: Comparison
    strain_error: float | None = None


def run_demo(out: Path, *, full: bool = False, show_progress: bool = True) -> list[Row]:
    """Simulate, clean, reconstruct, compare with the truth, and draw.

    Parameters
    ----------
    out
        Folder for frames, results and figures.
    full
        A rocking-only scan and a strain scan of the same grain too.
    show_progress
        False for a silent run.

    Returns
    -------
    rows
        Each method by its name, and how far it is from the truth.
    """
    store, experiment, truth = _scan(out, "demo", show_progress)
    rows, grains = three_ways(store, experiment, truth, show_progress=show_progress)
    for name, grain in grains.items():
        grain.save(out / f"grain_{name.replace(' ', '_')}.h5")
    draw_figures(grains["iterative"], store, experiment, out / "figures")
    for kind, name in _MORE_SCANS.items() if full else ():
        folder = out / kind
        store, experiment, truth = _scan(folder, kind, show_progress)
        chosen = experiment.with_settings(split_half=False)
        grain = reconstruct(store, chosen, show_progress=show_progress)
        grain.save(folder / "grain.h5")
        rows.append(_row(name, grain, truth.sample_on(experiment.volume)))
        draw_figures(grain, store, experiment, folder / "figures")
    return rows


_METHODS: dict[str, dict[str, Any]] = {
    "fixed laboratory angles": {"method": "backprojection", "frame": "lab"},
    "sample frame": {"method": "backprojection", "frame": "sample"},
    "iterative": {"method": "iterative", "frame": "sample", "split_half": False},
}

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


def _row(name: str, grain: Grain, truth: VoxelTruth) -> Row:
    compared = compare_with_truth(grain, truth.inside, truth.a_deg, truth.b_deg)
    if grain.strain is None or not np.any(truth.strain):
        return Row(name, compared)
    both = truth.inside & grain.mask
    return Row(name, compared, float(np.median(np.abs(grain.strain - truth.strain)[both])))


def three_ways(
    store: CleanedScan, experiment: Experiment, truth: Truth, *, show_progress: bool = True
) -> tuple[list[Row], dict[str, Grain]]:
    """Reconstruct a simulated scan by each method, and compare with the truth.

    Parameters
    ----------
    store, experiment
        The cleaned scan, and what is known of it.
    truth
        What was planted.
    show_progress
        False for a silent run.

    Returns
    -------
    rows
        Each method by its name, and how far it is from the truth.
    grains
        What each method gave, by its name.
    """
    planted = truth.sample_on(experiment.volume)
    rows, grains = [], {}
    for name, settings in _METHODS.items():
        chosen = experiment.with_settings(**settings)
        grain = reconstruct(store, chosen, show_progress=show_progress)
        rows.append(_row(name, grain, planted))
        grains[name] = grain
    return rows, grains


def planted_grain(truth: Truth, experiment: Experiment) -> Grain:
    """The truth on the voxels of a reconstruction, to be drawn as any other grain."""
    voxels = truth.sample_on(experiment.volume)
    tilts = np.stack([voxels.a_deg, voxels.b_deg], axis=-1).astype(np.float32)
    return Grain(
        volume=experiment.volume,
        occupancy=voxels.occupancy.astype(np.float32),
        mask=voxels.inside,
        orientation=np.where(voxels.inside[..., None], tilts, np.float32(np.nan)),
        orientation_spread=np.where(voxels.inside, np.float32(0), np.float32(np.nan)),
        completeness=voxels.inside.astype(np.float32),
        provenance={"method": "planted"},
    )


def draw_figures(
    grain: Grain, store: CleanedScan, experiment: Experiment, folder: Path
) -> list[Path]:
    """Draw slices, the mosaicity of a projection, and measured against reprojected frames.

    Parameters
    ----------
    grain
        A grain in the sample frame.
    store, experiment
        What it was reconstructed from.
    folder
        Where the pictures go.

    Returns
    -------
    paths
        The pictures.
    """
    make_folder(folder)
    model = model_of(grain, store, experiment)
    middle = int(model.projections[len(model.projections) // 2])
    measured = model.frames(middle)
    pixel_um = 1 / experiment.detector.magnification_pix_per_um
    mosaicity = mosaicity_map_figure(
        measured,
        model.settings.mu_deg[middle],
        model.settings.gamma_deg[middle],
        pixel_um,
        title=f"ω = {model.omega_deg(middle):.1f}°",
    )
    comparison = new_figure(7.0, 3.4)
    left, right = comparison.subplots(1, 2)
    brightest = int(np.argmax(measured.sum(axis=(1, 2))))
    rows, cols = measured.shape[1:]
    extent = (0.0, cols * pixel_um, rows * pixel_um, 0.0)
    modelled = reproject(grain, model, middle)
    draw_comparison(left, right, measured[brightest], modelled[brightest], extent)
    figures = {
        "slices": slices_figure(grain),
        "quality": quality_figure(grain),
        "mosaicity": mosaicity,
        "measured_and_reprojected": comparison,
    }
    paths = [folder / f"{name}.png" for name in figures]
    for path, figure in zip(paths, figures.values(), strict=True):
        figure.savefig(path, dpi=150)
        logger.info("written: %s", path)
    return paths


def table(rows: list[Row]) -> str:
    """Format the comparison with the truth as a table of plain text."""
    lines = [f"{'method':<26}{'median':>9}{'90 %':>9}{'Dice':>8}{'strain':>11}"]
    for row in rows:
        errors = row.comparison
        median, most = (
            f"{value:.1f}" if math.isfinite(value) else "missing"
            for value in (errors.median_mdeg, errors.p90_mdeg)
        )
        strain = "" if row.strain_error is None else f"{row.strain_error:.1e}"
        lines.append(f"{row.name:<26}{median:>9}{most:>9}{errors.dice:>8.3f}{strain:>11}".rstrip())
    lines.append("orientation errors in mdeg, over all true voxels (missing: so many are not")
    lines.append("found); Dice: agreement of the shapes, 1 is perfect; strain: median error")
    return "\n".join(lines)
