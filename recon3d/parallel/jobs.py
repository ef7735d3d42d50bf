"""Cleaning and reconstruction, in this process or on engines, by the same call."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import chdir, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from recon3d.arguments import checked
from recon3d.cleaning import pipeline
from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.config.settings_file import KEYS, OfFile
from recon3d.errors import ParameterError
from recon3d.files.grain import Grain
from recon3d.files.numpy_arrays import ArrayWriter
from recon3d.files.store import CleanedScan, open_store
from recon3d.reconstruction import run
from recon3d.reconstruction.fit.checkpoint import Checkpoints
from recon3d.reconstruction.task import Report
from recon3d.runtime.atomic import complete_or_absent, remove_leftovers
from recon3d.runtime.communicator import Communicator
from recon3d.scan.scan import Scan

if TYPE_CHECKING:
    from ipyparallel import Client

    from recon3d.parallel.work import Publisher

Watch = Callable[[list[dict[str, Any]]], None]


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
    sink: ArrayWriter | None = None,
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
        Writes every projection, raw and cleaned, as it is done, to NumPy files (an `ArrayWriter`);
        in this process only.
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
    return _clean_on_engines(client, scan, cleaning, Path(out), options)


def _clean_on_engines(
    client: Client, scan: Scan, cleaning: Cleaning, out: Path, options: dict[str, Any]
) -> CleanedScan:
    """Let engines clean; a fault costs what was done, once."""
    from recon3d.parallel.driver import EngineDisplay, run_to_the_end

    out = out.resolve()
    given = {"scan": scan, "cleaning": cleaning, "out": out, **options}
    job = partial(clean_together, folder=Path.cwd(), **given)
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
    folder: Path,
    **given: Any,
) -> None:
    """Clean a scan on every engine, as `cleaning.pipeline.clean` does; the first one writes it.

    `folder`: where the names of the scan's files count from. `given`: as of that function.
    """
    # Where names are absolute the folder of the driver need not be there.
    with chdir(folder) if folder.is_dir() else nullcontext():
        pipeline.clean(communicator=communicator, **given)


@checked(memory_gib=KEYS["memory_gib"].bounds)
def reconstruct(
    clean: CleanedScan | str | Path,
    experiment: Experiment,
    *,
    client: Client | None = None,
    memory_gib: float = OfFile.memory_gib,
    checkpoint: str | Path | None = None,
    resume: bool = False,
    show_progress: bool = True,
    report: Report | None = None,
    watch: Watch | None = None,
) -> Grain:
    """Reconstruct the grain: its shape, and the orientation of every voxel.

    Parameters
    ----------
    clean
        The cleaned scan, from `recon3d.clean` or `recon3d.open_store`, or its file.
    experiment
        Crystal, detector, volume and settings.
    client
        An ipyparallel `Client` of engines in one MPI world, which share the work; None to work
        in this process. When an engine dies or fails they are started again and go on from the
        checkpoint.
    memory_gib
        What the orientation distributions may take, on every engine. A backprojection of more
        is worked on in parts; an iterative fit of more is refused.
    checkpoint
        The file for the state of an iterative fit, saved every `checkpoint_seconds` of the
        settings and removed when the grain is complete. With None engines keep it beside the
        scan, and this process keeps none.
    resume
        Go on from the checkpoint that an unfinished run left, if there is one.
    show_progress
        False for a silent run.
    report
        Called after every pass of an iterative fit with the stage, the number of the pass, its
        residual and the occupancy so far, (nx, ny, nz).
    watch
        With a client, called a few times a second with what every engine said last: its `rank`,
        its `load` (0 to 1) and `used_gib`, the memory that it takes.

    Returns
    -------
    grain
        Occupancy, mask, orientation, spread and completeness of every voxel.

    Raises
    ------
    ParameterError
        The method is not made for the frame, or needs more memory than allowed; the engines
        cannot work together; or the checkpoint is of other settings.
    DataError
        No voxel of the volume is lit often enough, or no projection is left.
    EngineFault
        Engines died, hung or failed twice without any progress between; the checkpoint is kept.

    Examples
    --------
    >>> import recon3d as r3
    >>> experiment = r3.Experiment.from_ini("al.ini").with_settings(method="backprojection")
    >>> grain = r3.reconstruct("scan.h5", experiment, show_progress=False)
    >>> grain.mask.shape
    (12, 12, 12)
    """
    if isinstance(clean, (str, Path)):
        clean = open_store(clean)
    path = None if checkpoint is None else Path(checkpoint)
    seconds = experiment.settings.checkpoint_seconds
    if client is not None:
        path = path or clean.path.with_name("checkpoint.h5")
        kept = Checkpoints(path.resolve(), seconds, resume)
        tell = (show_progress, report, watch)
        return _reconstruct_on_engines(client, clean, experiment, memory_gib, kept, *tell)
    if resume and path is None:
        raise ParameterError("resume=True needs to know which checkpoint to go on from")
    kept_here = None if path is None else Checkpoints(path, seconds, resume)
    grain = run.reconstruct(
        clean,
        experiment,
        memory_gib=memory_gib,
        show_progress=show_progress,
        report=report,
        checkpoints=kept_here,
    )
    if kept_here is not None:
        kept_here.remove()
    return grain


def _reconstruct_on_engines(
    client: Client,
    clean: CleanedScan,
    experiment: Experiment,
    memory_gib: float,
    kept: Checkpoints,
    show_progress: bool,
    report: Report | None,
    watch: Watch | None,
) -> Grain:
    """Let engines reconstruct, again and again while one fails and they come farther each time."""
    from recon3d.parallel.driver import EngineDisplay, run_to_the_end

    store = clean.path.resolve()
    beside = store.with_name(f".{store.stem}.{os.getpid()}")
    grain, preview = (beside.with_name(f"{beside.name}.{name}") for name in ("grain.h5", "npy"))
    job = partial(
        reconstruct_together,
        store=store,
        experiment=experiment,
        memory_gib=memory_gib,
        out=grain,
        preview=None if report is None else preview,
    )
    try:
        run_to_the_end(
            client,
            partial(job, checkpoints=kept),
            lambda: EngineDisplay(show_progress, report, preview, watch),
            again=partial(job, checkpoints=replace(kept, go_on=True)),
            seen=[store],
            progress=kept.progress,
            kept=f"what was done is kept in {kept.path}: resume=True goes on from it",
        )
        found = Grain.load(grain)
    finally:
        for file in (grain, preview):
            file.unlink(missing_ok=True)
            remove_leftovers(file)
    kept.remove()
    return found


def reconstruct_together(
    communicator: Communicator,
    publisher: Publisher,
    *,
    store: Path,
    out: Path,
    preview: Path | None,
    **given: Any,
) -> None:
    """Reconstruct a grain on every engine, as `reconstruction.run` does; the first one writes it.

    `store`: the cleaned scan, which every engine sees. `preview`: where the grain so far is written
    after every pass; None for nowhere. `given`: the rest, as of that function.
    """
    passed: list[tuple[str, int, float]] = []

    def tell(stage: str, number: int, residual: float, grown: NDArray[np.float32] | None) -> None:
        if preview is not None and grown is not None:
            with complete_or_absent(preview) as temporary, temporary.open("wb") as file:
                np.save(file, grown)
        passed.append((stage, number, residual))
        publisher.publish(passed=passed)

    grain = run.reconstruct(open_store(store), report=tell, communicator=communicator, **given)
    if communicator.rank == 0:
        grain.save(out)
