"""Cleaning written out in plain Python loops, for clarity, as the truth for the tests."""

import statistics

import numpy as np

from recon3d.cleaning.kernels import frames as kernels
from recon3d.config.cleaning import Cleaning


def replace_hot_pixels(frame, sigmas, limit=None, variance=1.0):
    """Step 3 of the compiled loops, on a copy of one frame."""
    result = np.array(frame, np.float32, order="C")
    spread = np.full(result.shape, variance, np.float32)
    top = kernels.NO_LIMIT if limit is None else limit
    thresholds = kernels.hot_thresholds(spread, float(sigmas), float(top))
    kernels.replace_hot_pixels(result, spread, *thresholds, float(sigmas), float(top))
    return result


def plain_dark(frames, valid, background=0.0):
    """Mean of the two weakest frames with any counts, less the background."""
    sums = [(int(frame.sum()), number) for number, frame in enumerate(frames) if valid[number]]
    weakest = sorted(pair for pair in sums if pair[0] > 0)
    if len(weakest) < 3:
        return None
    first, second = (frames[number].astype(float) for _, number in weakest[:2])
    return (first + second) / 2 - background


def plain_repair(frame, bad):
    result = np.array(frame, float)
    rows, cols = result.shape
    for row, col in zip(*np.nonzero(bad), strict=True):
        good = [
            frame[r, c]
            for r in range(row - 1, row + 2)
            for c in range(col - 1, col + 2)
            if 0 <= r < rows and 0 <= c < cols and not bad[r, c]
        ]
        result[row, col] = statistics.median(good) if good else 0.0
    return result


def plain_hot(frame, sigmas, limit, variance):
    """Hot pixels and spots of 2 x 2 by their rules; also says where they were."""

    def stands_out(value, median, low, high, extra):
        far = value > median + sigmas * (median + extra) ** 0.5 and value > 2 * median
        return sigmas > 0 and far and value - low > 3 * (high - low)

    mirrored = np.pad(np.array(frame, float), 1, mode="reflect")
    result, hot = np.array(frame, float), np.zeros(frame.shape, bool)
    for row, col in np.ndindex(frame.shape):
        block = mirrored[row : row + 3, col : col + 3].ravel().tolist()
        value = block.pop(4)
        around = sorted(block)
        median = statistics.median(around)
        if (limit is not None and value > limit) or stands_out(
            value, median, around[1], around[5], variance[row, col]
        ):
            result[row, col], hot[row, col] = median, True
            continue
        wide = np.array(frame[max(row - 2, 0) : row + 3, max(col - 2, 0) : col + 3], float)
        if (
            wide.shape != (5, 5)
            or sum(value - other <= sigmas * variance[row, col] ** 0.5 for other in around) > 4
        ):
            continue
        square = sorted([*wide[0], *wide[-1], *wide[1:-1, 0], *wide[1:-1, -1]])
        median = statistics.median(square)
        if stands_out(value, median, square[1], square[14], variance[row, col]):
            result[row, col], hot[row, col] = median, True
    return result, hot


def plain_background(frame, framebg):
    rows, cols = frame.shape
    line = np.zeros(frame.shape)
    for start in range(0, cols, framebg):
        band = range(start, min(start + framebg, cols))
        top = statistics.fmean(frame[r, c] for r in range(framebg) for c in band)
        bottom = statistics.fmean(frame[r, c] for r in range(rows - framebg, rows) for c in band)
        first, last = (framebg - 1) / 2, rows - 1 - (framebg - 1) / 2
        for row in range(rows):
            for col in band:
                line[row, col] = top + (bottom - top) * (row - first) / (last - first)
    return line


def plain_flatten(frame, framebg):
    if framebg == 0:
        return np.array(frame, float)
    result = np.clip(frame - plain_background(frame, framebg), 0, None)
    for row, col in np.ndindex(frame.shape):
        depth = min(row, col, frame.shape[0] - 1 - row, frame.shape[1] - 1 - col)
        if depth < framebg:
            result[row, col] = 0
    return result


def _pieces(pixels, steps):
    """Split a set of pixels into those that the steps connect."""
    left = set(pixels)
    while left:
        piece, edge = set(), {left.pop()}
        while edge:
            piece |= edge
            edge = {(r + dr, c + dc) for r, c in edge for dr, dc in steps} & left
            left -= edge
        yield piece


EDGES = [(-1, 0), (0, -1), (0, 1), (1, 0)]
EDGES_AND_CORNERS = [(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1) if (r, c) != (0, 0)]


def _fill(illuminated, shape):
    """Add the dark pieces that do not reach beyond the frame."""
    around = {(r, c) for r in range(-1, shape[0] + 1) for c in range(-1, shape[1] + 1)}
    for piece in _pieces(around - illuminated, EDGES):
        if (-1, -1) not in piece:
            illuminated = illuminated | piece
    return illuminated


def plain_mask(frame, binth, min_region=100, radius=1, fill=True):
    shape = frame.shape
    illuminated = {(r, c) for r, c in np.ndindex(shape) if frame[r, c] > binth}
    if fill:
        illuminated = _fill(illuminated, shape)
    if radius:
        reach = range(-radius, radius + 1)
        disk = [(r, c) for r in reach for c in reach if r * r + c * c <= radius * radius]
        grown = {(r + dr, c + dc) for r, c in illuminated for dr, dc in disk}
        illuminated = {
            (r, c) for r, c in grown if all((r + dr, c + dc) in grown for dr, dc in disk)
        }
        if fill:
            illuminated = _fill(illuminated, shape)
    mask = np.zeros(shape, bool)
    for piece in _pieces(illuminated, EDGES_AND_CORNERS):
        if len(piece) >= min_region:
            mask[tuple(np.transpose(sorted(piece)))] = True
    return mask


def plain_clean(raw, valid, currents, cleaning: Cleaning, background=None, flat=None, bad=None):
    """All steps on the frames of one projection that is its own reference."""
    shape = raw.shape[1:]
    back = np.zeros(shape) if background is None else background
    gain = np.ones(shape) if flat is None else flat[~bad].mean() / flat
    bad = np.zeros(shape, bool) if bad is None else bad
    dark = None
    if cleaning.dark:
        dark = plain_dark(np.where(bad, 0, raw), valid, np.where(bad, 0, back))
    pedestal = back + (0 if dark is None else dark)
    noise = 1 + (1 if dark is None else 1.5) * gain**2 * np.clip(pedestal, 0, None)
    result = np.zeros(raw.shape)
    for number in np.flatnonzero(valid):
        counts = plain_repair((raw[number].astype(float) - pedestal) * gain, bad)
        counts = np.clip(counts, 0, None)
        counts, _ = plain_hot(counts, cleaning.hot_pixels, cleaning.hot_limit, noise)
        if cleaning.normalize == "current":
            counts = counts * np.mean(currents[valid]) / currents[number]
        counts = plain_flatten(counts, cleaning.framebg)
        mask = plain_mask(
            counts,
            cleaning.binth,
            cleaning.min_region_pix,
            cleaning.close_radius_pix,
            cleaning.fill_holes,
        )
        result[number] = np.where(mask, counts, 0)
    return result
