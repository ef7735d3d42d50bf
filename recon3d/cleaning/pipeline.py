"""Cleaning of a whole scan, one projection at a time, into a store."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.cleaning.calibration import Calibration
from recon3d.cleaning.explain import FrameSteps, explain_frame
from recon3d.cleaning.normalization import Normalizer
from recon3d.cleaning.projection import check_region, clean_projection, work_on_projection
from recon3d.errors import DataError, Recon3DWarning
from recon3d.experiment import Cleaning
from recon3d.io.scan import Scan
from recon3d.io.store import CleanedScan, StoreWriter, open_store
from recon3d.progress import track

__all__ = ["FrameSteps", "Sink", "clean", "clean_projection", "explain_frame"]

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes every projection as it is cleaned, so that raw frames are read only once."""

    @property
    def needs_unmasked(self) -> bool:
        """Whether the frames before the mask are wanted."""

    def write(
        self,
        k: int,
        *,
        raw: NDArray[Any],
        unmasked: NDArray[np.float32] | None,
        cleaned: NDArray[np.float32],
    ) -> None:
        """Take projection `k`: three arrays of shape (frames, rows, cols)."""


def clean(
    scan: Scan,
    cleaning: Cleaning,
    out: str | Path,
    *,
    background: ArrayLike | None = None,
    flat_field: ArrayLike | None = None,
    bad_pixels: ArrayLike | None = None,
    provenance: dict[str, Any] | None = None,
    sink: Sink | None = None,
    show_progress: bool = True,
) -> CleanedScan:
    """Clean a scan and write it to a store.

    One projection is in memory at a time, while the next one is read.

    Parameters
    ----------
    scan
        The raw scan.
    cleaning
        The parameters of every step.
    out
        The file to write, usually scan.h5; it appears when it is complete.
    background
        Mean background frame, of a whole frame's shape or the region's; None for none.
    flat_field
        The detector's answer to even light, likewise.
    bad_pixels
        Not zero where the detector cannot be trusted, likewise.
    provenance
        What else is to be kept with the result, by name.
    sink
        Takes every projection, raw and cleaned, as it is done.
    show_progress
        False for no bar.

    Returns
    -------
    cleaned
        The opened store.

    Raises
    ------
    ParameterError
        A calibration frame has the wrong shape, or `framebg` leaves nothing of the region.
    DataError
        A frame cannot be read, the ring current was asked for and is not known, or all
        frames are dark.

    Warns
    -----
    Recon3DWarning
        Projections went without a dark frame, or with too little beam to be normalised.
    """
    check_region((scan.roi.rows, scan.roi.cols), cleaning)
    calibration = Calibration.for_roi(
        scan.roi, scan.source.frame_shape, background, flat_field, bad_pixels
    )
    normalizer = Normalizer(cleaning.normalize)
    currents, valid = scan.motors.ring_current_ma, scan.valid
    without_dark: list[int] = []
    left = 0.0
    with _writer(scan, cleaning, out, provenance) as store:
        for k, raw in _read_ahead(scan, show_progress):
            keep = sink is not None and sink.needs_unmasked
            done = work_on_projection(
                raw, valid[k], currents[k], cleaning, calibration, normalizer, keep
            )
            store.write(k, done.frames)
            if sink is not None:
                sink.write(k, raw=raw, unmasked=done.unmasked, cleaned=done.frames)
            if valid[k].any() and not done.dark_subtracted:
                without_dark.append(k)
            left += done.sums.sum()
            # Else its frames would be held while the next ones are worked on.
            del done
        _require_signal(left, scan, cleaning)
        store.note(**_normalization(normalizer))
    _warn(scan, without_dark, normalizer.unscaled)
    return open_store(out)


def _writer(
    scan: Scan, cleaning: Cleaning, out: str | Path, provenance: dict[str, Any] | None
) -> StoreWriter:
    names = [[scan.source.name(i) if i >= 0 else "" for i in row] for row in scan.slots.tolist()]
    return StoreWriter(
        out,
        scan.shape,
        motors=scan.motors,
        valid=scan.valid,
        axes=scan.axes,
        kind=scan.kind,
        omega_deg=scan.omega_deg,
        origin=scan.origin,
        roi=scan.roi,
        provenance={**(provenance or {}), "cleaning": asdict(cleaning)},
        source_files=names,
    )


def _read_ahead(scan: Scan, show: bool) -> Iterator[tuple[int, NDArray[Any]]]:
    """Go through the projections, reading each while its forerunner is worked on."""
    count = scan.shape[0]
    with ThreadPoolExecutor(1) as reader:
        pending = reader.submit(scan.read_projection, 0)
        for k in track(range(count), "cleaning", unit="projection", total=count, show=show):
            raw = pending.result()
            if k + 1 < count:
                pending = reader.submit(scan.read_projection, k + 1)
            yield k, raw


def _require_signal(left: float, scan: Scan, cleaning: Cleaning) -> None:
    if left > 0:
        return
    roi = scan.roi
    raise DataError(
        f"all frames are dark after cleaning: nothing exceeds binth = {cleaning.binth:g} over "
        f"{cleaning.min_region_pix} pixels in the region of {roi.rows} x {roi.cols} pixels from "
        f"row {roi.row}, column {roi.col}; is binth too high, framebg too wide, or the region "
        "beside the grain?"
    )


def _normalization(normalizer: Normalizer) -> dict[str, Any]:
    """What the provenance says of the normalisation; NaN stands for no reference."""
    used = dict(normalizer.used)
    log.info("normalised, projections by each way: %s", used)
    nothing = float("nan")
    current, total = normalizer.reference_current_ma, normalizer.reference_total
    return {
        "normalized_by": " and ".join(sorted(used)),
        "projections_normalized": used,
        "reference_current_ma": nothing if current is None else current,
        "reference_total": nothing if total is None else total,
    }


def _warn(scan: Scan, without_dark: list[int], unscaled: list[int]) -> None:
    """Tell, once for the scan, which projections were not treated as the others."""
    told = {
        "had fewer than 3 frames with any intensity: no dark frame was subtracted": without_dark,
        "had less than a tenth or more than ten times the beam or the total of the first one "
        "and were not scaled to it": unscaled,
    }
    for what, numbers in told.items():
        if numbers:
            first = f"omega = {scan.omega_deg[numbers[0]]:g}°"
            warnings.warn(
                f"{len(numbers)} of {scan.shape[0]} projections (first at {first}) {what}",
                Recon3DWarning,
                stacklevel=3,
            )
