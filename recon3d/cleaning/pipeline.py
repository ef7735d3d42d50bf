"""Cleaning of a whole scan, one projection at a time, into a store."""

from __future__ import annotations

import logging
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from recon3d.cleaning.calibration import calibrated
from recon3d.cleaning.counts import CountWatch
from recon3d.cleaning.light import RegionWatch
from recon3d.cleaning.normalize import Normalizer, way_for_scan
from recon3d.cleaning.sharing import Work
from recon3d.cleaning.steps import check_region
from recon3d.cleaning.suggest import with_suggestions
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, warn
from recon3d.files.numpy_arrays import ArrayWriter
from recon3d.files.store import CleanedScan, open_store
from recon3d.files.store_writer import StoreWriter
from recon3d.readers.source import Damage, list_damage
from recon3d.runtime.communicator import ALONE, Communicator, from_first
from recon3d.scan.scan import Scan, require_rocking

log = logging.getLogger(__name__)


def clean(
    scan: Scan,
    cleaning: Cleaning,
    out: str | Path,
    *,
    provenance: dict[str, Any] | None = None,
    sink: ArrayWriter | None = None,
    skip_damaged: bool = False,
    show_progress: bool = True,
    communicator: Communicator = ALONE,
    **images: ArrayLike | None,
) -> CleanedScan:
    """Clean a scan and write it to a store: `recon3d.clean`, in each process that shares it.

    The first process of the communicator writes, so the others may leave out the sink. `images`:
    background, flat field and bad pixels.
    """
    check_region(scan.shape[2:], cleaning.for_bins(*scan.binning))
    require_rocking(scan)
    region = (scan.roi.center, scan.roi.size)
    cleaning, suggested = from_first(
        communicator,
        lambda: with_suggestions(scan, cleaning, *region, **images, show_progress=show_progress),
    )
    scan, calibration, silent = calibrated(scan, **images, communicator=communicator)
    keep = communicator.agree(sink is not None and sink.needs_unmasked)
    normalizer = Normalizer(way_for_scan(scan, cleaning.normalize))
    show = show_progress and communicator.rank == 0
    work = Work(scan, cleaning, calibration, normalizer, keep, skip_damaged, show)
    if communicator.rank > 0:
        for _ in work.shared(communicator):
            pass
    else:
        silent.warn(scan)

    def written() -> Path:
        said = (provenance or {}) | {"cleaning": asdict(cleaning)} | _binning(scan, cleaning)
        said |= silent.counts() | ({} if suggested is None else {"suggested": suggested.record()})
        slots = scan.slots.tolist()
        names = [[scan.source.name(i) if i >= 0 else "" for i in row] for row in slots]
        with StoreWriter(out, scan, provenance=said, source_files=names) as store:
            kept = said.get("suggested", said).get("kept_share", math.nan)
            _write_all(store, work, communicator, sink, kept)
        return Path(out)

    # Members wait here for the first one: the file has its name then.
    return open_store(from_first(communicator, written))


def _write_all(
    store: StoreWriter,
    work: Work,
    communicator: Communicator,
    sink: ArrayWriter | None,
    kept: float,
) -> None:
    """Write every projection as it is done, and tell what is to be told of the scan."""
    scan, without_dark, left = work.scan, list[int](), 0.0
    damaged: list[Damage] = []
    region = RegionWatch(work.cleaning.for_bins(*scan.binning).chosen[0])
    for one in work.shared(communicator):
        for frame, damage in one.damaged.items():
            store.forget_frame(one.k, frame)
            damaged.append(damage)
        done = one.done
        summed = store.write(one.k, done.frames)
        if one.valid.any():
            region.look(float(scan.omega_deg[one.k]), summed)
        if sink is not None:
            sink.write(one.k, raw=one.raw, unmasked=done.unmasked, cleaned=done.frames)
        if one.valid.any() and not done.dark_subtracted:
            without_dark.append(one.k)
        left += done.sums.sum()
        # Else its frames would be held while the next ones are worked on.
        del done, one
    normalizer, watch = work.normalizer, work.watch
    _require_signal(left, work)
    store.leave_out([f"{name}: {reason}" for name, reason in [*scan.left_out, *damaged]])
    store.note(**_normalization(normalizer), **watch.provenance())
    store.note(
        frames_left_out=len(scan.left_out) + len(damaged),
        frames_missing=int(np.count_nonzero(~scan.valid)) + len(damaged),
        projections_without_dark=len(without_dark),
        projections_unscaled=len(normalizer.unscaled),
    )
    _report(scan, damaged, watch, work.cleaning)
    _warn(scan, without_dark, normalizer.unscaled)
    if damaged:
        warn(f"{len(damaged)} frames are left out: {list_damage(damaged)}")
    watch.tell()
    doubts = region.doubts(kept)
    store.doubt(doubts)
    for doubt in doubts:
        warn(doubt)


def _report(scan: Scan, damaged: list[Damage], watch: CountWatch, cleaning: Cleaning) -> None:
    """Tell what became of the frames and of the pixels in them."""
    log.info(
        "%d frames cleaned, %d left out; %d hot pixels replaced; %d pixels above binth dropped, in "
        "regions of fewer than %d",
        int(np.count_nonzero(scan.valid)) - len(damaged),
        len(scan.left_out) + len(damaged),
        int(watch.hot_pixels),
        int(watch.dropped_pixels),
        cleaning.min_region_pix,
    )


def _binning(scan: Scan, cleaning: Cleaning) -> dict[str, Any]:
    """What the provenance says of binned frames, and the log; nothing where none are."""
    if scan.binning.pixels == 1:
        return {}
    own = cleaning.for_bins(*scan.binning)
    rows, cols = scan.binning.left_over((scan.roi.rows, scan.roi.cols))
    log.info(
        "binned %d x %d (rows x columns) to %d x %d; %d rows and %d columns at the end of the "
        "region fill no bin and are dropped",
        *scan.binning,
        *scan.shape[2:],
        rows,
        cols,
    )
    log.info(
        "of a bin: framebg %d, binth %g, min_region %d", own.framebg, own.binth, own.min_region_pix
    )
    return {
        "cleaning_of_bins": asdict(own),
        "binning": {**scan.binning._asdict(), "rows_dropped": rows, "cols_dropped": cols},
    }


def _require_signal(left: float, work: Work) -> None:
    """Raise a DataError that says at which step of cleaning the last pixel was lost."""
    if left > 0:
        return
    scan, watch, roi = work.scan, work.watch, work.scan.roi
    own = work.cleaning.for_bins(*scan.binning)
    framebg, binth = own.chosen
    bins = "" if scan.binning.pixels == 1 else f" in a bin of {scan.binning.pixels} pixels"
    start = (
        f"all frames are dark after cleaning: in the region of {roi.rows} x {roi.cols} pixels from "
        f"row {roi.row}, column {roi.col} "
    )
    if not watch.brightest:
        raise DataError(f"{start}no frame can be used")
    read, unmasked = (round(top, 1) for top in watch.brightest)
    start += f"the brightest pixel has {read:g} counts as it was read, "
    if read <= binth:
        why = "was there no beam, is the region beside the grain, or binth too high?"
        raise DataError(f"{start}and binth is {binth:g}{bins}: {why}")
    start += f"but {unmasked:g} before the mask, and binth is {binth:g}{bins}: "
    if unmasked > binth:
        raise DataError(
            f"{start}{watch.dropped_pixels} pixels exceed it, but no {own.min_region_pix} of them "
            "side by side: is min_region too large, or is it noise?"
        )
    raise DataError(
        f"{start}do all frames look like the weakest ones of their projection or the background, "
        "are the bright pixels single ones (--hot-pixels 0 keeps them), is the beam of the first "
        f"projection far weaker than the others', or does framebg = {framebg} cover the grain?"
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
            warn(f"{len(numbers)} of {scan.shape[0]} projections (first at {first}) {what}")
