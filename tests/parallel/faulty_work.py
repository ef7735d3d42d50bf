"""Jobs that go wrong; engines import this module too."""

from __future__ import annotations

import time

from recon3d.errors import DataError


def fails_on_all(_communicator, _publisher, job):  # noqa: ARG001 (as the others have it)
    raise DataError("the same everywhere")


def fails_on_one(communicator, _publisher, job):
    """Raise the job, if there is one, while others wait."""
    if communicator.rank == 1 and job is not None:
        raise job
    communicator.collect([1])


def hangs(communicator, _publisher, job):
    """Sleep for a while, while others wait."""
    if communicator.rank == 1:
        time.sleep(job)
    communicator.collect([1])
