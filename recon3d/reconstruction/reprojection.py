"""The frames that a reconstructed grain would give, to hold against the measured ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from recon3d.experiment import Experiment
from recon3d.io.grain import Grain
from recon3d.io.store import CleanedScan
from recon3d.projection.bins import OrientationList
from recon3d.projection.operator import LitPixels, Projector, spread, voxel_centres_um
from recon3d.reconstruction.model import ScanModel
from recon3d.reconstruction.prepare import build_model


def model_of(grain: Grain, store: CleanedScan, experiment: Experiment) -> ScanModel:
    """The model with which a grain was reconstructed, what was found from the data included.

    Parameters
    ----------
    grain
        The grain; its provenance says what was found.
    store, experiment
        What it was reconstructed from.
    """
    found = grain.provenance
    detector = replace(experiment.detector, rotation_center_pix=float(found["rotation_center"]))
    mu, gamma = (float(value) for value in found["turning_center"])
    given = replace(experiment, detector=detector).with_settings(turning_center_deg=(mu, gamma))
    model = build_model(store, given, int(found["handedness"]))
    drift = np.zeros_like(model.drift_pix)
    if "drift" in grain.projections:
        drift[model.projections] = model.pixels.shifts_of(grain.projections["drift"])
    return replace(model, drift_pix=drift)


def reproject(grain: Grain, model: ScanModel, projection: int) -> NDArray[np.float32]:
    """Predict the frames of one projection from a grain.

    Every voxel of the mask lights the frames that its own orientation meets, as strongly as
    its occupancy; the counts are scaled to the total of the measured projection.

    Parameters
    ----------
    grain
        The grain, in the sample frame.
    model
        The scan.
    projection
        Which projection.

    Returns
    -------
    frames, shape (frames, rows, cols)
    """
    inside = grain.mask.ravel()
    points = voxel_centres_um(grain.volume)[inside]
    a, b = grain.orientation.reshape(-1, 2)[inside].T.astype(float)
    strength = np.ravel(grain.occupancy)[inside, None]
    weights = model.weights(projection, OrientationList(a, b, np.zeros_like(a)))
    measured = model.frames(projection)
    pixels = LitPixels.from_mask(np.ones(measured.shape[1:], bool))
    volume = np.ascontiguousarray(weights.T * strength, np.float32)
    affine = model.affine(projection)
    projector = Projector(points, grain.volume.voxel_um)
    images = projector.forward(volume, affine, pixels)
    images = spread(images, pixels, *projector.footprint(affine))
    frames = images[:-1].T.reshape(measured.shape)
    total = frames.sum(dtype=np.float64)
    return frames * np.float32(measured.sum(dtype=np.float64) / total) if total > 0 else frames
