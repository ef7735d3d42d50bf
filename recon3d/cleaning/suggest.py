"""Parameters of cleaning that the data suggest."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from recon3d.cleaning.preview import FramePreview
from recon3d.cleaning.region import (
    combine_frames,
    signal_of,
    spread_projections,
    suggest_framebg,
)
from recon3d.experiment import Cleaning
from recon3d.io.scan import Roi

NOISE_WIDTHS = 3.0
"""Standard deviations of the noise at which `binth` is put: few pixels of noise pass, and
those that do form no region of the smallest size."""
_SAMPLED = 6


def suggest_cleaning(preview: FramePreview, cleaning: Cleaning) -> Iterator[Cleaning | None]:
    """Suggest `framebg` and `binth` from projections spread over a scan.

    `framebg` is the widest rim, up to 20 pixels, that no projection lights. `binth` is three
    standard deviations of the noise of what step 5 leaves.

    Parameters
    ----------
    preview
        The scan, cropped to its region of interest.
    cleaning
        All other parameters.

    Yields
    ------
    cleaning
        None while there is work to do, and the suggestion at the end.
    """
    scan, binning = preview.scan, preview.scan.binning
    signals = []
    for k in spread_projections(scan, _SAMPLED):
        for images in combine_frames(scan, k):
            if images is not None:
                signals.append(signal_of(images))
            yield None
    framebg = suggest_framebg(signals, Roi.whole(scan.shape[2:]), 20 // max(binning))
    chosen = replace(cleaning, framebg=framebg * max(binning))
    noise = preview.noise(scan.shape[0] // 2, chosen) / binning.pixels
    yield replace(chosen, binth=float(max(math.ceil(NOISE_WIDTHS * noise), 1)))
