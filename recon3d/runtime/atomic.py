"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import errno
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from recon3d.errors import OutputError, ParameterError

_WRITING = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "you may not write there",
    errno.EPERM: "what is there is another user's, or may not be changed",
    errno.EFBIG: "the file would be larger than is allowed",
    errno.EIO: "the disk reports an error",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ENOTDIR: "a part of the path is a file, not a folder",
    errno.EEXIST: "there is a file of that name",
    errno.EISDIR: "there is a folder of that name",
    errno.ENOENT: "a folder above it does not exist and cannot be made",
}
_ERRNO = re.compile(r"errno = (\d+)")
_UNWRITTEN = re.compile(r"\d+ requested and \d+ written")


@contextmanager
def complete_or_absent(path: str | Path, *, tidy: bool = True) -> Iterator[Path]:
    """Lend a temporary name beside `path`, of the same suffix, renamed to `path` on a clean exit.

    After an error it is removed, and an older file is left as it was. What a killed process leaves
    is removed when the file is written again; `tidy`: False where one of thousands in a folder is.
    A ParameterError or OutputError says why it cannot be written.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise ParameterError(f"{path}: cannot be written, there is no folder {path.parent}")
    if tidy:
        remove_leftovers(path)
    temporary = path.with_name(f".{path.stem}.{_host()}.{_writer()}.part{path.suffix}")
    with explaining_writes(path):
        try:
            yield temporary
            temporary.replace(path)
        finally:
            with suppress(OSError):  # what went wrong before is what is to be told
                temporary.unlink(missing_ok=True)


@contextmanager
def explaining_writes(path: str | Path) -> Iterator[None]:
    """Turn an error of the operating system on writing into an OutputError that names `path`."""
    try:
        yield
    except OSError as error:
        # h5py tells the number of an error in its text alone, and NumPy not at all.
        text, number = str(error), error.errno
        if found := _ERRNO.search(text):
            number = int(found[1])
        elif _UNWRITTEN.search(text):
            number = errno.ENOSPC
        if number not in _WRITING:
            raise
        raise OutputError(f"{path} cannot be written: {_WRITING[number]}") from error


def require_writable(folder: str | Path, *names: str) -> None:
    """Refuse a folder for results, or files in it, that cannot be made, before anything is read."""
    folder = Path(folder)
    with explaining_writes(folder):
        there = folder
        while not there.exists() and there != there.parent:
            there = there.parent
        if not there.is_dir():
            number = errno.EEXIST if there == folder else errno.ENOTDIR
            raise OSError(number, os.strerror(number))
        if not os.access(there, os.W_OK | os.X_OK):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    for path in (folder / name for name in names if (folder / name).exists()):
        with explaining_writes(path):
            if path.is_dir():
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
            sticky = folder.stat().st_mode & stat.S_ISVTX
            if sticky and os.geteuid() not in (0, path.lstat().st_uid, folder.stat().st_uid):
                raise OSError(errno.EPERM, os.strerror(errno.EPERM))


def make_folder(folder: str | Path) -> Path:
    """Make a folder for results, with those above it; an OutputError where that cannot be."""
    folder = Path(folder)
    with explaining_writes(folder):
        folder.mkdir(parents=True, exist_ok=True)
        trial = folder / f".trial.{_host()}.{os.getpid()}"
        try:
            trial.touch()
        finally:
            trial.unlink(missing_ok=True)
    return folder


def remove_leftovers(path: Path) -> None:
    """Remove the temporary files that killed processes of this computer left of a file."""
    name = re.compile(
        rf"\.{re.escape(path.stem)}\.{re.escape(_host())}\.(\d+)(?:-\d+)?\.part"
        rf"{re.escape(path.suffix)}"
    )
    for entry in os.listdir(path.parent):  # noqa: PTH208 (names are wanted)
        match = name.fullmatch(entry)
        if match and not runs(int(match[1])):
            with suppress(OSError):  # another process may have removed it
                (path.parent / entry).unlink()


def runs(process: int) -> bool:
    """Whether a process of this computer, by its number, is alive."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _writer() -> str:
    """The number of this process, and of this thread where it is not the main one."""
    if threading.current_thread() is threading.main_thread():
        return str(os.getpid())
    return f"{os.getpid()}-{threading.get_native_id()}"


def _host() -> str:
    """Name of this computer, as far as it is fit for a file name."""
    return re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())[:40] or "host"
