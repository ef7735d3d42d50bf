"""Figures and viewers, shown from a notebook."""

from __future__ import annotations

import html
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from recon3d.arguments import checked
from recon3d.errors import Recon3DError
from recon3d.files.grain import Grain


def is_served() -> bool:
    """Whether voila runs this process: a page that is opened shows, and changes nothing."""
    return os.environ.get("SERVER_SOFTWARE", "").startswith("voila")


@checked(dpi="> 0")
def show(figure: Figure, dpi: int = 180) -> None:
    """Show a figure below a cell, without pyplot.

    Parameters
    ----------
    figure
        Any figure of `recon3d.plot`.
    dpi
        Pixels an inch; a page that is narrower than the figure shrinks it.
    """
    from IPython.display import Image, display

    display(Image(data=png_of(figure, dpi), format="png"))


def png_of(figure: Figure, dpi: int = 180) -> bytes:
    """A figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dpi)
    return buffer.getvalue()


@checked()
def show_table(rows: NDArray[np.void], *columns: str) -> None:
    """Show records as a table below a cell.

    Parameters
    ----------
    rows
        A structured array, such as `Cells.boundaries`.
    columns
        Which of its columns; all where none is named.
    """
    from IPython.display import HTML, display

    names = columns or rows.dtype.names or ()
    form = {name: "d" if rows.dtype[name].kind in "iu" else ".4g" for name in names}
    lines = [[f"{row[name]:{form[name]}}" for name in names] for row in rows]
    body = "".join("<tr>" + "".join(f"<td>{one}</td>" for one in line) + "</tr>" for line in lines)
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    display(HTML(f"<table><tr>{head}</tr>{body}</table>"))


@contextmanager
def or_told() -> Iterator[None]:
    """Print an error of ours instead of raising it, so that the cells below run all the same."""
    try:
        yield
    except Recon3DError as error:
        print(error)


@checked()
def open_viewer(grain: Grain) -> str:
    """Open a grain in napari, where there is a display and napari is installed.

    Parameters
    ----------
    grain
        The grain.

    Returns
    -------
    told
        That it is open; or why it cannot be, and what to do instead.
    """
    view = getattr(import_module("recon3d"), "view", None)
    has_display = sys.platform != "linux" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    if view is None or not has_display or is_served():
        reason = "this machine has no display" if not has_display else "there is no viewer here"
        return f"{reason}: take grain.h5 to a machine that has one"
    view(grain)
    return "the grain is open in napari"
