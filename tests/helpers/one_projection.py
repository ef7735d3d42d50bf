"""One projection cleaned by itself, with stand-ins for what a whole scan would tell."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import check_region, work_on_projection
from recon3d.config.cleaning import Cleaning
from recon3d.errors import ParameterError, warn

Frames = NDArray[np.float32]
FloatArray = NDArray[np.float64]


def clean_projection(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    currents: FloatArray,
    cleaning: Cleaning,
    *,
    calibration: Calibration | None = None,
    normalizer: Normalizer | None = None,
) -> Frames:
    """Clean the frames of one projection.

    By default this projection is its own reference.
    """
    calibration, normalizer = stand_ins(raw, cleaning, calibration, normalizer)
    result = work_on_projection(raw, valid, currents, cleaning, calibration, normalizer)
    if not result.dark_subtracted:
        warn(
            "the projection has fewer than 3 frames with any intensity: no dark frame is "
            "subtracted from it"
        )
    return result.frames


def stand_ins(
    raw: NDArray[Any],
    cleaning: Cleaning,
    calibration: Calibration | None,
    normalizer: Normalizer | None,
) -> tuple[Calibration, Normalizer]:
    """What stands in for a calibration and a reference that are not given."""
    shape = raw.shape[-2:]
    check_region(shape, cleaning)
    calibration = calibration or Calibration.none((shape[0], shape[1]))
    if calibration.gain.shape != shape:
        raise ParameterError(f"the calibration is for {calibration.gain.shape}, not {shape} pixels")
    return calibration, normalizer or Normalizer(cleaning.normalize)
