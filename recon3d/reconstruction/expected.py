"""How much memory and time a reconstruction will take, before it is begun."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from recon3d.experiment import Experiment
from recon3d.io.store import CleanedScan
from recon3d.projection.operator import LitPixels, Projector, voxel_centres_um
from recon3d.reconstruction.backprojection import find_support
from recon3d.reconstruction.binning import orientation_bins
from recon3d.reconstruction.prepare import build_model
from recon3d.reconstruction.scanned import setting_steps_deg

_TRIED_VOXELS = 4000
_WIDTH_TRIALS = 12
_HALVES = 1.2


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

    Alignment, the search for the instrument's widths and the two halves are counted in passes;
    the result is right to about a factor of two.

    Parameters
    ----------
    store
        The cleaned scan.
    experiment
        What is to be reconstructed, and how.
    """
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
    affine, times = model.affine(k), []
    for _ in range(2):  # the first run may compile
        begin = time.perf_counter()
        images = projector.forward(volume, affine, pixels)
        projector.adjoint(images, affine, pixels, volume)
        times.append(time.perf_counter() - begin)
    work_s = times[-1] * voxels / len(tried)
    pass_s = len(model.projections) * (work_s + read_s)
    given = settings.rocking_width_deg and settings.rolling_width_deg
    trials = 0 if given else _WIDTH_TRIALS / 4
    passes = {"iterative": settings.iterations + trials + 2}.get(settings.method, 1)
    if settings.split_half and settings.method == "iterative":
        passes += _HALVES * settings.iterations
    return Expected(
        voxels=voxels,
        bins=bins.size,
        memory_gib=8 * voxels * bins.size / 2**30,
        pass_s=pass_s,
        seconds=passes * pass_s,
    )
