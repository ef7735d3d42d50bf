"""A command that ends when the process that started it ends, even if that is killed.

    python -m recon3d.parallel.guard PID COMMAND...

The command takes this process; another one watches, and ends the command and all that it started
once the process PID is gone.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

POLL_S = 1.0
"""How often to look whether a process has ended."""

GRACE_S = 5.0
"""How long a command may take to end when it is asked to."""


def guarded(command: Sequence[str]) -> list[str]:
    """A command that ends when this process does."""
    return [sys.executable, "-m", "recon3d.parallel.guard", str(os.getpid()), *command]


def main(words: Sequence[str]) -> None:
    """Start a watcher, and become the command."""
    owner, command = int(words[0]), list(words[1:])
    guarded_process = os.getpid()
    if (child := os.fork()) == 0:
        # The watcher is nobody's child, so that no launcher waits for it or signals it.
        os.setsid()
        if os.fork() == 0:
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            watch(owner, guarded_process)
        os._exit(0)
    os.waitpid(child, 0)
    os.execvp(command[0], command)


def watch(owner: int, command: int) -> None:
    """Wait until one of two processes ends; if it is the owner, end the command too."""
    import psutil

    try:
        process = psutil.Process(command)  # which knows a new process of the same number
        while _runs(owner) and _runs(command):
            time.sleep(POLL_S)
        family = [process, *process.children(recursive=True)]
        process.terminate()
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs(family, timeout=GRACE_S)
    for one in family:
        if one.is_running():
            one.kill()


def _runs(number: int) -> bool:
    """Whether a process has not ended, even where nobody has asked yet how it ended."""
    import psutil

    try:
        return bool(psutil.Process(number).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


if __name__ == "__main__":
    main(sys.argv[1:])
