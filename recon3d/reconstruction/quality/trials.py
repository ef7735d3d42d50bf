"""Trials that a grain should pass: data held out, data spoiled, and a tilt put into the data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.reconstruction.fit.orientations import Place, Refinement, refine_orientations
from recon3d.reconstruction.fit.passes import HALF_PASSES, refined, run_fit, unknowns_of
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import setting_steps_deg
from recon3d.reconstruction.quality.agreement import look_at_frames
from recon3d.reconstruction.quality.reprojection import experiment_of, find_model, voxels_of
from recon3d.reconstruction.task import Task, task_of
from recon3d.runtime.progress import track

HELD_OUT = 6
FEWEST = 12
"""Every so manieth projection is held out, of at least so many."""

AS_WELL = 1.3
"""Held out projections may be predicted worse than the others by this factor."""

CLEARLY_WORSE = 1.15
"""Spoiled data must leave more than this times the residual of good data."""

TILT_STEPS = 0.3
RECOVERED = 0.15
"""The tilt that is put in, in steps of the scan, and the share of it that may be missed."""


@dataclass(frozen=True)
class Trial:
    """What came out of a trial."""

    name: str  # what was tried
    passed: bool | None  # None where nothing tells
    words: str  # what came out, and what it means

    @property
    def verdict(self) -> str:
        """One word for what came out."""
        return "?" if self.passed is None else "ok" if self.passed else "BAD"

    def __str__(self) -> str:
        return f"{self.verdict:<4} {self.name}: {self.words}"


def check_grain(
    path: str | Path, scan: Path | None = None, ini: Path | None = None
) -> tuple[Trial, ...]:
    """Try a reconstructed grain against its own scan: trials in words.

    `scan`, `ini`: the cleaned scan, where it is not scan.h5 beside it, and the .ini file, where the
    grain's own record is not to be used. A ParameterError says that the scan is not found, is of
    other frames, or has too few projections.
    """
    grain = Grain.load(path)
    model = find_model(grain, Path(path), scan, ini)
    if len(model.projections) < FEWEST:
        raise ParameterError(
            f"{path}: rests on {len(model.projections)} projections, and fewer than {FEWEST} are "
            "not enough to hold some out"
        )
    with model.store.kept_open() as store:
        task = task_of(experiment_of(grain, ini), replace(model, store=store))
        return tuple(_trials(grain, task))


def _trials(grain: Grain, task: Task) -> Iterator[Trial]:
    x = task.points_um[:, 0]
    kept = x > np.median(x)
    half = replace(task, inside=task.inside[kept], points_um=task.points_um[kept])
    held_out, residual = _hold_out(task)
    yield held_out
    yield _spoiled(
        "wrong support",
        half,
        residual,
        "the frames tell the shape",
        "the shape is not told by the frames: is binth too high, or the volume too small?",
    )
    yield _spoiled(
        "shuffled frames",
        _shuffled(task),
        residual,
        "the frames tell the orientations",
        "any orientation explains the frames as well: are the motors' readings right?",
    )
    yield _tilted(grain, task)
    words = "nothing in the data tests M: a wrong one scales the grain, and no residual shows it"
    yield Trial("magnification", None, words)


def _hold_out(task: Task) -> tuple[Trial, float]:
    """Fit without some projections, and predict them; also the residual of the fit."""
    model = task.model
    held = np.arange(len(model.projections)) % HELD_OUT == HELD_OUT // 2
    rest = replace(task, model=replace(model, projections=model.projections[~held]))
    fit = run_fit(rest, "held out", passes=HALF_PASSES)
    refinement, voxels, _ = refined(rest, fit, "held out refinement")
    found = refinement.model
    fitted = look_at_frames(found, voxels).residual
    unseen = look_at_frames(replace(found, projections=model.projections[held]), voxels).residual
    good = unseen < AS_WELL * fitted
    end = "the grain predicts what it has not seen" if good else "the fit follows its own noise"
    words = f"{held.sum()} projections are predicted to {unseen:.3f}, those fitted to {fitted:.3f}"
    return Trial("projections held out", good, f"{words}: {end}"), fit.residuals[-1]


def _spoiled(name: str, task: Task, residual: float, good: str, bad: str) -> Trial:
    """Fit spoiled data, which should leave clearly more unexplained."""
    spoiled = run_fit(task, name, passes=HALF_PASSES).residuals[-1]
    passed = spoiled > CLEARLY_WORSE * residual
    words = f"residual {spoiled:.3f} in place of {residual:.3f}: {good if passed else bad}"
    return Trial(name, passed, words)


def _shuffled(task: Task) -> Task:
    """The task with the settings of the frames of every projection exchanged at random."""
    settings, rng = task.model.settings, np.random.default_rng(0)
    order = rng.permuted(
        np.tile(np.arange(settings.mu_deg.shape[1]), (len(settings.mu_deg), 1)), axis=1
    )
    shuffled = {
        name: np.take_along_axis(getattr(settings, name), order, axis=1)
        for name in ("mu_deg", "gamma_deg", "two_theta_deg")
    }
    return replace(task, model=replace(task.model, settings=replace(settings, **shuffled)))


def _tilted(grain: Grain, task: Task) -> Trial:
    """Tilt the grain in its own frames by a known angle, and look whether it is found."""
    step = min(setting_steps_deg(task.model.store))
    tilt = TILT_STEPS * step * np.array([0.8, -0.6])
    inside = np.flatnonzero(grain.oriented)
    voxels = voxels_of(grain, inside, task.model.geometry.theta_deg)
    place = Place(inside, grain.volume.shape)
    unknowns = unknowns_of(task.model, task.experiment)
    still = Refinement(task.model, voxels, unknowns, place, "tilt").may(
        centre_mu=False, centre_gamma=False, slope=False
    )
    moved = []
    for angles in track(((0.0, 0.0), tilt), "tilt", unit="fit"):
        tilted = _with_tilt(task.model, np.asarray(angles))
        found = refine_orientations(replace(still, model=tilted))
        moved.append(found.voxels.orientations[:2].T)
    found_tilt = np.median(moved[1] - moved[0], axis=0)
    missed = float(np.hypot(*(found_tilt - tilt)))
    passed = missed < RECOVERED * float(np.hypot(*tilt))
    put, got = (f"({1e3 * a:.1f}, {1e3 * b:.1f})" for a, b in (tilt, found_tilt))
    end = "orientations are to scale" if passed else "orientations are not to scale: is h right?"
    return Trial("known tilt", passed, f"{put} mdeg was put in, {got} came out: {end}")


def _with_tilt(model: ScanModel, tilt_deg: NDArray[np.float64]) -> ScanModel:
    """The scan as if the grain were tilted by (a, b): its frames moved by the turning law."""
    mu, gamma = model.settings.mu_deg.copy(), model.settings.gamma_deg.copy()
    still = replace(model.turning, centre_mu_deg=0.0, centre_gamma_deg=0.0)
    one = np.array([*tilt_deg, 0.0])[:, None]
    for number in range(len(mu)):
        moved = still.settings_of(one, model.omega_deg(number))
        mu[number] += float(moved[0][0])
        gamma[number] += float(moved[1][0])
    return replace(model, settings=replace(model.settings, mu_deg=mu, gamma_deg=gamma))
