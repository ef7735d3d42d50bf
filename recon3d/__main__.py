"""Run the command line as ``python -m recon3d``."""

from __future__ import annotations

from recon3d.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
