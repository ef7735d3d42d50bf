"""One command run by one process, or by all that an MPI launcher started."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable

from recon3d.errors import Recon3DError
from recon3d.parallel.launch import end_all, let_first_speak, silence, world
from recon3d.team import ALONE


def run_command(
    run: Callable[[argparse.Namespace], None], arguments: argparse.Namespace, *, shared: bool
) -> int:
    """Run a command, and tell in a line what goes wrong.

    When one process of many cannot go on it ends all of them: the others would wait for ever.

    Parameters
    ----------
    run
        The command; it finds its team in `arguments.team`.
    arguments
        What it is given.
    shared
        Whether processes share its work; else the first one does it alone.

    Returns
    -------
    status
        0 when all went well, 1 after an error, 130 when interrupted.
    """
    team = ALONE
    try:
        team = arguments.team = world()
        silence(team)
        if team.rank == 0 or shared:
            run(arguments)
    except (Exception, KeyboardInterrupt) as error:
        let_first_speak(team)
        status = _tell(error, arguments.command)
        end_all(team, status)
        return status
    return 0


def _tell(error: BaseException, command: str) -> int:
    """Say what went wrong, and return the status to end with."""
    if isinstance(error, KeyboardInterrupt):
        print(f"recon3d {command}: interrupted", file=sys.stderr)
        return 130
    if isinstance(error, (Recon3DError, OSError, MemoryError)):
        reason = error if str(error) else "not enough memory"
        print(f"recon3d {command}: error: {reason}", file=sys.stderr)
    else:
        traceback.print_exception(error)
    return 1
