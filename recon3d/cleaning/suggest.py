"""Region of interest, cornice and threshold, suggested from the data as one choice."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from recon3d.arguments import checked
from recon3d.cleaning.calibration import calibrated
from recon3d.cleaning.frame_preview import FramePreview
from recon3d.cleaning.light import (
    LEAST_KEPT,
    Light,
    Pair,
    box_around,
    extent_of,
    look_for_light,
    spread_projections,
    whole_frames,
)
from recon3d.cleaning.steps import mask_frames, scale_frames
from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError
from recon3d.readers.source import Roi
from recon3d.runtime.progress import track
from recon3d.scan.scan import Scan

log = logging.getLogger(__name__)

_FRAMES = 1500
_FEWEST_PROJECTIONS, _MOST_PROJECTIONS = 9, 36
_JUDGED, _GLANCED_AT = 6, 3
_WIDTHS = (3.0, 2.5, 2.0, 1.5, 1.0)
_REGIONS_PIX = (25, 9)
"""Smaller regions than usual, tried before a threshold that noise exceeds in many pixels."""
_MANY_LIT_WIDTH = 2.5


@dataclass(frozen=True)
class Suggestion:
    """What the data suggest for `Scan.crop` and `Cleaning`, as one choice.

    Parameters
    ----------
    box
        The region of interest, in pixels of the whole frame.
    framebg
        Width of the cornice in pixels; 0 where no rim is free of light.
    binth
        Threshold, counts of a pixel of the detector.
    min_region_pix
        Smallest lit region that is kept: the usual one, unless the grain's spots are smaller.
    kept_share
        Share of the signal above three standard deviations of the noise that cleaning keeps.
    noise
        Standard deviation of the counts of a pixel without signal, after the dark frame.
    reasons
        Why, in sentences.
    """

    box: Roi
    framebg: int
    binth: float
    min_region_pix: int
    kept_share: float
    noise: float
    reasons: tuple[str, ...]

    @property
    def poi(self) -> Pair:
        """Centre of the box, (x, y) = (column, row), as `Scan.crop` takes it."""
        return self.box.center

    @property
    def imgsize(self) -> Pair:
        """Size of the box, (x, y)."""
        return self.box.size

    @checked()
    def applied_to(self, cleaning: Cleaning) -> Cleaning:
        """The same cleaning with what is suggested."""
        return replace(
            cleaning, framebg=self.framebg, binth=self.binth, min_region_pix=self.min_region_pix
        )

    def record(self) -> dict[str, Any]:
        """What the provenance keeps."""
        return {**asdict(self), "reasons": list(self.reasons)}


@checked()
def suggest(
    scan: Scan,
    cleaning: Cleaning | None = None,
    *,
    poi: Pair | None = None,
    imgsize: Pair | None = None,
    background: ArrayLike | None = None,
    flat_field: ArrayLike | None = None,
    bad_pixels: ArrayLike | None = None,
    show_progress: bool = True,
) -> Suggestion:
    """Suggest a region of interest, `framebg` and `binth` from projections spread over a scan.

    What is given is kept, and the rest is suggested to go with it. Frames are read one at a
    time, of up to 36 projections, and those of 6 once more.

    Parameters
    ----------
    scan
        The raw scan. Where it is cropped, its region is kept.
    cleaning
        The other steps; its `framebg` and `binth` are kept where they are not None, and its
        `min_region_pix` where it is not the usual one.
    poi, imgsize
        Centre and size, (x, y) = (column, row), of the region; None for what is not chosen.
    background, flat_field, bad_pixels
        As in `recon3d.clean`.
    show_progress
        False for no bar.

    Returns
    -------
    suggestion

    Raises
    ------
    DataError
        No light is found, or nothing that could be suggested keeps 98 % of the signal; the
        best is named.
    ParameterError
        What is given leaves the frame, or leaves nothing of it.

    Examples
    --------
    >>> import recon3d as r3
    >>> scan = r3.open_scan("run1", prefix="topotomo_", show_progress=False)
    >>> found = r3.suggest(scan, show_progress=False)
    >>> found.kept_share > 0.98
    True
    """
    wanted: dict[str, Any] = {"poi": poi, "imgsize": imgsize, "background": background}
    wanted |= {"flat_field": flat_field, "bad_pixels": bad_pixels}
    steps = suggesting(scan, cleaning, **wanted)
    looked_at = spread_projections(scan, _count(scan))
    total = int(scan.valid[looked_at].sum()) + min(_JUDGED, len(looked_at)) + 1
    found = None
    for step in track(steps, "looking for light", unit="frame", total=total, show=show_progress):
        found = step or found
    assert found is not None
    return found


def suggesting(
    scan: Scan,
    cleaning: Cleaning | None = None,
    *,
    poi: Pair | None = None,
    imgsize: Pair | None = None,
    lights: list[Light] | None = None,
    **images: Any,
) -> Iterator[Suggestion | None]:
    """Do what `suggest` does in steps: None while there is work to do, then the suggestion.

    `lights`: light of the whole frames of projections spread over the scan, where it is known.
    """
    cleaning = cleaning or Cleaning()
    if scan.roi != Roi.whole(scan.source.frame_shape):
        poi, imgsize = scan.roi.center, scan.roi.size
    given = None
    if poi is not None and imgsize is not None:
        given = Roi.around(poi, imgsize)
        given.require_inside(scan.source.frame_shape)
    region = scan.binned(1) if given is None else scan.binned(1).within(given)
    if lights is None:
        lights = []
        calm, _, _ = calibrated(region, **images)
        for k in spread_projections(scan, _count(scan)):
            for light in look_for_light(calm, k):
                if light is not None:
                    lights.append(light)
                else:
                    yield None
    else:
        region = whole_frames(scan)
        if given is not None:
            lights = [light._replace(signal=light.signal[given.slices]) for light in lights]
            region = region.within(given)
    lit = extent_of(lights, region)
    box, framebg, why = box_around(lit, scan.source.frame_shape, cleaning, poi, imgsize)
    cropped = scan.within(box)
    judge = _Judge(cropped, cleaning, framebg, images)
    for k in spread_projections(cropped, _JUDGED):
        judge.look(k)
        yield None
    yield judge.verdict(why)


def with_suggestions(
    scan: Scan, cleaning: Cleaning, poi: Pair | None, imgsize: Pair | None, /, **how: Any
) -> tuple[Cleaning, Suggestion | None]:
    """Fill in what is left to the data, and tell it; nothing where all is chosen.

    The parameters are those of `suggest`.
    """
    if None not in (poi, imgsize, cleaning.framebg, cleaning.binth):
        return cleaning, None
    found = suggest(scan, cleaning, poi=poi, imgsize=imgsize, **how)
    for reason in found.reasons:
        log.info("suggested: %s", reason)
    return found.applied_to(cleaning), found


def kept_share(scan: Scan, cleaning: Cleaning, **images: Any) -> float:
    """Share of the signal that chosen values keep, from a few projections; NaN if none is read.

    `cleaning` and `images`: as in `suggest`; `framebg` and `binth` are chosen.
    """
    framebg, _ = cleaning.chosen
    judge = _Judge(scan, cleaning, framebg, images)
    try:
        for k in spread_projections(scan, _GLANCED_AT):
            judge.look(k)
    except DataError:  # frames that cannot be read are reported when all are cleaned
        return math.nan
    return judge.share


def _count(scan: Scan) -> int:
    """How many projections are looked at."""
    return int(np.clip(_FRAMES // scan.shape[1], _FEWEST_PROJECTIONS, _MOST_PROJECTIONS))


class _Judge:
    """Cleans projections in every way that could be suggested, and sees what each keeps."""

    def __init__(
        self, scan: Scan, cleaning: Cleaning, framebg: int, images: dict[str, Any]
    ) -> None:
        self.scan, self.cleaning = scan, cleaning
        self.rims = [framebg] if cleaning.framebg is not None or not framebg else [framebg, 0]
        self.masks = _masks(cleaning)
        self.preview = FramePreview(scan, **images)
        self.kept: dict[tuple[int, float, int], float] = {}
        self.total = 0.0
        self.noises: list[float] = []

    def look(self, k: int) -> None:
        """Clean one projection in every way."""
        signal = self.preview.signal(k, replace(self.cleaning, framebg=0, binth=0.0))
        self.noises.append(signal.noise)
        self.total += float(signal.above.sum(dtype=np.float64))
        for rim in self.rims:
            own = self._own(rim, 0.0, 0)
            unmasked = signal.start.frames.copy()
            scale_frames(unmasked, signal.start.factors, own.chosen[0])
            for width, region in self.masks:
                own = self._own(rim, self._binth(width, signal.noise), region)
                frames = unmasked.copy()
                mask_frames(frames, own)
                kept = float(signal.above.sum(where=frames > 0, dtype=np.float64))
                way = (rim, width, region)
                self.kept[way] = self.kept.get(way, 0.0) + kept

    @property
    def share(self) -> float:
        """Share of the signal that the first way keeps; 1 where there is no signal."""
        return next(iter(self.kept.values())) / self.total if self.total > 0 else 1.0

    def verdict(self, why_rim: str) -> Suggestion:
        """The first way that keeps enough."""
        shares = {
            way: kept / self.total if self.total > 0 else 1.0 for way, kept in self.kept.items()
        }
        enough = [way for way, share in shares.items() if share >= LEAST_KEPT]
        rim, width, region = enough[0] if enough else max(shares, key=lambda way: shares[way])
        noise = float(np.median(self.noises)) / self.scan.binning.pixels
        binth = self._binth(width, noise * self.scan.binning.pixels)
        share = shares[rim, width, region]
        if rim != self.rims[0]:
            why_rim = f"framebg 0: a rim of {self.rims[0]} pixels would take signal away"
        roi = self.scan.roi
        whole = self.scan.source.frame_shape[0]
        off = roi.row + roi.rows / 2 - whole / 2
        moved = f"; its middle row is {off:+g} pixels off the detector's" if off else ""
        small = region < self.cleaning.min_region_pix
        reasons = (
            f"region of {roi.cols} x {roi.rows} pixels (x, y) from column {roi.col}, row {roi.row}"
            f"{moved}",
            why_rim,
            f"binth {binth:g}: the noise is {noise:.3g} counts a pixel",
            *([f"min_region {region}: some spots of the grain are smaller than usual"] * small),
            f"{share:.1%} of the signal above 3 standard deviations of the noise is kept",
        )
        found = Suggestion(roi, rim, binth, region, share, noise, reasons)
        if not enough and self.cleaning.framebg is None and self.cleaning.binth is None:
            raise DataError(
                f"no framebg and binth were found that keep 98 % of the signal: at best "
                f"{share:.1%}, with FRAMEBG {rim} and BINTH {binth:g} in regions of "
                f"{region} pixels or more; a smaller min_region may keep more, "
                "or give these numbers"
            )
        return found

    def _binth(self, width: float, noise: float) -> float:
        """The threshold in counts of a detector's pixel, with two digits or three."""
        if self.cleaning.binth is not None:
            return float(self.cleaning.binth)
        binth = max(width * noise / self.scan.binning.pixels, 0.5)
        return float(f"{binth:.3g}")

    def _own(self, framebg: int, binth: float, region: int) -> Cleaning:
        chosen = replace(self.cleaning, framebg=framebg, binth=binth, min_region_pix=region)
        return self.preview.own(chosen)


def _masks(cleaning: Cleaning) -> list[tuple[float, int]]:
    """Thresholds, in standard deviations of the noise, and smallest regions, the best first."""
    given = cleaning.min_region_pix
    smaller = _REGIONS_PIX if given == Cleaning().min_region_pix else ()
    if cleaning.binth is not None:
        return [(0.0, given), *((0.0, region) for region in smaller)]
    masks = [(width, region) for region in (given, *smaller) for width in _WIDTHS]
    # A sort keeps the order of equals.
    return sorted(masks, key=lambda mask: mask[0] < _MANY_LIT_WIDTH)
