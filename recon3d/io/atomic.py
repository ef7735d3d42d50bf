"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from recon3d.errors import ParameterError


@contextmanager
def complete_or_absent(path: str | Path) -> Iterator[Path]:
    """Lend a temporary name beside `path`, and rename it to `path` on a clean exit.

    After an error the temporary file is removed, and an older file under the final name
    is left as it was.

    Parameters
    ----------
    path
        The final name.

    Yields
    ------
    temporary
        Where to write: in the same folder, with the same suffix.

    Raises
    ------
    ParameterError
        The folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"{path}: cannot be written, there is no folder {path.parent}")
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
