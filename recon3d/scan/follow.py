"""A scan that is still being written: polled, with each header read only once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.readers.bliss.entries import is_hdf5, scan_file
from recon3d.readers.bliss.file import BlissFile
from recon3d.readers.edf.folder import EdfFile, EdfFolder, MotorReader, list_edf
from recon3d.readers.edf.image import HeadReader
from recon3d.readers.open import open_source
from recon3d.scan.coordinates import Choices
from recon3d.scan.scan import Scan, arrange_scan


@dataclass
class GrowingFolder:
    """A folder of EDF files to which files are added; `goniometer`: None where files tell it."""

    folder: Path
    prefix: str
    goniometer: Goniometer | None = None
    _known: dict[str, EdfFile] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._heads, self._motors = HeadReader(), MotorReader(self.goniometer)

    def look(self) -> EdfFolder | None:
        """Read the headers of new files; None where there are none."""
        try:
            names = list_edf(self.folder, self.prefix)
        except DataError:
            return None
        before = len(self._known)
        for name in (name for name in names if name not in self._known):
            with suppress(DataError):  # it is not whole yet, or damaged: it is tried again
                head = self._heads.read(self.folder / name)
                taken = self._motors.read(head.text)
                self._known[name] = EdfFile(name, replace(head, text={}), taken)
        if len(self._known) == before:
            return None
        files = [self._known[name] for name in names if name in self._known]
        first = files[0].head
        alike = [f for f in files if (f.head.shape, f.head.dtype) == (first.shape, first.dtype)]
        return EdfFolder.of(self.folder, alike, self._motors.goniometer)


@dataclass
class GrowingFile:
    """A BLISS file that is still being written; it is opened anew when it has grown."""

    path: Path
    detector: str
    goniometer: str | Goniometer = "auto"
    entries: str | None = None
    _seen: tuple[int, int] = (-1, -1)

    def look(self) -> EdfFolder | BlissFile | None:
        """Open the file, where it changed; None where it did not, or is not readable yet."""
        try:
            state = self.path.stat()
            if (state.st_size, state.st_mtime_ns) == self._seen:
                return None
            source = open_source(
                self.path,
                self.detector,
                self.goniometer,
                entries=self.entries,
                skip_damaged=True,
                show_progress=False,
            )
        except (DataError, OSError):
            return None
        self.goniometer = source.goniometer
        self._seen = (state.st_size, state.st_mtime_ns)
        return source


class Follower:
    """Follows a scan while it is written; takes the arguments of `recon3d.open_scan`.

    `interval_s`: seconds between two looks. The middle of the ranges of phi and chi moves while a
    scan grows: give `phi0_deg` and `chi0_deg` where they are known.
    """

    def __init__(
        self,
        path: str | Path,
        prefix: str = "",
        *,
        goniometer: str | Goniometer = "auto",
        entries: str | None = None,
        interval_s: float = 2.0,
        **choices: Any,
    ) -> None:
        if not interval_s > 0:
            raise ParameterError(f"interval_s is {interval_s:g}: expected seconds above 0")
        choices.pop("skip_damaged", None)
        self._choices = Choices(**choices)
        self.interval_s = interval_s
        self.scan: Scan | None = None
        self.reason = "nothing was looked at yet"
        self._stop = threading.Event()
        path = Path(path)
        if path.is_dir():
            path = scan_file(path, prefix) or path
        if is_hdf5(path):
            self._growing: GrowingFile | GrowingFolder = GrowingFile(
                path, prefix, goniometer, entries
            )
        else:
            names = GONIOMETERS.get(goniometer) if isinstance(goniometer, str) else goniometer
            self._growing = GrowingFolder(path, prefix, names)

    def poll(self) -> Scan | None:
        """Look once: all complete projections, where there are more than at the last look.

        Else None, and `reason` says why.
        """
        source = self._growing.look()
        if source is None:
            self.reason = "no new frames"
            return None
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Recon3DWarning)
                found = complete_part(arrange_scan(source, self._choices))
        except DataError as error:
            self.reason = f"the frames so far are no scan yet: {error}"
            return None
        if found is None or (self.scan is not None and found.shape == self.scan.shape):
            self.reason = "no new complete projection"
            return None
        self.scan = found
        return found

    def watch(self) -> Iterator[Scan | None]:
        """Look again and again, until `stop`."""
        self._stop.clear()
        while not self._stop.is_set():
            yield self.poll()
            self._stop.wait(self.interval_s)

    def stop(self) -> None:
        """Look no more."""
        self._stop.set()


def complete_part(scan: Scan) -> Scan | None:
    """The projections of a growing scan that are complete; None where there is none.

    Before the second one begins its grid is not known. The one with the newest frame may lack some
    yet; what an older one lacks will not come any more.
    """
    if scan.shape[0] < 2:
        return None
    newest = int(np.argmax(scan.slots.max(axis=1)))
    keep = np.ones(scan.shape[0], bool)
    keep[newest] = bool(scan.valid[newest].all())
    return scan.of_projections(keep)
