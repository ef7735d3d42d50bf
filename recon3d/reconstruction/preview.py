"""A rough grain in seconds, from part of a scan: to see whether it is worth going on."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from recon3d.cleaning.light import spread_projections
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.errors import Recon3DWarning
from recon3d.files.grain import Grain
from recon3d.reconstruction.run import reconstruct
from recon3d.reconstruction.task import SMOOTHING_VOXELS
from recon3d.scan.scan import Scan

HIGHER_CUT = 0.23
"""How much higher the occupancy is cut if no angle is covered.

With the first 60° of two simulated scans, the volume was 0.99 and 1.00 of the true one so, instead
of 1.19 and 1.20.
"""


def preview_grain(
    scan: Scan,
    cleaning: Cleaning,
    experiment: Experiment,
    *,
    projections: int = 16,
    voxels: int = 24,
    **calibration: Any,
) -> Grain:
    """Reconstruct from a few projections on coarse voxels, in a few passes.

    `scan`: the raw scan, or what there is of it so far, cropped to its region of interest.
    `projections`: how many to use, at most; they are spread over the scan. `voxels`: along the
    longest edge of the volume. `calibration`: background, flat field and bad pixels, as in
    `recon3d.clean`.

    The grain is made by the iterative method in the sample frame: backprojected, a third of a scan
    shows a grain half as large again. Where angles are missing, the occupancy is cut higher, so
    that the volume is about right. The rotation axis is that of the centres of mass, and the drift
    is not looked for. Raises a DataError where nothing is lit.
    """
    coarse = replace(experiment, volume=experiment.volume.with_longest(voxels))
    chosen = coarse.with_settings(
        method="iterative",
        frame="sample",
        iterations=4,
        split_half=False,
        align="none",
        completeness_cutoff=None,
        omega_exclude=(),
    )
    some = spread_projections(scan, projections)
    part = scan.of_projections(some)
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        # What is rough about it is known.
        warnings.simplefilter("ignore", Recon3DWarning)
        store = clean(part, cleaning, Path(folder) / "scan.h5", show_progress=False, **calibration)
        return _cut_higher(reconstruct(store, chosen, show_progress=False))


def _cut_higher(grain: Grain) -> Grain:
    """Cut the occupancy higher where angles are missing: along those, the grain is smeared out."""
    if not grain.mask.any():
        return grain
    omega = np.sort(grain.projections["omega"])
    covered = (omega[-1] - omega[0]) * omega.size / max(omega.size - 1, 1)
    missing = max(1 - covered / 180, 0)
    smooth = ndimage.gaussian_filter(grain.occupancy, SMOOTHING_VOXELS, mode="constant")
    cut = float(smooth[grain.mask].min()) + HIGHER_CUT * missing
    mask = grain.mask & (smooth >= cut)
    return replace(grain, mask=mask) if mask.any() else grain
