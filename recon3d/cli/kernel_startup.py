"""What kernels of `recon3d notebooks --open` run first: a cell run before those above it says so.

Nothing of the package can say it, as the cell that imports it has not run then.
"""

from typing import Any


def _tell_what_is_missing(
    shell: Any, kind: type, error: NameError, traceback: Any, tb_offset: int | None = None
) -> None:
    """Tell of a name that a cell itself does not know; other errors are shown as usual."""
    import sys  # here, as the names of this file are those of the notebook

    in_cell = traceback.tb_next  # below IPython's own frame
    if in_cell is None or in_cell.tb_next is not None:
        shell.showtraceback((kind, error, traceback), tb_offset=tb_offset)
        return
    print(
        f"line {in_cell.tb_lineno}: there is no '{error.name}' yet. Where a cell above makes it, "
        "run that first (in the menu: Run, Run All Above Selected Cell); else it is misspelt.",
        file=sys.stderr,
    )


if "get_ipython" in globals():  # a kernel, and not Python in a terminal of JupyterLab
    globals()["get_ipython"]().set_custom_exc((NameError,), _tell_what_is_missing)
del Any
