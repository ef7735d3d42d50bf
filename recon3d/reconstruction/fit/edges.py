"""The edges of an illumination that cuts the grain, found from where its images end.

A grain that the other projections show goes on where the light ends: there the frames are dark
though the shape predicts counts, or they end more sharply than a grain does. Where several
projections, too far apart in ω to see the same facet edge on, end at the same column, what
lies beyond it is not known.
"""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.config.volume import Volume
from recon3d.projection.kernels import FloatArray
from recon3d.projection.operator import Projector
from recon3d.reconstruction.fit.alignment import (
    MOST_PROJECTIONS,
    MOST_VOXELS,
    coarser_points,
    fit_shape,
)
from recon3d.reconstruction.fit.completeness import find_support
from recon3d.reconstruction.model.scan_model import ScanModel, UnknownPixels

logger = logging.getLogger(__name__)

ROUNDS = 3
SHARE = 0.5
MARGIN_PIX = 2
"""How often the shape is fitted and edges are looked for, and where: in which share of the
projections, and how near to what is lit."""

DARK = 0.05
BRIGHT = 0.2
LEAST_LOST = 0.01
"""Share of the predicted counts up to which a line of pixels is dark; brightness of the line at
the edge, of the brightest one's, that no rim of a grain has; and what is lost at least."""

SHARP = 0.7
SHARP_PIX = 3
SHARP_FROM_PIX = 9 * SHARP_PIX
"""Brightness, as a share of the brightest line's, so many lines before the last lit one, from which
the light ends sharply; and of how many lit lines: every smaller grain ends as sharply."""

ALIKE_PIX = 1.5
FEWEST = 5
LEAST_RANGE_DEG = 12.0
"""Distance within which edges are the same one, how many projections must share it, and the range
of ω that they must span."""

SOFT_PIX = 3
"""How far from the edge a pixel must be to be fully lit."""


def with_edges(model: ScanModel, points_um: FloatArray, volume: Volume) -> ScanModel:
    """The same scan, with all that lies beyond the edges of the illumination unknown."""
    support = find_support(model, points_um, SHARE, MARGIN_PIX)
    if not support.any() or len(model.projections) < 2 * FEWEST:
        return model
    points, voxel_um = coarser_points(points_um[support], volume, MOST_VOXELS)
    projector = Projector(points, voxel_um)
    for _ in range(ROUNDS):
        shape = fit_shape(model.thinned(MOST_PROJECTIONS), points, voxel_um)
        own = [_ends(model, projector, shape[:, 0], int(k)) for k in model.own]
        omega_deg = model.store.omega_deg[model.projections]
        cut = _cut_at(model, _shared(np.array(model.communicator.collect(own)), omega_deg))
        if cut is model:
            break
        model = cut
    return model


def _ends(
    model: ScanModel, projector: Projector, shape: NDArray[np.float32], number: int
) -> FloatArray:
    """The columns, counted from either side, at which a projection ends though the grain does not.

    Infinite where it does not. Rows are not looked at: a facet across the rotation axis ends at the
    same row at every ω.
    """
    measured = replace(model, unknown=None).summed(number).astype(np.float64)
    predicted = projector.image(shape, model.affine(number), model.image_shape).astype(np.float64)
    profiles = np.stack([predicted.sum(axis=0), measured.sum(axis=0)])
    return np.array([_end(*profiles), _end(*profiles[:, ::-1])])


def _end(predicted: FloatArray, measured: FloatArray) -> float:
    """The last line before the far end of two profiles that is lit at least by half; or inf."""
    lit = np.flatnonzero(measured > DARK * measured.max())
    if lit.size <= SHARP_PIX or not predicted[lit].any():
        return np.inf
    inner = measured[lit[-1] - SHARP_PIX]
    sharp = lit.size >= SHARP_FROM_PIX and inner >= SHARP * measured.max()
    if not sharp and not _goes_on(predicted, measured, lit):
        return np.inf
    return float(np.flatnonzero(measured > inner / 2)[-1])


def _goes_on(predicted: FloatArray, measured: FloatArray, lit: NDArray[np.int64]) -> bool:
    """Whether a predicted profile goes on beyond the lit lines of the measured one."""
    predicted = measured[lit].sum() / predicted[lit].sum() * predicted
    beyond = [profile[::-1].cumsum()[::-1] for profile in (predicted, measured)]
    dark = beyond[1] < DARK * beyond[0]
    first = int(np.argmax(dark))
    bright = predicted[first] > BRIGHT * predicted.max()
    return bool(dark.any() and bright and beyond[0][first] > LEAST_LOST * beyond[0][0])


def _shared(ends: FloatArray, omega_deg: FloatArray) -> FloatArray:
    """Leave out the ends (projections, 2) that not enough projections share.

    An edge that most of them share is one of all.
    """
    places = np.where(np.isfinite(ends), ends, -1e9)
    near = np.abs(places[:, None] - places[None]) < ALIKE_PIX
    omega = omega_deg[:, None]
    last = np.where(near, omega, -np.inf).max(axis=1)
    first = np.where(near, omega, np.inf).min(axis=1)
    shared = (near.sum(axis=1) >= FEWEST) & (last - first >= LEAST_RANGE_DEG)
    shared &= np.isfinite(ends)
    ends = np.where(shared, ends, np.inf)
    return np.where(shared.mean(axis=0) > 0.5, np.median(ends, axis=0), ends)


def _cut_at(model: ScanModel, ends: FloatArray) -> ScanModel:
    """The scan with all unknown beyond some ends (projections, 2); itself if it is already."""
    rows, cols = model.image_shape
    unknown = model.unknown or UnknownPixels(
        np.zeros((rows, cols), bool), np.zeros((len(model.store.omega_deg), 2, 2), np.int64)
    )
    lit = np.tile(np.array([(0, 0), (rows, cols)]), (len(unknown.lit), 1, 1))
    of_used = lit[model.projections, :, 1]
    cut = np.isfinite(ends)
    last = np.where(cut, ends, 0).astype(np.int64) - SOFT_PIX
    of_used[:, 1] = np.where(cut[:, 0], last[:, 0] + 1, cols)
    of_used[:, 0] = np.where(cut[:, 1], cols - 1 - last[:, 1], 0)
    lit[model.projections, :, 1] = of_used
    if np.array_equal(lit, unknown.lit) or not (cut.any() or model.unknown):
        return model
    logger.info(
        "the illumination ends inside the grain in %d projections", int(cut.any(axis=1).sum())
    )
    return replace(model, unknown=replace(unknown, lit=lit))
