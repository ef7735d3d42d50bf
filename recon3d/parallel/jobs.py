"""The jobs that engines do together, and what each is given."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import chdir, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recon3d.config.cleaning import Cleaning
from recon3d.config.experiment import Experiment
from recon3d.scan.scan import Scan

if TYPE_CHECKING:
    from recon3d.parallel.mpi import MpiCommunicator
    from recon3d.parallel.work import Publisher


@dataclass(frozen=True)
class Reconstruction:
    """A reconstruction that engines are to make.

    Parameters
    ----------
    store
        The cleaned scan, which every engine sees.
    experiment
        Crystal, detector, volume and settings.
    memory_gib
        What the distributions may take on every engine.
    grain
        Where the first engine writes the grain.
    checkpoint, seconds, resume
        Where the state is saved, how often, and whether to go on from it.
    preview
        Where the first engine writes the occupancy after every pass; None for nowhere.
    """

    store: Path
    experiment: Experiment
    memory_gib: float
    grain: Path
    checkpoint: Path
    seconds: float
    resume: bool
    preview: Path | None


def reconstruct_together(
    job: Reconstruction, communicator: MpiCommunicator, publisher: Publisher
) -> None:
    """Reconstruct a grain; the first engine writes it."""
    from recon3d.files.store import open_store
    from recon3d.reconstruction.fit.checkpoint import Checkpoints
    from recon3d.reconstruction.run import reconstruct

    passed: list[tuple[str, int, float]] = []

    def report(
        stage: str, number: int, residual: float, occupancy: NDArray[np.float32] | None
    ) -> None:
        if job.preview is not None and occupancy is not None:
            _save(job.preview, occupancy)
        passed.append((stage, number, residual))
        publisher.publish(passed=passed)

    grain = reconstruct(
        open_store(job.store),
        job.experiment,
        memory_gib=job.memory_gib,
        report=report,
        checkpoints=Checkpoints(job.checkpoint, job.seconds, job.resume),
        communicator=communicator,
    )
    if communicator.rank == 0:
        grain.save(job.grain)


def _save(path: Path, array: NDArray[Any]) -> None:
    from recon3d.atomic import complete_or_absent

    with complete_or_absent(path) as temporary:
        np.save(temporary, array)


@dataclass(frozen=True)
class CleaningJob:
    """A scan that engines are to clean.

    Parameters
    ----------
    scan
        The raw scan, which every engine sees.
    cleaning
        The parameters of every step.
    out
        The file that the first engine writes.
    folder
        Where the names of the scan's files count from.
    options
        Further keyword arguments of `recon3d.cleaning.pipeline.clean`.
    """

    scan: Scan
    cleaning: Cleaning
    out: Path
    folder: Path
    options: Mapping[str, Any]


def clean_together(job: CleaningJob, communicator: MpiCommunicator, publisher: Publisher) -> None:  # noqa: ARG001
    """Clean a scan; the first engine writes it."""
    from recon3d.cleaning.pipeline import clean

    # Where names are absolute the folder of the driver need not be there.
    with chdir(job.folder) if job.folder.is_dir() else nullcontext():
        clean(job.scan, job.cleaning, job.out, communicator=communicator, **job.options)
