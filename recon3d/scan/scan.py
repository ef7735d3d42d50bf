"""The frames of a scan, sorted but still on disk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recon3d.arguments import checked, wrong
from recon3d.config.getdata import GETDATA_KEYS
from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, ParameterError, warn
from recon3d.readers.open import open_source
from recon3d.readers.source import Binning, Damage, FrameSource, Roi, trouble_in
from recon3d.scan.coordinates import Choices
from recon3d.scan.doubled import Settled, settle_doubled
from recon3d.scan.grid import (
    best_grid,
    doubled_grid,
    explain_misfit,
    refuse_flat,
    refuse_narrow_rotation,
)
from recon3d.scan.table import ScanTable, in_words

FloatArray = NDArray[np.float64]
_PAIR = "two whole numbers, (x, y) in pixels"


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Scan(ScanTable):
    """Frames sorted into projections (one ω each) and settings, still on disk.

    ``len(scan)`` is the number of projections; ``scan[k]`` reads one, as a
    `recon3d.scan.table.Projection`.

    Parameters
    ----------
    source
        Where the frames are.
    left_out
        Names of frames that are damaged or doubled and were left out, each with the reason.
    masked
        Pixels that are read as 0, shape of a whole frame: those without a value; None for none.
    kind, axes, origin, omega_deg, slots, motors, roi, binning
        As in `recon3d.scan.table.ScanTable`.
    """

    source: FrameSource
    left_out: tuple[Damage, ...] = ()
    masked: NDArray[np.bool_] | None = None

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the pixels, or of the sums over bins."""
        return self.binning.dtype_of(self.source.dtype)

    @checked()
    def of_projections(self, chosen: Sequence[int] | NDArray[Any]) -> Scan:
        """The same scan with some of its projections: their numbers, or a flag for each.

        Raises a ParameterError where there are no such projections, or none is chosen.
        """
        flags = np.asarray(chosen)
        if flags.dtype == bool and flags.shape == (len(self),):
            numbers = np.flatnonzero(flags).tolist()
        else:
            numbers = [self.number(k) for k in flags.ravel().tolist()]
        if not numbers:
            raise wrong("chosen", chosen, "the numbers of one projection or more")
        return replace(
            self,
            omega_deg=self.omega_deg[numbers],
            slots=self.slots[numbers],
            motors=self.motors[numbers],
        )

    @checked(center=_PAIR, size=_PAIR)
    def crop(self, center: tuple[int, int], size: tuple[int, int]) -> Scan:
        """The same scan with a smaller ROI; nothing is read.

        Parameters
        ----------
        center, size
            (x, y) = (column, row) in pixels of the whole frame, also where the scan was
            cropped before. The ROI starts at center - size // 2.

        Raises
        ------
        ParameterError
            The ROI leaves the frame, or has no room for the bins.
        """
        return self.within(Roi.around(center, size))

    @checked()
    def within(self, roi: Roi) -> Scan:
        """The same scan with another ROI; as `crop`."""
        roi.require_inside(self.source.frame_shape)
        self.binning.require_room((roi.rows, roi.cols))
        return replace(self, roi=roi)

    @checked(rows=GETDATA_KEYS["binning"].bounds, cols=GETDATA_KEYS["binning"].bounds)
    def binned(self, rows: int, cols: int | None = None) -> Scan:
        """The same scan, its pixels summed in blocks while frames are read.

        The ROI stays in pixels of the detector, and so does everything that is said of the
        geometry. Rows and columns at its end that fill no block are dropped.

        Parameters
        ----------
        rows, cols
            Rows and columns of a block; one number for both; 1 for pixels as they are.

        Raises
        ------
        ParameterError
            They are no whole numbers of 1 or more, or too large for the ROI.
        """
        binning = Binning(rows, rows if cols is None else cols)
        binning.require_room((self.roi.rows, self.roi.cols))
        return replace(self, binning=binning)

    @checked()
    def masking(self, pixels: NDArray[np.bool_]) -> Scan:
        """The same scan with more pixels, (rows, cols) of the ROI, read as 0."""
        size = (self.roi.rows, self.roi.cols)
        if pixels.shape != size:
            raise ParameterError(f"pixels has the shape {pixels.shape}: expected {size}")
        if not pixels.any():
            return self
        whole = np.zeros(self.source.frame_shape, bool) if self.masked is None else self.masked
        masked = whole.copy()
        masked[self.roi.slices] |= pixels
        return replace(self, masked=masked)

    def read_projection(self, k: int) -> NDArray[Any]:
        """The frames of one projection, shape (frames, rows, cols), zeros where missing.

        Raises
        ------
        ParameterError
            There is no such projection.
        DataError
            A frame cannot be read whole.
        """
        k = self.number(k)
        frames = np.zeros(self.shape[1:], self.dtype)
        recorded = self.room_for_recorded()
        slots = self.slots[k]
        for frame in np.argsort(slots)[np.count_nonzero(slots < 0) :]:  # as they were taken
            self.read_into(int(slots[frame]), frames[frame], recorded)
        return frames

    @checked()
    def read_frame(self, slot: int) -> NDArray[Any]:
        """One frame, (rows, cols), by its index in the source, as `slots` has it.

        Raises a DataError where it cannot be read whole.
        """
        count = self.source.motors.omega_deg.size
        if not 0 <= slot < count:
            raise wrong("slot", slot, f"a frame of the source, from 0 to {count - 1}")
        frame = np.empty(self.shape[2:], self.dtype)
        self.read_into(slot, frame, self.room_for_recorded())
        return frame

    def room_for_recorded(self) -> NDArray[Any] | None:
        """An array for the pixels of one frame before they are binned; None where none are."""
        if self.binning.pixels == 1:
            return None
        return np.empty((self.roi.rows, self.roi.cols), self.source.dtype)

    def read_into(
        self, slot: int, frame: NDArray[Any], recorded: NDArray[Any] | None
    ) -> NDArray[Any]:
        """Write one frame of the source into an array, (rows, cols).

        `slot`: its index in the source. `recorded`: from `room_for_recorded`. Returns the pixels as
        they were recorded, masked ones 0, until the next frame is read.
        """
        pixels = frame if recorded is None else recorded
        self.source.read_into(slot, self.roi, pixels)
        if self.masked is not None:
            np.copyto(pixels, 0, where=self.masked[self.roi.slices])
        if recorded is not None:
            self.binning.sum_into(recorded, frame)
        return pixels

    def read_counts(
        self, slot: int, frame: NDArray[Any], recorded: NDArray[Any] | None
    ) -> NDArray[Any]:
        """The same; a DataError too where counts are not finite, or beyond all reason."""
        pixels = self.read_into(slot, frame, recorded)
        if trouble := trouble_in(pixels):
            raise DataError(f"{self.source.name(slot)} {trouble}")
        return pixels


@checked(
    path="a folder of EDF files or an HDF5 file",
    prefix="the beginning of the names of EDF files, or a detector",
    entries="a text such as '3.1,5-40'",
    step_deg="one number, or (mu, gamma)",
)
def open_scan(
    path: str | Path,
    prefix: str = "",
    *,
    goniometer: str | Goniometer = "auto",
    entries: str | None = None,
    phi0_deg: float | None = None,
    chi0_deg: float | None = None,
    tilt_azimuth_deg: Literal[0, 90] = 0,
    recorded_at: Literal["middle", "start"] = "middle",
    step_deg: float | tuple[float, float] | None = None,
    skip_damaged: bool = False,
    show_progress: bool = True,
) -> Scan:
    """Open a folder of EDF files, or a BLISS HDF5 file, as a scan.

    The motors are read now, the frames when they are asked for.

    Parameters
    ----------
    path
        The folder, or the file (by its content, or .h5, .hdf5 or .nxs).
    prefix
        How the names of the scan's EDF files begin; the name of the detector in an HDF5
        file, "" or "-" where it has frames of one only.
    goniometer
        Name of a beamline ("id06", "id03"), the names of the motors, or "auto" for the
        beamline whose motors the files have.
    entries
        Entries of an HDF5 file to use, such as "3.1,5-40"; None for all.
    phi0_deg, chi0_deg
        The readings of phi and chi at which the tilts are zero; None for the middle of
        their ranges.
    tilt_azimuth_deg
        0 or 90: turns (χ, φ), for scan macros that swap the two.
    recorded_at
        "middle", or "start" where motors were read at the start of the exposures of a
        continuous scan.
    step_deg
        About how far the positions of (mu, gamma) are apart, one number or two. It only
        helps to tell jitter from steps: the motors are the truth.
    skip_damaged
        Leave damaged files out, with a warning that lists them.
    show_progress
        Show a progress bar.

    Raises
    ------
    ParameterError
        An argument is impossible.
    DataError
        Files are missing, damaged or doubled.
    GridError
        The motors span no usable grid of settings.

    Warns
    -----
    Recon3DWarning
        Frames are missing.

    Examples
    --------
    >>> import recon3d as r3
    >>> scan = r3.open_scan("run1", prefix="topotomo_", show_progress=False)
    >>> len(scan), scan[0].frames.shape
    (12, (25, 32, 32))
    >>> scan.crop(center=(16, 16), size=(24, 20)).shape
    (12, 25, 20, 24)
    """
    choices = Choices(phi0_deg, chi0_deg, tilt_azimuth_deg, recorded_at, step_deg)
    how: dict[str, Any] = {"skip_damaged": skip_damaged, "show_progress": show_progress}
    source = open_source(path, prefix, goniometer, entries=entries, **how)
    try:
        scan = arrange_scan(source, choices, skip_doubled=skip_damaged)
    except DataError as error:
        if not source.advice:
            raise
        text = str(error)
        stop = "" if text.endswith((".", "?", "!")) else "."
        raise type(error)(f"{text}{stop} {source.advice}") from error
    if goniometer == "auto":
        refuse_narrow_rotation(scan.omega_deg, scan.axes, source.goniometer)
    return replace(scan, left_out=(*source.left_out, *scan.left_out))


def arrange_scan(source: FrameSource, choices: Choices, *, skip_doubled: bool = False) -> Scan:
    """Sort the frames of any source into projections and settings, with the errors of `open_scan`.

    `skip_doubled`: of frames at one setting use the best and leave the others out, with a warning.
    """
    coordinates = choices.coordinates(source)
    grid, settled = best_grid(coordinates), Settled(np.arange(source.motors.shape[0]))
    if grid is None:
        shared = doubled_grid(coordinates)
        settled = settle_doubled(shared, source)
        refusal = settled.refusal
        if skip_doubled and settled.are_copies:
            coordinates, refusal = choices.coordinates(source, settled.kept), ""
            grid = best_grid(coordinates)
        if grid is None:
            raise explain_misfit(coordinates, source.goniometer, refusal)
        warn(settled.warning)
    refuse_flat(coordinates, grid, source.goniometer)
    slots = grid.slots()
    scan = Scan(
        source=source,
        kind=grid.kind.name,
        axes=grid.axes,
        origin=grid.origin(coordinates),
        omega_deg=grid.omega.centres,
        slots=np.where(slots >= 0, settled.kept[slots], -1),
        motors=coordinates.motors.at(slots),
        roi=Roi(0, 0, *source.frame_shape),
        left_out=settled.left_out,
    )
    _warn_of_missing(scan)
    return scan


def _warn_of_missing(scan: Scan) -> None:
    gaps = np.argwhere(scan.slots < 0)
    if not gaps.size:
        return
    named = [in_words(scan.omega_deg[k], scan.axes, frame) for k, frame in gaps[:3]]
    more = "; ..." if len(gaps) > len(named) else ""
    warn(f"{len(gaps)} of {scan.slots.size} frames are missing: {'; '.join(named)}{more}")


def compare_steps(
    scan: Scan, steps_deg: tuple[float, float] | None, numbers: tuple[int, int] | None
) -> None:
    """Warn where the user's steps are not those of the motors, which are the truth.

    `steps_deg` and `numbers`: size and number of the steps of the two tilts, where they are given.
    A warning also tells of uneven steps, or of a single projection.
    """
    unknown = None, None
    tilts = [axis for axis in scan.axes if axis.name not in ("two_theta", "energy")]
    for axis, step, number in zip(tilts, steps_deg or unknown, numbers or unknown, strict=False):
        values = axis.values_deg
        if number is not None and number != values.size:
            warn(
                f"NUMANGSTEPS is {number:g}, but the motors took {values.size} settings of "
                f"{axis.name}: the motors are used"
            )
        if step is None or values.size < 2:
            continue
        measured = (values[-1] - values[0]) / (values.size - 1)
        if abs(abs(step) - measured) > 0.1 * measured:
            warn(
                f"ANGSTEPS is {step:g}°, but the motors moved {axis.name} in steps of "
                f"{measured:.4g}°: the motors are used"
            )
    for axis in scan.axes:
        _warn_of_uneven_steps(axis.name, axis.values_deg)
    _warn_of_uneven_steps("omega", scan.omega_deg)
    if scan.omega_deg.size == 1:
        warn("the scan has one projection only: it can be cleaned, but not reconstructed")


def require_rocking(scan: Scan) -> None:
    """Refuse a scan in which no projection has a second frame with a DataError."""
    if np.count_nonzero(scan.valid, axis=1).max(initial=0) < 2:
        first = scan.source.name(int(scan.slots[scan.valid].min(initial=0)))
        raise DataError(
            f"no projection has more than one frame ({scan.shape[0]} projections, from {first}): "
            "nothing rocked, so no orientation can be found. Are all frames there, and the motors "
            "named rightly?"
        )


def _warn_of_uneven_steps(name: str, values: NDArray[np.float64]) -> None:
    steps = np.diff(values)
    if steps.size > 1 and steps.max() > 1.5 * steps.min():
        warn(
            f"the steps of {name} are uneven, {steps.min():.4g} to {steps.max():.4g}: every frame "
            "is used at the setting that its motors read"
        )
