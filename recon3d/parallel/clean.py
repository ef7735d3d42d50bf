"""Cleaning in this process or on engines, by the same call."""

from __future__ import annotations

from contextlib import chdir, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from recon3d.arguments import checked
from recon3d.cleaning import pipeline
from recon3d.cleaning.pipeline import Sink
from recon3d.config.cleaning import Cleaning
from recon3d.errors import ParameterError
from recon3d.files.store import CleanedScan, open_store
from recon3d.runtime.communicator import Communicator
from recon3d.scan.scan import Scan

if TYPE_CHECKING:
    from ipyparallel import Client

    from recon3d.parallel.work import Publisher


@checked(out="the path of the file to write")
def clean(
    scan: Scan,
    cleaning: Cleaning,
    out: str | Path,
    *,
    client: Client | None = None,
    background: ArrayLike | None = None,
    flat_field: ArrayLike | None = None,
    bad_pixels: ArrayLike | None = None,
    provenance: dict[str, Any] | None = None,
    sink: Sink | None = None,
    skip_damaged: bool = False,
    show_progress: bool = True,
) -> CleanedScan:
    """Clean a scan and write it to a store.

    One projection is in memory at a time, while the next one is read.

    Parameters
    ----------
    scan
        The raw scan.
    cleaning
        The parameters of every step, in counts and pixels of the detector; where the scan is
        binned, those of `Cleaning.for_bins` follow from them.
    out
        The file to write, usually scan.h5; it appears when it is complete.
    client
        An ipyparallel `Client` of engines in one MPI world, which share the projections; None
        to work in this process. When an engine dies they are started again, and so is the cleaning.
    background
        Mean background frame, of a whole frame's shape or the region's; None for none.
    flat_field
        The detector's answer to even light, likewise.
    bad_pixels
        Not zero where the detector cannot be trusted, likewise.
    provenance
        What else is to be kept with the result, by name.
    sink
        Takes every projection, raw and cleaned, as it is done; in this process only.
    skip_damaged
        Leave out frames that cannot be read, with a warning that names them.
    show_progress
        False for no bar.

    Returns
    -------
    cleaned
        The opened store.

    Raises
    ------
    ParameterError
        A calibration frame has the wrong shape, `framebg` leaves nothing of the region, the
        engines cannot work together, or there are engines and a sink.
    DataError
        Frames cannot be read, the ring current was asked for and is not known, all frames
        are dark, or no projection has two frames.
    EngineFault
        Engines died, hung or failed twice.

    Warns
    -----
    Recon3DWarning
        Frames are left out or saturated, counts had wrapped around, projections went without
        a dark frame or with too little beam to be normalised, or their currents are not known.

    Examples
    --------
    >>> import recon3d as r3
    >>> scan = r3.open_scan("run1", prefix="topotomo_", show_progress=False)
    >>> cleaning = r3.Cleaning(framebg=3, binth=12)
    >>> cleaned = r3.clean(scan, cleaning, "cleaned.h5", show_progress=False)
    >>> cleaned.shape
    (12, 25, 32, 32)
    """
    options: dict[str, Any] = {
        "background": background,
        "flat_field": flat_field,
        "bad_pixels": bad_pixels,
        "provenance": provenance,
        "skip_damaged": skip_damaged,
        "show_progress": show_progress,
    }
    if client is None:
        return pipeline.clean(scan, cleaning, out, sink=sink, **options)
    if sink is not None:
        raise ParameterError("a sink takes projections in this process: leave out the client")
    return _on_engines(client, scan, cleaning, Path(out), options)


def _on_engines(
    client: Client, scan: Scan, cleaning: Cleaning, out: Path, options: dict[str, Any]
) -> CleanedScan:
    """Let engines clean; a fault costs what was done, once."""
    from recon3d.parallel.driver import EngineDisplay, run_to_the_end

    out = out.resolve()
    job = partial(
        clean_together, scan=scan, cleaning=cleaning, out=out, folder=Path.cwd(), options=options
    )
    first_file = Path(scan.source.name(0).split(", entry ")[0])
    run_to_the_end(
        client,
        job,
        lambda: EngineDisplay(options["show_progress"]),
        again=job,
        seen=[out.parent, first_file.resolve()],
        progress=lambda: (),
        kept="nothing is kept of a cleaning",
    )
    return open_store(out)


def clean_together(
    communicator: Communicator,
    publisher: Publisher,  # noqa: ARG001 (the bars are published by themselves)
    *,
    scan: Scan,
    cleaning: Cleaning,
    out: Path,
    folder: Path,
    options: dict[str, Any],
) -> None:
    """Clean a scan on every engine, as `cleaning.pipeline.clean` does; the first one writes it.

    `folder`: where the names of the scan's files count from.
    """
    # Where names are absolute the folder of the driver need not be there.
    with chdir(folder) if folder.is_dir() else nullcontext():
        pipeline.clean(scan, cleaning, out, communicator=communicator, **options)
