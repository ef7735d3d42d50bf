"""Normalisation of all frames of a scan to the beam of its first projection (step 4)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from recon3d.errors import DataError, warn
from recon3d.scan.scan import Scan

FloatArray = NDArray[np.float64]

LARGEST_FACTOR = 10.0
"""Beyond this, or its inverse, there was no beam or no grain, and frames are left unscaled."""


def way_for_scan(scan: Scan, method: str) -> str:
    """How the projections of a scan are normalised: all in one way, so that their scales agree.

    "auto" takes the ring current where every frame has one, the totals where none has, and the
    totals too, with a warning, where some have. A DataError names the first frames without the
    current that the method "current" wants.
    """
    with np.errstate(invalid="ignore"):
        lacking = scan.valid & ~(scan.motors.ring_current_ma > 0)
    lacks, count = int(np.count_nonzero(lacking)), int(np.count_nonzero(scan.valid))
    if method not in ("auto", "current") or not lacks:
        return "current" if method == "auto" and count else method
    first = scan.source.name(int(scan.slots[lacking].min()))
    if method == "current":
        raise DataError(
            f"the ring current is not recorded for {lacks} of {count} frames (first {first}): "
            "expected a positive number for each; normalize by 'total', or 'auto'"
        )
    if lacks < count:
        warn(
            f"the ring current is not recorded for {lacks} of {count} frames (first {first}): all "
            "projections are normalised to equal totals instead"
        )
    return "total"


@dataclass
class Normalizer:
    """The factors of one projection after another; the first one sets the scale."""

    method: str = "auto"  # "current", "total", "auto" or "none", as in `Cleaning`
    # to which frames are brought: the mean of the first projection that has one
    reference_current_ma: float | None = None
    # counts to which projections are brought: of the first one with any signal
    reference_total: float | None = None
    # how many projections each way was used for
    used: Counter[str] = field(default_factory=Counter)
    # projections with frames of less than a tenth (or more than ten times) of the reference, which
    # were left unscaled
    unscaled: list[int] = field(default_factory=list)

    @property
    def scaled(self) -> bool:
        """Whether projections have set all references, so that the order no longer matters."""
        by_current = self.method in ("current", "auto")
        return self.reference_total is not None and not (
            by_current and self.reference_current_ma is None
        )

    def begun_again(self) -> Normalizer:
        """One with the same references that has seen no projection yet."""
        return Normalizer(self.method, self.reference_current_ma, self.reference_total)

    def take_over(self, k: int, other: Normalizer) -> None:
        """Take over what another one found in projection `k`."""
        self.reference_current_ma, self.reference_total = (
            other.reference_current_ma,
            other.reference_total,
        )
        self.used += other.used
        if other.unscaled:
            self.unscaled.append(k)

    def factors(
        self, totals: FloatArray, valid: NDArray[np.bool_], currents: FloatArray
    ) -> FloatArray:
        """Factors, (frames,), for the frames of the next projection; 1 for those not valid.

        `totals`: the sum of each frame's counts after the dark was subtracted and hot pixels
        replaced, negative noise included, so that it is the signal's alone. `currents`: ring
        current during each, mA; NaN where it is not known, which is a DataError for the method
        "current".
        """
        number = self.used.total()
        way = self._way(valid, currents)
        self.used[way] += 1
        factors = np.ones(totals.shape)
        if way == "current":
            if self.reference_current_ma is None:
                self.reference_current_ma = float(currents[valid].mean())
            factors[valid] = self.reference_current_ma / currents[valid]
        elif way == "total" and self.reference_total is not None:
            total = float(totals[valid].sum())
            factors[valid] = self.reference_total / total if total > 0 else np.inf
        odd = ~((factors <= LARGEST_FACTOR) & (factors >= 1 / LARGEST_FACTOR))
        factors[odd] = 1
        if odd.any():
            self.unscaled.append(number)
        scaled = float((factors * totals)[valid].sum())
        if self.reference_total is None and scaled > 0:
            self.reference_total = scaled
        return factors

    def _way(self, valid: NDArray[np.bool_], currents: FloatArray) -> str:
        """Which way a projection is normalised."""
        if not valid.any():
            return "none"
        if self.method in ("none", "total"):
            return self.method
        with np.errstate(invalid="ignore"):
            recorded = np.isfinite(currents) & (currents > 0)
        if recorded[valid].all():
            return "current"
        if self.method == "auto":
            return "total"
        raise DataError(
            f"the ring current is not recorded for {(valid & ~recorded).sum()} of "
            f"{valid.sum()} frames of a projection: expected a positive number for each; "
            "normalize by 'total', or 'auto'"
        )
