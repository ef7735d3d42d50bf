"""A rough grain in seconds, from part of a scan: to see whether it is worth going on."""

from __future__ import annotations

import tempfile
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

from recon3d.cleaning.light import spread_projections
from recon3d.cleaning.pipeline import clean
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.errors import Recon3DWarning
from recon3d.files.grain import Grain
from recon3d.reconstruction.run import reconstruct
from recon3d.scan.scan import Scan


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

    Parameters
    ----------
    scan
        The raw scan, or what there is of it so far, cropped to its region of interest.
    projections
        How many to use, at most; they are spread over the scan.
    voxels
        Along the longest edge of the volume.
    calibration
        Background, flat field and bad pixels, as in `recon3d.clean`.

    Returns
    -------
    grain
        By the iterative method in the sample frame: backprojected, a third of a scan shows a
        grain half as large again. The rotation axis is that of the centres of mass, and the
        drift is not looked for.

    Raises
    ------
    DataError
        Nothing is lit.
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
        return reconstruct(store, chosen, show_progress=False)
