"""Jobs of engines that are started again."""

from contextlib import nullcontext
from functools import partial

from recon3d.parallel import driver


def quiet():
    return nullcontext(lambda _news: None)


def run(client, work, job=None, *, again=None, watcher=quiet, progress=lambda: ()):
    """Let engines do a job of which nothing is kept."""
    driver.run_to_the_end(
        client,
        partial(work, job=job),
        watcher,
        again=partial(work, job=again),
        seen=(),
        progress=progress,
        kept="nothing is kept",
    )
