"""How much memory and time a reconstruction will take, before it is begun."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recon3d.config.experiment import Experiment
from recon3d.files.store import CleanedScan
from recon3d.projection.bins import OrientationBins, OrientationList
from recon3d.projection.cells import cell_width
from recon3d.projection.operator import Projector, voxel_centres_um
from recon3d.projection.oriented import OrientedVoxels
from recon3d.reconstruction.build import build_model
from recon3d.reconstruction.fit.backprojection import backproject_sample, find_peaks
from recon3d.reconstruction.fit.completeness import find_support
from recon3d.reconstruction.fit.iterative import IterativeFit
from recon3d.reconstruction.fit.orientations import STEPS, gather
from recon3d.reconstruction.fit.passes import (
    HALF_PASSES,
    SETTLING_PASSES,
    WIDTH_PASSES,
    free_widths,
    unknowns_of,
)
from recon3d.reconstruction.fit.widths import TRIAL_PROJECTIONS
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import orientation_bins, setting_steps_deg, threshold_of
from recon3d.reconstruction.model.validate import require_plausible

FloatArray = NDArray[np.float64]

TRIED_PROJECTIONS = 3
TRIED_VOXELS = 16_000
TRIED_BYTES = 1 << 27
SAMPLED_VOXELS = 8000
TRIES = 6
"""How much is tried, and how often: what it takes on fewer voxels is told from trying those too."""

WIDTH_LOOKS = 13
"""At how many values of each free width its search looks."""

COST_OF_LOOK = 0.7
COST_OF_SHIFT = 0.3
"""What a look at a width, and a shift, cost at one projection, in steps of the refinement."""

LATER_PASSES = 0.7
"""What a pass costs once the bins that no voxel fills are closed, in first passes."""

REST = 1.1
"""What everything that is not counted adds: reading, alignment, completeness."""

BYTES_A_VOXEL = 60
BYTES_A_SUPPORT_VOXEL = 100
"""Beside the distributions."""


@dataclass(frozen=True)
class Expected:
    """What a reconstruction will cost, roughly.

    Parameters
    ----------
    voxels, bins
        Voxels that may be grain, and orientation bins of each.
    distributions_gib
        Memory of the orientation distributions, which is what `memory_gib` limits.
    memory_gib
        Memory of everything, beyond what the process takes before.
    pass_s
        Seconds of one pass over all projections.
    seconds
        Of everything.
    """

    voxels: int
    bins: int
    distributions_gib: float
    memory_gib: float
    pass_s: float
    seconds: float


class Pieces(NamedTuple):
    """Seconds at one projection: of a pass of the fit, and of a step of the refinement.

    A pass is a backprojection, and there is no refinement, where nothing is fitted.
    """

    pass_s: float
    step_s: float


@dataclass(frozen=True)
class Trial:
    """A few projections, on which pieces of a reconstruction are timed.

    Parameters
    ----------
    model
        The scan, with these projections only.
    bins
        The orientation bins.
    experiment
        Volume and settings.
    grain
        Which share of the support is grain.
    """

    model: ScanModel
    bins: OrientationBins
    experiment: Experiment
    grain: float

    def pieces(self, points_um: FloatArray) -> Pieces:
        """Time the pieces on some voxels of the support."""
        count = len(self.model.projections)
        if self.experiment.settings.method != "iterative":
            return Pieces(self._backproject(points_um) / count, 0.0)
        voxel_um = self.experiment.volume.voxel_um
        fit = IterativeFit(
            self.model,
            self.bins,
            points_um,
            voxel_um,
            threshold=threshold_of(self.model.store),
            subset_size=count,
            rule=self.experiment.settings.algorithm,
        )
        passes = [self._pass(fit) for _ in range(TRIES)]
        voxels = self._oriented(fit, points_um)
        steps = [self._step(voxels) for _ in range(TRIES)]
        # The first time may compile; another program may disturb some of the others.
        return Pieces(min(passes[1:]) / count, min(steps[1:]) / count)

    def _pass(self, fit: IterativeFit) -> float:
        begin = time.perf_counter()
        fit.run_pass("trial", show_progress=False)
        return time.perf_counter() - begin

    def _step(self, voxels: OrientedVoxels) -> float:
        unknowns = unknowns_of(self.model, self.experiment)
        begin = time.perf_counter()
        gather(self.model, voxels, unknowns, "trial", False)
        return time.perf_counter() - begin

    def _backproject(self, points_um: FloatArray) -> float:
        seconds = []
        for _ in range(TRIES):
            begin = time.perf_counter()
            backproject_sample(
                self.model,
                self.bins,
                points_um,
                cell_pix=cell_width(self.model.in_pixels(self.experiment.volume)),
                show_progress=False,
            )
            seconds.append(time.perf_counter() - begin)
        return min(seconds[1:])

    def _oriented(self, fit: IterativeFit, points_um: FloatArray) -> OrientedVoxels:
        """The brightest voxels, as many as are grain, at their orientations so far."""
        peaks = find_peaks(fit.volume, self.bins, 1, fit.columns)
        brightest = np.argsort(peaks.intensity)[-max(int(self.grain * len(points_um)), 1) :]
        chosen = np.sort(brightest)
        columns = (peaks.a_deg, peaks.b_deg, peaks.dtheta_deg)
        return OrientedVoxels(
            Projector(np.ascontiguousarray(points_um[chosen]), self.experiment.volume.voxel_um),
            OrientationList(*(column[chosen].astype(float) for column in columns)),
            peaks.intensity[chosen],
        )


def expected_cost(store: CleanedScan, experiment: Experiment) -> Expected:
    """Time the pieces of a reconstruction on a few projections, and add them up.

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
    bins = orientation_bins(model, settings.bin_deg or min(setting_steps_deg(store)) / 2)
    points = voxel_centres_um(experiment.volume)
    support, grain = _support(model, points)
    voxels = max(int(len(points) * support.mean()), 1)
    few = model.thinned(TRIED_PROJECTIONS)
    trial = Trial(few, bins, experiment, grain)
    pieces = _pieces(trial, points, voxels)
    return Expected(
        voxels=voxels,
        bins=bins.size,
        distributions_gib=8 * voxels * bins.size / 2**30,
        memory_gib=_memory_gib(few, len(points), voxels, bins.size),
        pass_s=len(model.projections) * pieces.pass_s,
        seconds=_seconds(model, experiment, pieces),
    )


def _support(model: ScanModel, points: FloatArray) -> tuple[NDArray[np.bool_], float]:
    """Which of some voxels are in the support, and which share of these is grain."""
    some = points[:: max(len(points) // SAMPLED_VOXELS, 1)]
    support = find_support(model, some, 0.75, 2, show_progress=False)
    grain = find_support(model, some, 0.95, show_progress=False)
    return support, min(grain.sum() / max(support.sum(), 1), 1.0)


def _pieces(trial: Trial, points: FloatArray, voxels: int) -> Pieces:
    """Time the pieces on some voxels, and work out what they take on all of them."""
    room = TRIED_BYTES // (8 * trial.bins.size)
    at_most = max(min(TRIED_VOXELS, room), 64)
    inside = points[find_support(trial.model, points, 0.75, 2, show_progress=False)]
    many = np.ascontiguousarray(inside[:: math.ceil(max(len(inside), 1) / at_most)])
    if not len(many):
        many = points[:at_most]
    found = trial.pieces(many)
    if len(many) >= voxels:
        return Pieces(*(piece * voxels / len(many) for piece in found))
    fewer = many[::4]
    less = trial.pieces(fewer)
    # A part does not depend on the voxels: the frames.
    steps = (voxels - len(many)) / (len(many) - len(fewer))
    return Pieces(*(a + steps * max(a - b, 0) for a, b in zip(found, less, strict=True)))


def _seconds(model: ScanModel, experiment: Experiment, pieces: Pieces) -> float:
    """Add up passes, steps of the refinement, and searches for widths and drift."""
    settings, count = experiment.settings, len(model.projections)
    if settings.method != "iterative":
        return REST * count * pieces.pass_s
    full = min(settings.iterations, SETTLING_PASSES)
    passes = full + LATER_PASSES * (settings.iterations - full)
    steps = float(STEPS)
    if settings.split_half:
        # Two fits of half of the projections each.
        passes, steps = passes + HALF_PASSES, steps + STEPS
    settling = min(SETTLING_PASSES, settings.iterations - 1)
    steps += COST_OF_SHIFT * (settling + 1)
    looks = min(WIDTH_PASSES, settling) * WIDTH_LOOKS * len(free_widths(model, experiment))
    looks *= min(TRIAL_PROJECTIONS, count)
    work = count * passes * pieces.pass_s
    return REST * (work + (count * steps + COST_OF_LOOK * looks) * pieces.step_s)


def _memory_gib(model: ScanModel, all_voxels: int, voxels: int, bins: int) -> float:
    """Distributions and their update, images of all bins, frames, and what is kept of a voxel."""
    rows, cols = model.image_shape
    frames = model.store.shape[1]
    images = 4 * rows * cols * (2 * bins + 4 * frames)
    voxels_only = BYTES_A_VOXEL * all_voxels + BYTES_A_SUPPORT_VOXEL * voxels
    return (8 * voxels * bins + images + voxels_only) / 2**30
