"""Cleaning of one frame, step by step, to look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.frames_of_projection import stand_ins, subtract_projection
from recon3d.cleaning.normalize import Normalizer
from recon3d.cleaning.steps import (
    BoolFrame,
    FloatFrame,
    frame_background,
    signal_mask,
    subtract_frame_background,
)
from recon3d.config.experiment import Cleaning

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FrameSteps:
    """One frame on its way through cleaning; every image has the shape (rows, cols).

    Parameters
    ----------
    before
        The recorded counts.
    pedestal
        What steps 1 and 2 subtract: background and dark.
    background
        The frame's own background of step 5.
    unmasked
        The counts after step 5.
    mask
        Where the grain is.
    after
        The result: `unmasked` inside the mask.
    factor
        By how much step 4 multiplied.
    """

    before: FloatFrame
    pedestal: FloatFrame
    background: FloatFrame
    unmasked: FloatFrame
    mask: BoolFrame
    after: FloatFrame
    factor: float


def explain_frame(
    raw: NDArray[Any],
    valid: NDArray[np.bool_],
    currents: FloatArray,
    cleaning: Cleaning,
    index: int,
    *,
    calibration: Calibration | None = None,
    normalizer: Normalizer | None = None,
) -> FrameSteps:
    """Clean one frame of a projection and keep the images on the way.

    Parameters
    ----------
    raw, valid, currents, cleaning, calibration, normalizer
        As in `clean_projection`: the dark frame comes from the whole projection.
    index
        Number of the frame in the projection.
    """
    calibration, normalizer = stand_ins(raw, cleaning, calibration, normalizer)
    start = subtract_projection(raw, valid, currents, cleaning, calibration, normalizer)
    return steps_of(
        raw[index], start.frames[index], start.pedestal, float(start.factors[index]), cleaning
    )


def steps_of(
    raw: NDArray[Any],
    subtracted: FloatFrame,
    pedestal: FloatFrame,
    factor: float,
    cleaning: Cleaning,
) -> FrameSteps:
    """Do steps 4 to 6 on one frame, and keep the images on the way.

    Parameters
    ----------
    raw
        Shape (rows, cols): the recorded counts.
    subtracted
        Shape (rows, cols): the counts after step 3.
    pedestal
        Shape (rows, cols): what was subtracted.
    factor
        By what step 4 multiplies.
    cleaning
        The parameters of every step.
    """
    scaled = subtracted * np.float32(factor)
    unmasked = subtract_frame_background(scaled, cleaning.framebg)
    mask = signal_mask(
        unmasked,
        cleaning.binth,
        cleaning.min_region_pix,
        cleaning.close_radius_pix,
        cleaning.fill_holes,
    )
    return FrameSteps(
        before=raw.astype(np.float32),
        pedestal=pedestal,
        background=frame_background(scaled, cleaning.framebg),
        unmasked=unmasked,
        mask=mask,
        after=np.where(mask, unmasked, np.float32(0)),
        factor=factor,
    )
