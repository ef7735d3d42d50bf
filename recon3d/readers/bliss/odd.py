"""Names the entry that may not belong to the scan, where frames form no grid."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, GridError
from recon3d.readers.bliss.file import BlissFile
from recon3d.readers.bliss.motors import NEEDED
from recon3d.readers.bliss.records import EntryRecord
from recon3d.readers.source import FrameSource

FloatArray = NDArray[np.float64]
_UNLIKE = 5.0
_LEAST_DEG = 0.5
_NAMED = 3


@contextmanager
def explaining_misfits(source: FrameSource) -> Iterator[None]:
    """Add to the error of a scan that forms no grid that some entries may be no part of it."""
    try:
        yield
    except DataError as error:
        if not isinstance(source, BlissFile):
            raise
        odd = odd_entry(source.records, source.goniometer)
        if odd:
            raise type(error)(f"{source.path}, {odd}") from error
        if len(source.records) < 2:
            raise
        listed = ""
        if isinstance(error, GridError):
            titles = Counter((record.title or "no title")[:40] for record in source.records)
            listed = f" ({'; '.join(f'{n} x {title}' for title, n in titles.most_common(_NAMED))})"
        text = str(error)
        stop = "" if text.endswith((".", "?", "!")) else "."
        chosen = source.records[-1].entry if len(source.records) <= _NAMED else "3.1,5-40"
        raise type(error)(
            f"{text}{stop} Should one of the {len(source.records)} entries{listed} be left out? "
            f"Choose, as in --entries {chosen}"
        ) from error


def odd_entry(records: Sequence[EntryRecord], goniometer: Goniometer) -> str:
    """What is odd about the readings of one motor in one entry, in words; empty for nothing.

    `records`: the entries of a scan that forms no grid.
    """
    for part in NEEDED:
        motor = goniometer.motors[part]
        read = [(record, record.motors.get(motor)) for record in records]
        found = [(record, np.ravel(v)) for record, v in read if isinstance(v, float | np.ndarray)]
        spans = np.array([np.ptp(values) for _, values in found])
        for number, (record, values) in enumerate(found):
            others = np.delete(spans, number)
            usual = float(np.median(others)) if others.size > 1 else np.inf
            wider = spans[number] > max(_UNLIKE * usual, usual + _LEAST_DEG)
            lost = _lost(values, usual) if wider or part == "omega" else np.zeros(0, int)
            if not wider and not lost.size:
                continue
            reads = f"reads {values.min():.7g} to {values.max():.7g}"
            if lost.size:
                reads = f"falls to 0 at frame {lost[0]} ({lost.size} of {values.size} frames)"
            usually = f", where other entries span {usual:.3g} degrees" if wider else ""
            return (
                f"entry {record.entry}: the motor '{motor}' ({part}) {reads}{usually}: was its "
                f"reading lost?{_without(record, records)}"
            )
    return ""


def _without(odd: EntryRecord, records: Sequence[EntryRecord]) -> str:
    """How to choose the other entries."""
    own, *numbers = (int(each.entry.partition(".")[0]) for each in (odd, *records))
    before = [number for number in numbers if number < own]
    behind = [number for number in numbers if number > own]
    ranges = [f"{min(some)}-{max(some)}" for some in (before, behind) if some]
    return f" To use the others: --entries {','.join(ranges)}" if ranges else ""


def _lost(values: FloatArray, usual_deg: float) -> NDArray[np.intp]:
    """Frames at which a motor reads 0, though it was far from there at the frame before.

    Far is more than the motor moves in other entries, or where that is not known, in a step.
    """
    zero = np.flatnonzero(values == 0)
    moves = np.abs(np.diff(values))
    if not zero.size or 2 * zero.size > values.size or zero[0] == 0:
        return np.zeros(0, int)
    usual = usual_deg if np.isfinite(usual_deg) else float(np.median(moves[moves > 0]))
    return zero if moves[zero[0] - 1] > max(_UNLIKE * usual, _LEAST_DEG) else np.zeros(0, int)
