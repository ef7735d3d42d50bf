"""One command run by one process, or by all that an MPI launcher started."""

from __future__ import annotations

import argparse

from recon3d.outcome import run_command
from recon3d.parallel.launch import end_all, let_first_speak, silence, world
from recon3d.team import ALONE


def run_together(arguments: argparse.Namespace, *, shared: bool) -> int:
    """Run a command, and tell in a line what goes wrong.

    When one process of many cannot go on it ends all of them: the others would wait for ever.

    Parameters
    ----------
    arguments
        What the command is given, `run` the command itself; it finds its team in
        `arguments.team`.
    shared
        Whether processes share its work; else the first one does it alone.

    Returns
    -------
    status
        0 when all went well; otherwise as `recon3d.outcome.run_command`.
    """
    arguments.team = ALONE

    def work() -> None:
        arguments.team = world()
        silence(arguments.team)
        if arguments.team.rank == 0 or shared:
            arguments.run(arguments)

    status = run_command(
        arguments.command, work, before_telling=lambda: let_first_speak(arguments.team)
    )
    if status:
        end_all(arguments.team, status)
    return status
