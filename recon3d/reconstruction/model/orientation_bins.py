"""The orientation bins that a scan calls for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.projection.bins import OrientationBins, centred_axis
from recon3d.projection.weights import nearest_frames
from recon3d.reconstruction.model.scan_model import ScanModel
from recon3d.reconstruction.model.scanned import setting_steps_deg, strain_axis, two_theta_step_deg

FloatArray = NDArray[np.float64]

ILLUMINATED_SHARE = 0.8
DIM = 0.01
"""A bin is kept if, in this share of the projections, its frame holds more than this share of
the counts of the brightest one."""


def orientation_bins(model: ScanModel, step_deg: float) -> OrientationBins:
    """Bins that cover every orientation of which the scan has seen anything.

    A voxel lights the frame that its orientation turns to at every ω: bins whose frames are
    mostly dark hold no voxel, and the box of bins is cut down to the others.

    Parameters
    ----------
    model
        The scan.
    step_deg
        Distance of the bins.
    """
    bins = _all_bins(model, step_deg)
    illuminated = _illuminated_share(model, bins) >= ILLUMINATED_SHARE
    if not illuminated.any():
        return bins
    a, b, shift = (
        _cut(axis, illuminated.any(axis=others))
        for axis, others in (
            (bins.a_deg, (1, 2)),
            (bins.b_deg, (0, 2)),
            (bins.dtheta_deg, (0, 1)),
        )
    )
    return OrientationBins(a, b, shift)


def frames_of_bins(model: ScanModel, bins: OrientationBins) -> NDArray[np.int64]:
    """The frame nearest to each bin in every projection that is used, (projections, bins).

    -1 where the bin's setting lies outside what the projection measured.
    """
    steps = setting_steps_deg(model.store)
    shift = two_theta_step_deg(model.store, model.settings)
    # The corner of a cell of turned settings lies 0.71 steps from its frame.
    reach = (0.75 * steps[0], 0.75 * steps[1], 0.75 * shift)
    return np.stack(
        [
            nearest_frames(model.settings, k, model.omega_deg(k), bins, model.turning, reach)
            for k in model.projections
        ]
    )


def _all_bins(model: ScanModel, step_deg: float) -> OrientationBins:
    """Bins up to the farthest settings of the scan, about its turning centre."""
    used = model.projections
    reach_mu = _reach(model.settings.mu_deg[used] - model.turning.centre_mu_deg)
    gamma = model.settings.gamma_deg[used] - model.turning.centre_gamma_deg
    scanned_gamma = np.nanmax(gamma, axis=1) - np.nanmin(gamma, axis=1) > step_deg / 2
    reach = max(reach_mu, _reach(gamma)) if scanned_gamma.any() else reach_mu
    axis = centred_axis(reach, step_deg)
    shift = np.zeros(1)
    if strain_axis(model.store):
        # Δθ is half of Δ2θ, and bins are half a step as those of the tilts are.
        two_theta = model.settings.two_theta_deg[used]
        shift_step = two_theta_step_deg(model.store, model.settings) / 4
        shift = centred_axis(_reach(two_theta) / 2, shift_step)
    return OrientationBins(axis, axis, shift)


def _illuminated_share(model: ScanModel, bins: OrientationBins) -> FloatArray:
    """Share of the projections that measured a bin in which its frame is lit."""
    frames = frames_of_bins(model, bins)
    counts = model.store.integrated[model.projections]
    bright = counts > DIM * counts.max(axis=1, keepdims=True)
    illuminated = np.take_along_axis(bright, frames, axis=1)
    measured = frames >= 0
    share = (illuminated & measured).sum(axis=0) / np.maximum(measured.sum(axis=0), 1)
    # A bin that hardly any projection measured cannot be ruled out, nor be found.
    share[measured.mean(axis=0) < 0.2] = 0
    return share.reshape(bins.shape)


def _cut(axis: FloatArray, wanted: ArrayLike) -> FloatArray:
    """The part of an axis that holds all wanted bins, and two more at either end."""
    first, last = np.flatnonzero(wanted)[[0, -1]]
    return axis[max(first - 2, 0) : last + 3]


def _reach(offsets_deg: FloatArray) -> float:
    return float(np.nanmax(np.abs(offsets_deg)))
