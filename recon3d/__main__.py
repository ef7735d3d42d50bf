"""The program `recon3d`, also as ``python -m recon3d``."""

from __future__ import annotations

from recon3d.parallel.thread_policy import let_waiting_threads_sleep


def main() -> int:
    """Say how threads wait, before anything loads NumPy, and run the command line."""
    let_waiting_threads_sleep()
    from recon3d.cli import main as cli

    return cli.main()


if __name__ == "__main__":
    raise SystemExit(main())
