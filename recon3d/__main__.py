"""The program `recon3d`, also as ``python -m recon3d``."""

from __future__ import annotations

import signal
import sys

from recon3d.errors import ParameterError
from recon3d.parallel.thread_policy import let_idle_threads_sleep, thread_count


def main() -> int:
    """Settle the threads, before anything loads NumPy or numba, and run the command line."""
    let_idle_threads_sleep()
    try:
        thread_count()
    except ParameterError as error:
        raise SystemExit(f"recon3d: error: {error}") from None
    try:
        from recon3d.cli import main as cli

        return cli.main()
    except KeyboardInterrupt:  # it was still loading
        print("recon3d: interrupted", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # while Python ends nothing is left to stop


if __name__ == "__main__":
    raise SystemExit(main())
