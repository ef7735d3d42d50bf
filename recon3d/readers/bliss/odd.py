"""The entry whose readings of a motor are unlike those of the others, for messages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from recon3d.config.goniometer import Goniometer
from recon3d.readers.bliss.records import EntryRecord

_UNLIKE = 5.0
_LEAST_DEG = 0.5
_PARTS = ("omega", "base_tilt", "chi", "phi")


def odd_entry(records: Sequence[EntryRecord], goniometer: Goniometer) -> str:
    """What is odd about the readings of one motor in one entry, in words; empty for nothing.

    Parameters
    ----------
    records
        The entries of a scan that forms no grid.
    goniometer
        The names of the motors.
    """
    for part in _PARTS:
        lists = [(r, r.motors.lists(goniometer).get(part, np.zeros(0))) for r in records]
        found = [(record, values) for record, values in lists if values.size > 1]
        spans = np.array([np.ptp(values) for _, values in found])
        for number, (record, values) in enumerate(found):
            others = np.delete(spans, number)
            usual = float(np.median(others)) if others.size > 1 else np.inf
            wider = spans[number] > max(_UNLIKE * usual, usual + _LEAST_DEG)
            lost = _lost(values) if wider or part == "omega" else np.zeros(0, int)
            if not wider and not lost.size:
                continue
            motor = getattr(goniometer, part)
            reads = f"reads {values.min():.7g} to {values.max():.7g}"
            if lost.size:
                reads = f"falls to 0 at frame {lost[0]} ({lost.size} of {values.size} frames)"
            usually = f", where other entries span {usual:.3g} degrees" if wider else ""
            return (
                f"entry {record.entry}: the motor '{motor}' ({part}) {reads}{usually}: was its "
                f"reading lost? Leave the entry out with entries, as in --entries 3.1,5-40"
            )
    return ""


def _lost(values: np.ndarray) -> np.ndarray:
    """Frames at which a motor reads 0, though it was far from there at the frame before."""
    zero = np.flatnonzero(values == 0)
    moves = np.abs(np.diff(values))
    steps = moves[moves > 0]
    if not zero.size or not steps.size or 2 * zero.size > values.size or zero[0] == 0:
        return np.zeros(0, int)
    far = moves[zero[0] - 1] > max(_UNLIKE * np.median(steps), _LEAST_DEG)
    return zero if far else np.zeros(0, int)
