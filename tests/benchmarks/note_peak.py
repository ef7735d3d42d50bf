"""Run a script, or a module after `-m`, and note its peak resident memory in KiB in a file.

The kernel's own figure for a child counts what its parent held when it was forked.
"""

import runpy
import sys
from pathlib import Path


def peak_kib() -> int:
    """Largest resident memory of this process so far."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


noted, *arguments = sys.argv[1:]
try:
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).parent))
        runpy.run_path(arguments[0], run_name="__main__")
finally:
    Path(noted).write_text(str(peak_kib()))
