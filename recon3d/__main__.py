"""The program `recon3d`, also as ``python -m recon3d``."""

from __future__ import annotations

from recon3d.errors import ParameterError
from recon3d.parallel.thread_policy import let_idle_threads_sleep, thread_count


def main() -> int:
    """Settle the threads, before anything loads NumPy or numba, and run the command line."""
    let_idle_threads_sleep()
    try:
        thread_count()
    except ParameterError as error:
        raise SystemExit(f"recon3d: error: {error}") from None
    from recon3d.cli import main as cli

    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
