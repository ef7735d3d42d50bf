"""The reconstruction of a grain from a cleaned scan, from end to end."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.communicator import ALONE, Communicator
from recon3d.config.experiment import Experiment
from recon3d.errors import ParameterError, warn
from recon3d.files.grain import Grain
from recon3d.files.store import CleanedScan
from recon3d.reconstruction.build import prepare
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.fit.passes import Report
from recon3d.reconstruction.fit.support import SupportResult
from recon3d.reconstruction.methods import METHODS, Options


def reconstruct(
    clean: CleanedScan,
    experiment: Experiment,
    *,
    memory_gib: float = 8.0,
    show_progress: bool = True,
    report: Report | None = None,
    checkpoints: Checkpoints | None = None,
    communicator: Communicator = ALONE,
) -> Grain:
    """Reconstruct the grain: its shape, and the orientation of every voxel.

    Parameters
    ----------
    clean
        The cleaned scan, from `recon3d.clean` or `recon3d.open_store`.
    experiment
        Crystal, detector, volume and settings.
    memory_gib
        What the orientation distributions may take. A backprojection of more is worked on in
        parts; an iterative fit of more is refused.
    show_progress
        False for a silent run.
    report
        Called as `report(stage, number, residual, occupancy)` when a stage begins (number 0,
        residual NaN, no occupancy) and after every pass of a fit, with the occupancy of the
        whole volume. What it raises ends the reconstruction.
    checkpoints
        Where the state of an iterative fit is kept while it runs, and whether to go on from it.
    communicator
        The processes that share the work; each calls this function and gets the grain.

    Returns
    -------
    grain
        Occupancy, mask, orientation, spread and completeness of every voxel.

    Raises
    ------
    ParameterError
        The method is not made for the frame, or needs more memory than allowed.
    DataError
        No voxel of the volume is lit often enough, or no projection is left.
    """
    settings = experiment.settings
    method = METHODS.get((settings.method, settings.frame))
    if method is None:
        raise ParameterError(
            f"the method '{settings.method}' works in the sample frame only, not in "
            f"'{settings.frame}': use --method backprojection for comparison"
        )
    show, first = show_progress and communicator.rank == 0, communicator.rank == 0
    options = Options(memory_gib, show, report if first else None, checkpoints)
    if checkpoints is not None:
        checkpoints.begin(clean, experiment, communicator)
    options.tell("alignment")
    with clean.kept_open() as opened:
        prepared = prepare(opened, experiment, show_progress=show, communicator=communicator)
        result = method(prepared, experiment, options)
    model = result.model
    found = {"method": settings.method, "frame": settings.frame} | prepared.evidence
    found |= {
        "rotation_center": model.rotation_center,
        "turning_center": [model.turning.centre_mu_deg, model.turning.centre_gamma_deg],
    }
    known = {
        "omega": clean.omega_deg[model.projections],
        "drift": model.pixels.detector_shifts(model.drift_pix[model.projections]),
    }
    grain = replace(
        _grain(experiment, result, experiment.source | found | result.found),
        projections=known | result.projections,
        curves=result.curves,
        images=result.images,
    )
    _warn_of_doubts(grain)
    return grain


POOR_FIT = 0.6
"""Relative residual above which the model does not describe the scan."""


def _warn_of_doubts(grain: Grain) -> None:
    """Warn where the fit is poor, or the box cuts the grain: the result is not to be trusted."""
    if grain.residual.size and grain.residual[-1] > POOR_FIT:
        warn(
            f"the grain explains the frames poorly (residual {grain.residual[-1]:.2f}, a good fit "
            "has less than half of that): are M, rotation_center, turning_center and tilt_azimuth "
            "right?"
        )
    mask, axes = grain.mask, "xyz"
    cut = [axes[k] for k in range(3) if np.moveaxis(mask, k, 0)[[0, -1]].any()]
    if grain.residual.size and cut:
        warn(
            f"the grain reaches the border of the volume along {', '.join(cut)}: if it is cut off, "
            "enlarge grain_dim or move grain_pos"
        )


def _grain(experiment: Experiment, result: SupportResult, provenance: dict[str, Any]) -> Grain:
    """Spread the voxels of the support over the whole volume."""

    def fill(values: NDArray[Any], empty: float) -> NDArray[np.float32]:
        volume = np.full(experiment.volume.shape, empty, np.float32)
        volume.reshape(-1)[result.inside] = values
        return volume

    def fill_mask(values: NDArray[Any]) -> NDArray[np.float32]:
        return fill(np.where(result.in_mask, values, np.nan), np.nan)

    peaks = result.peaks
    return Grain(
        volume=experiment.volume,
        occupancy=fill(result.occupancy, 0),
        mask=fill(result.in_mask, 0) > 0,
        orientation=np.stack([fill_mask(peaks.a_deg), fill_mask(peaks.b_deg)], axis=-1),
        orientation_spread=fill_mask(peaks.spread_deg),
        completeness=fill(result.completeness, 0),
        strain=None if result.strain is None else fill_mask(result.strain),
        residual=result.residual,
        provenance=provenance,
    )
