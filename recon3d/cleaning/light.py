"""Where the grain's light falls on the detector, and how much a region of interest cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from recon3d.config.cleaning import Cleaning
from recon3d.errors import DataError, ParameterError
from recon3d.files.store import CleanedScan
from recon3d.readers.source import Roi
from recon3d.scan.scan import Scan
from recon3d.scan.table import short

Image = NDArray[np.float32]
Pair = tuple[int, int]

_SIGMAS = 5.0
_BLOCKS_ALONG_EDGE = 512
_FEWEST_BLOCKS = 4
_LEAST_SHARE = 0.01
_LOW_PERCENTILE = 20
_NARROWEST, _WIDEST = 4, 20
_SLACK_PIX = 4
_NEAR_MIDDLE = 1 / 6
"""Share of the light's height by which its middle may be off the detector's."""


class Light(NamedTuple):
    """The light of one projection on whole frames; images are (rows, cols)."""

    projection: int
    summed: Image  # sum over the frames as they were recorded
    largest: Image  # their maximum
    # counts that the grain adds to the sum; zero where nothing stands out of the noise
    signal: Image


def whole_frames(scan: Scan) -> Scan:
    """The scan without a region of interest, and without bins."""
    return scan.binned(1).within(Roi.whole(scan.source.frame_shape))


def spread_projections(scan: Scan, most: int) -> list[int]:
    """Numbers of at most `most` projections, evenly spread over the scan."""
    count = min(most, scan.shape[0])
    return [int(k) for k in np.unique(np.linspace(0, scan.shape[0] - 1, count).round())]


def coarse_to_fine(scan: Scan, first: int) -> list[int]:
    """Numbers of all projections, `first` that are spread over the scan before the others."""
    return list(dict.fromkeys([*spread_projections(scan, first), *range(scan.shape[0])]))


def look_for_light(scan: Scan, k: int) -> Iterator[Light | None]:
    """Find the light of a projection: None after every frame, so as to leave time to stop, then it.

    Frames are averaged in blocks of 2 x 2 pixels or more, so that only small ones are kept. The
    mean of the weakest frames is subtracted from each, and a plane. A block has light where its
    second brightest frame, or the sum of all but the brightest, is 5 standard deviations above the
    noise: a cosmic ray strikes no block twice. Regions of a few blocks are left out, and so are
    damaged frames; a DataError where there are no others.
    """
    size = max(2, -(-max(scan.shape[2:]) // _BLOCKS_ALONG_EDGE))
    summed = np.zeros(scan.shape[2:], np.float32)
    largest = np.zeros_like(summed)
    blocks, frame = [], np.empty(scan.shape[2:], scan.dtype)
    recorded = scan.room_for_recorded()
    damage = None
    for slot in np.sort(scan.slots[k][scan.valid[k]]):
        try:
            scan.read_counts(int(slot), frame, recorded)
        except DataError as error:
            damage = damage or error  # told of when all frames are cleaned
            continue
        summed += frame
        np.maximum(largest, frame, out=largest)
        blocks.append(_block_means(frame, size))
        yield None
    if damage and not blocks:
        raise damage
    signal = np.zeros_like(summed)
    if len(blocks) > 1:
        found = _signal_of_blocks(np.stack(blocks))
        spread = np.repeat(np.repeat(found, size, axis=0), size, axis=1)
        signal = spread[: signal.shape[0], : signal.shape[1]]
    yield Light(k, summed, largest, signal)


def _block_means(frame: NDArray[Any], size: int) -> Image:
    """Mean of the good part of every block; the last ones may be smaller."""
    rows, cols = (np.arange(0, length, size) for length in frame.shape)
    sums = np.add.reduceat(np.add.reduceat(frame.astype(np.float32), rows, 0), cols, 1)
    high, wide = (
        np.diff(np.append(starts, length))
        for starts, length in zip((rows, cols), frame.shape, strict=True)
    )
    return (sums / np.outer(high, wide)).astype(np.float32)


def _signal_of_blocks(blocks: Image) -> Image:
    """Counts of light in the sum over frames, (rows, cols), of blocks (frames, rows, cols)."""
    frames = len(blocks)
    weakest = np.argsort(blocks.sum(axis=(1, 2)))[: max(2, frames // 4)]
    noise = noise_of(blocks[weakest[0]] - blocks[weakest[1]])
    dark = blocks[weakest].mean(axis=0) if frames > 2 else np.zeros_like(blocks[0])
    above_dark = blocks - dark
    # Where a plane leaves nothing, a grain may fill the frames: then all is light.
    total = _lit_sum(above_dark, noise, weakest.size, with_plane=True)
    return total if total.any() else _lit_sum(above_dark, noise, weakest.size, with_plane=False)


def _lit_sum(above_dark: Image, noise: float, darks: int, *, with_plane: bool) -> Image:
    """Sum over (frames, rows, cols) where something stands out of the noise; 0 elsewhere."""
    frames = len(above_dark)
    top, next_to_top, total = (np.zeros_like(above_dark[0]) for _ in range(3))
    for frame in above_dark:
        above = frame - plane_below(frame, noise) if with_plane else frame
        total += above
        np.maximum(next_to_top, np.minimum(top, above), out=next_to_top)
        np.maximum(top, above, out=top)
    limit = _SIGMAS * noise
    # The dark frame's own noise is in all frames alike.
    lit = (next_to_top > limit * np.sqrt(1 + 1 / darks)) | (
        total - top > limit * np.sqrt(frames + frames**2 / darks)
    )
    return np.where(_without_specks(lit), np.maximum(total, 1e-6), np.float32(0))


def plane_below(image: Image, noise: float) -> Image:
    """The plane under what is lit, not below 0: fitted to the pixels that are not far above it.

    `image`: counts, negative ones included. `noise`: their standard deviation where there is no
    light.
    """
    rows, cols = (np.linspace(-1, 1, length, dtype=np.float32) for length in image.shape)
    step = max(max(image.shape) // 64, 1)
    few = image[::step, ::step].ravel().astype(np.float64)
    y, x = (part[::step] for part in (rows, cols))
    terms = np.stack([np.ones(few.size), np.repeat(y, x.size), np.tile(x, y.size)], axis=1)
    fit = np.array([np.percentile(few, _LOW_PERCENTILE), 0.0, 0.0])
    for _ in range(4):
        near = np.abs(few - terms @ fit) < 3 * noise
        if np.count_nonzero(near) < max(few.size // 10, 12):
            break
        fit = np.linalg.lstsq(terms[near], few[near], rcond=None)[0]
    plane: Image = np.maximum(fit[0] + fit[1] * rows[:, None] + fit[2] * cols, 0).astype(np.float32)
    return plane


def noise_of(difference: Image) -> float:
    """Noise of a frame, from the difference of two, (rows, cols), of one projection.

    It is the spread of the steps from pixel to pixel along the rows: the light of a grain, which
    differs between frames too, varies little over one pixel.
    """
    return max(_spread_of(np.diff(difference, axis=1)) / 2, 1e-6)


def _spread_of(values: NDArray[Any]) -> float:
    """Standard deviation, from the middle two thirds; from all below 99.9 % where those agree."""
    low, high, top = np.percentile(values, (15.87, 84.13, 99.9))
    if high > low:
        return float(high - low) / 2
    return float(values[values <= top].std())


def _without_specks(lit: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Leave regions out that are far smaller than the largest, such as hot pixels."""
    labels, count = ndimage.label(lit, np.ones((3, 3)))
    if not count:
        return lit
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return (sizes >= max(_LEAST_SHARE * sizes.max(), _FEWEST_BLOCKS))[labels] & lit


def share_outside(lights: list[Light], roi: Roi) -> list[float]:
    """Share of the light of each projection that a region leaves out, 0 to 1."""
    shares = []
    for light in lights:
        total = float(light.signal.sum(dtype=np.float64))
        inside = float(light.signal[roi.slices].sum(dtype=np.float64))
        shares.append(1 - inside / total if total > 0 else 0.0)
    return shares


def extent_of(lights: list[Light], region: Scan) -> Roi:
    """The smallest box that holds all light, in pixels of the whole frame."""
    lit = np.any([light.signal > 0 for light in lights], axis=0)
    if not lit.any():
        raise DataError(
            f"nothing in the {len(lights)} projections looked at stands 5 standard deviations out "
            f"of the noise, in the region of {region.roi.rows} x {region.roi.cols} pixels from "
            f"row {region.roi.row}, column {region.roi.col}: is the grain there? Give POI, "
            "IMGSIZE, FRAMEBG and BINTH to clean it in any case"
        )
    (top, bottom), (left, right) = (
        np.flatnonzero(lit.any(axis=axis))[[0, -1]].tolist() for axis in (1, 0)
    )
    return Roi(region.roi.row + top, region.roi.col + left, bottom - top + 1, right - left + 1)


def box_around(
    lit: Roi,
    frame_shape: tuple[int, int],
    cleaning: Cleaning,
    poi: Pair | None,
    imgsize: Pair | None,
) -> tuple[Roi, int, str]:
    """The box and the width of its rim, and why; what is given is kept."""
    wanted = int(np.clip(min(lit.rows, lit.cols) // 6, 8, _WIDEST))
    rim = wanted if cleaning.framebg is None else int(cleaning.framebg)
    (col, row), (width, height) = poi or (None, None), imgsize or (None, None)
    margin = rim + _SLACK_PIX
    rows = _span(lit.row, lit.rows, frame_shape[0], margin, row, height, about_middle=True)
    cols = _span(lit.col, lit.cols, frame_shape[1], margin, col, width, about_middle=False)
    box = Roi(rows[0], cols[0], rows[1], cols[1])
    free = min(
        lit.row - box.row,
        lit.col - box.col,
        box.row + box.rows - lit.row - lit.rows,
        box.col + box.cols - lit.col - lit.cols,
    )
    if cleaning.framebg is not None:
        return box, rim, f"framebg {rim} is given; {max(free, 0)} pixels around the light are free"
    rim = min(wanted, free - _SLACK_PIX // 2)
    if rim < _NARROWEST:
        near = f"the light comes within {max(free, 0)} pixels of the edge, and no rim is free of it"
        return box, 0, f"framebg 0: {near}"
    return box, rim, f"framebg {rim}: the light stays {free} pixels or more away from the edge"


def _span(
    start: int,
    length: int,
    whole: int,
    margin: int,
    centre: int | None,
    size: int | None,
    *,
    about_middle: bool,
) -> Pair:
    """First pixel and number of pixels of a box along one axis.

    The sample's origin falls on the middle row of the region where `centre_row` is not given:
    a grain near the detector's middle row stays where whole frames would put it, and one that is
    far from it gets a box of its own, or it would leave the volume.
    """
    first, last = max(start - margin, 0), min(start + length + margin, whole)
    if about_middle and abs(start + length / 2 - whole / 2) <= _NEAR_MIDDLE * length:
        even = min(first, whole - last)
        first, last = even, whole - even
    if centre is not None and size is not None:
        return centre - size // 2, size
    if centre is not None:
        half = max(centre - first, last - centre)
        half = max(min(half, centre, whole - centre), 1)
        return centre - half, 2 * half
    if size is not None:
        if size > whole:
            raise ParameterError(f"IMGSIZE {size} is more than the frame's {whole} pixels")
        first = (first + last) // 2 - size // 2
        return min(max(first, 0), whole - size), size
    return first, last - first


LEAST_KEPT = 0.98
"""Share of the signal above 3 standard deviations that cleaning should keep at least."""

_EDGE_PIXELS = 3
"""Lit pixels along one edge of the region from which a grain touches it."""
_DIM = 0.1
"""Share of a typical lit pixel from which another one is lit."""
_FULL = 0.9
"""Share of the lit pixels of a region from which they are its shape and not the grain's."""
_FALLEN = 0.7
"""Share of the usual counts below which those of several projections in a row have fallen."""
_SIDES = ("top", "bottom", "left", "right")


class RegionWatch:
    """Sees, one cleaned projection after another, whether the region holds the whole grain."""

    def __init__(self, framebg: int) -> None:
        self._rim = framebg
        self._found: dict[float, tuple[list[int], float, float]] = {}
        self._dark: list[float] = []

    def look(self, omega_deg: float, summed: NDArray[np.float32]) -> None:
        """Take a projection into account: the sum over its cleaned frames, (rows, cols)."""
        rows, cols = summed.shape
        inner = summed[self._rim : rows - self._rim, self._rim : cols - self._rim]
        signal = inner[inner > 0]
        if not signal.size:
            self._dark.append(omega_deg)
            return
        lit = inner > _DIM * float(np.median(signal))
        edges = (lit[0], lit[-1], lit[:, 0], lit[:, -1])
        touched = [side for side, edge in enumerate(edges) if edge.sum() >= _EDGE_PIXELS]
        self._found[omega_deg] = touched, float(lit.mean()), float(signal.sum(dtype=np.float64))

    def doubts(self, kept_share: float = 1.0) -> tuple[str, ...]:
        """Sentences on what is wrong, each with what to do; none where all is well.

        `kept_share`: share of the signal above 3 standard deviations of the noise that cleaning
        keeps.
        """
        if not self._found:
            return ()
        omega = sorted(self._found)
        told = [self._without_light(len(omega)), self._edges(omega), self._fall(omega)]
        if kept_share < LEAST_KEPT:
            told.append(
                f"{kept_share:.1%} of the signal above 3 standard deviations of the noise is kept: "
                f"light falls into the rim of framebg {self._rim} pixels, or binth or min_region "
                "cut it; choose them from the data (-), or a wider region"
            )
        return tuple(filter(None, told))

    def _without_light(self, lit: int) -> str:
        if not self._dark:
            return ""
        return (
            f"{len(self._dark)} of {lit + len(self._dark)} projections have nothing above binth, "
            f"first at ω = {short(min(self._dark))}°: was the beam lost, or does the grain leave "
            "it or the Bragg condition? omega_exclude leaves them out"
        )

    def _edges(self, omega: list[float]) -> str:
        """On a grain that is cut, or a mask that is the region's shape."""
        if np.median([self._found[angle][1] for angle in omega]) > _FULL:
            return (
                "the mask is a rectangle: nearly every pixel of the region is lit; binth is within "
                "the noise, or the region lies inside the grain"
            )
        cut = [angle for angle in omega if self._found[angle][0]]
        if not cut:
            return ""
        sides = sorted({side for angle in cut for side in self._found[angle][0]})
        mended = (
            "choose a wider region or a narrower framebg, or take both from the data (-)"
            if self._rim
            else "choose a wider region; where the detector ends there, move the grain inwards"
        )
        return (
            f"the grain touches the edge of the region ({', '.join(_SIDES[i] for i in sides)}) in "
            f"{len(cut)} of {len(omega)} projections, first at ω = {short(cut[0])}°, and is cut "
            f"there; {mended}"
        )

    def _fall(self, omega: list[float]) -> str:
        """On counts that fall over several projections; a single dark one stands out anyway."""
        totals = np.array([self._found[angle][2] for angle in omega])
        if totals.size < 5:
            return ""
        steady = np.median(np.lib.stride_tricks.sliding_window_view(totals, 3), axis=1)
        lowest = int(steady.argmin())
        share = float(steady[lowest] / np.median(totals))
        if share >= _FALLEN:
            return ""
        return (
            f"the counts of a projection fall to {share:.0%} of the usual at ω = "
            f"{omega[lowest + 1]:g}°: did the beam weaken, or the grain leave it or the Bragg "
            "condition?"
        )


def doubts_of_scan(store: CleanedScan) -> tuple[str, ...]:
    """Why a cleaned scan may not hold the whole grain; none where all is well.

    `store`: the cleaned scan; the sums over its frames are looked at.
    """
    made = store.provenance
    watch = RegionWatch(int(made.get("cleaning_of_bins", made["cleaning"])["framebg"]))
    for k, omega in enumerate(store.omega_deg.tolist()):
        if store.valid[k].any():
            watch.look(omega, store.read_summed(k))
    share = made.get("kept_share", made.get("suggested", {}).get("kept_share", 1.0))
    return watch.doubts(float(share))
