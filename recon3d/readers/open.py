"""Any source of frames, opened by what its path holds: EDF files or an HDF5 file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from numpy import float64
from numpy.typing import NDArray

from recon3d.config.goniometer import GONIOMETERS, Goniometer
from recon3d.errors import DataError, GridError, ParameterError, warn
from recon3d.readers.beamline import edf_goniometer
from recon3d.readers.bliss.file import BlissFile, mean_bliss_frame
from recon3d.readers.bliss.locate import scan_file
from recon3d.readers.bliss.odd import odd_entry
from recon3d.readers.edf.files import list_edf
from recon3d.readers.edf.folder import EdfFolder, mean_frame
from recon3d.readers.edf.header import HeadReader
from recon3d.readers.source import FrameSource

_NAMED = 3


def open_source(
    path: str | Path,
    prefix: str,
    goniometer: str | Goniometer,
    *,
    entries: str | None = None,
    skip_damaged: bool = False,
    show_progress: bool = True,
) -> tuple[EdfFolder | BlissFile, Goniometer]:
    """Open a folder of EDF files, or a BLISS file.

    Parameters
    ----------
    path, prefix, goniometer, entries, skip_damaged, show_progress
        As `recon3d.scan.scan.open_scan`.

    Returns
    -------
    source
        The frames.
    goniometer
        The names of their motors.

    Raises
    ------
    ParameterError
        There is no such goniometer or entry.
    DataError
        Files are missing or damaged.
    """
    names = _goniometer(goniometer)
    options = {"skip_damaged": skip_damaged, "show_progress": show_progress}
    file = scan_file(path, prefix)
    if file is not None:
        if file != Path(path):
            warn(f"{path} holds no frames itself: the scan in {file} is read")
        bliss = BlissFile.open(file, prefix, names, entries=entries, **options)
        return bliss, bliss.goniometer
    if entries is not None:
        raise ParameterError(f"entries is '{entries}', but {path} is no HDF5 file: it has none")
    names = names or edf_goniometer(path, prefix)
    return EdfFolder.open(path, prefix, names, **options), names


def look_at_frame_shape(path: str | Path, prefix: str) -> tuple[int, int] | None:
    """Rows and columns of the frames, from a few EDF headers; None where that takes longer.

    It only serves to find mistakes before all headers are read.

    Parameters
    ----------
    path, prefix
        As in `open_source`.

    Raises
    ------
    DataError
        There are no such files.
    """
    if scan_file(path, prefix) is not None:
        return None
    names = list_edf(path, prefix)
    shapes = set()
    for name in {names[0], names[len(names) // 2], names[-1]}:
        with suppress(DataError):  # damaged files are told, all at once, when all are read
            shapes.add(HeadReader().read(Path(path) / name).shape)
    return shapes.pop() if len(shapes) == 1 else None


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
        raise type(error)(
            f"{error} Should one of the {len(source.records)} entries{listed} be left out? Choose, "
            "as in --entries 3.1,5-40"
        ) from error


def mean_background(
    path: str | Path, name: str = "", *, show_progress: bool = False
) -> NDArray[float64]:
    """Mean of all background frames in a folder of EDF files, or in a BLISS file.

    Parameters
    ----------
    path
        The folder, or the file.
    name
        How the names of the EDF files begin, or the name of the detector; "-" or "" for any.
    show_progress
        Show a progress bar.

    Returns
    -------
    mean, shape (rows, cols)

    Raises
    ------
    DataError
        There are no such frames, or some are damaged.
    """
    name = "" if name == "-" else name
    file = scan_file(path, name)
    if file is not None:
        return mean_bliss_frame(file, name, show_progress=show_progress)
    return mean_frame(path, name, show_progress=show_progress)


def _goniometer(goniometer: str | Goniometer) -> Goniometer | None:
    """The names of the motors; None where the files are to tell them."""
    if isinstance(goniometer, Goniometer):
        return goniometer
    if goniometer == "auto":
        return None
    if goniometer not in GONIOMETERS:
        raise ParameterError(
            f"goniometer is '{goniometer}': expected {' or '.join(GONIOMETERS)}, auto, or a "
            "Goniometer with the names of the motors"
        )
    return GONIOMETERS[goniometer]
