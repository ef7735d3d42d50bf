"""A scan that is still being written: polled, with each header read only once."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from recon3d.config.goniometer import Goniometer
from recon3d.errors import DataError, ParameterError, Recon3DWarning
from recon3d.readers.bliss.entries import is_hdf5, scan_file
from recon3d.readers.bliss.file import BlissFile
from recon3d.readers.edf.folder import EdfFile, EdfFolder
from recon3d.readers.open import open_source
from recon3d.scan.coordinates import Choices
from recon3d.scan.scan import Scan, arrange_scan


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
        self._path = (scan_file(path, prefix) or path) if path.is_dir() else path
        self._prefix, self._goniometer, self._entries = prefix, goniometer, entries
        self._known: dict[str, EdfFile] = {}
        self._seen = (0, 0, 0)

    def poll(self) -> Scan | None:
        """Look once: all complete projections, where there are more than at the last look.

        Else None, and `reason` says why.
        """
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", Recon3DWarning)
                source = self._new_frames()
                if source is None:
                    self.reason = "no new frames"
                    return None
                found = complete_part(arrange_scan(source, self._choices))
        except (DataError, OSError) as error:
            self.reason = f"the frames so far are no scan yet: {error}"
            return None
        if found is None or (self.scan is not None and found.shape == self.scan.shape):
            self.reason = "no new complete projection"
            return None
        self.scan = found
        return found

    def _new_frames(self) -> EdfFolder | BlissFile | None:
        """All frames by now; None where there are no more than at the last look.

        Of a folder only the headers of new files are read; an HDF5 file is opened anew when it
        changed.
        """
        state = self._path.stat()
        file = (state.st_size, state.st_mtime_ns) if is_hdf5(self._path) else (0, 0)
        if any(file) and (len(self._known), *file) == self._seen:
            return None
        source = open_source(
            self._path,
            self._prefix,
            self._goniometer,
            entries=self._entries,
            skip_damaged=True,
            show_progress=False,
            known=self._known,
        )
        self._goniometer = source.goniometer
        seen, self._seen = self._seen, (len(self._known), *file)
        return None if seen == self._seen else source

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
