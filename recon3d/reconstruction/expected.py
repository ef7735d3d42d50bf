"""How much memory and time a reconstruction will take, before it is begun."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from recon3d.experiment import Experiment
from recon3d.io.store import CleanedScan
from recon3d.projection.forward import FrameOperator
from recon3d.projection.operator import LitPixels, Projector, voxel_centres_um
from recon3d.reconstruction.backprojection import find_support
from recon3d.reconstruction.binning import orientation_bins
from recon3d.reconstruction.fitting import HALF_PASSES
from recon3d.reconstruction.plausible import require_plausible
from recon3d.reconstruction.prepare import build_model
from recon3d.reconstruction.scanned import setting_steps_deg

_TRIED_VOXELS = 4000
_SETTLING = 1.0
_POLISH = 2.5
"""What the search for axis, drift and widths, and a polish, cost in passes."""


@dataclass(frozen=True)
class Expected:
    """What a reconstruction will cost, roughly.

    Parameters
    ----------
    voxels, bins
        Voxels that may be grain, and orientation bins of each.
    memory_gib
        Of the distributions.
    pass_s
        Seconds of one pass over all projections.
    seconds
        Of everything.
    """

    voxels: int
    bins: int
    memory_gib: float
    pass_s: float
    seconds: float


def expected_cost(store: CleanedScan, experiment: Experiment) -> Expected:
    """Measure one projection on some of the voxels, and scale it up.

    The search for axis, drift and widths, the polish and the two halves are counted in passes;
    the result is right to about a factor of two.

    Parameters
    ----------
    store
        The cleaned scan.
    experiment
        What is to be reconstructed, and how.

    Raises
    ------
    ParameterError
        What the experiment says lies far outside the scan.
    """
    require_plausible(store, experiment)
    settings = experiment.settings
    model = build_model(store, experiment, settings.handedness or 1)
    step = min(setting_steps_deg(store))
    bins = orientation_bins(model, settings.bin_deg or step / 2)
    points = voxel_centres_um(experiment.volume)
    some = points[:: max(len(points) // 8000, 1)]
    share = find_support(model, some, 0.75, 2, show_progress=False).mean()
    voxels = max(int(share * len(points)), 1)
    tried = np.ascontiguousarray(points[:: max(len(points) // _TRIED_VOXELS, 1)])
    projector = Projector(tried, experiment.volume.voxel_um)
    volume = np.ones((len(tried), bins.size), np.float32)
    k = int(model.projections[len(model.projections) // 2])
    begin = time.perf_counter()
    frames = model.frames(k)
    read_s = time.perf_counter() - begin
    pixels = LitPixels.from_mask(np.any(frames > 0, axis=0))
    operator = FrameOperator(projector, model.affine(k), pixels, model.weights(k, bins))
    all_s = _seconds(lambda: operator.adjoint(operator.forward(volume), volume))
    images = projector.forward(volume, operator.affine, pixels)
    voxels_s = _seconds(lambda: projector.forward(volume, operator.affine, pixels))
    voxels_s += _seconds(lambda: projector.adjoint(images, operator.affine, pixels, volume))
    # What depends on the frames alone does not grow with the voxels.
    work_s = max(all_s - voxels_s, 0) + voxels_s * voxels / len(tried)
    pass_s = len(model.projections) * (work_s + read_s)
    passes = 1.0
    if settings.method == "iterative":
        passes = settings.iterations + _SETTLING + _POLISH
        passes += (HALF_PASSES + _POLISH) * settings.split_half
    return Expected(
        voxels=voxels,
        bins=bins.size,
        memory_gib=8 * voxels * bins.size / 2**30,
        pass_s=pass_s,
        seconds=passes * pass_s,
    )


def _seconds(work: Callable[[], object]) -> float:
    """How long something takes the second time: the first may compile."""
    work()
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin
