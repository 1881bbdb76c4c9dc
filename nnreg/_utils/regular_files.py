"""Files under names that nnreg chooses, as in a run directory: no link is followed, nothing blocks.

A directory that someone else made may have a symbolic link, a pipe or a device under such a name.
Opened in the usual way, a link leads to a file elsewhere, and a pipe blocks the program for ever.
The functions raise OSError for everything that is not a regular file or a real directory.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

MAX_RECORDS_BYTES = 2**28
"""The most bytes that are read of a file with a record for each epoch."""

KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFDIR: "a directory",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}
"""What is found instead; everything else is a device."""


def is_regular(path: Path) -> bool:
    """Return True for a regular file, False if there is nothing."""
    return _is_kind(path, stat.S_IFREG, "file")


def is_real_directory(path: Path) -> bool:
    """Return True for a directory, False if there is nothing."""
    return _is_kind(path, stat.S_IFDIR, "directory")


def open_regular(path: Path, flags: int = os.O_RDONLY) -> int:
    """Open a regular file, or create one if `flags` say so, and return its descriptor."""
    is_regular(path)  # for its message; also the only check of links on Windows
    file = os.open(path, flags | _NO_LINK, 0o666)
    try:
        _check_kind(os.fstat(file).st_mode, stat.S_IFREG, "file")
    except BaseException:
        os.close(file)
        raise
    return file


def read_regular(path: Path, max_bytes: int) -> bytes:
    """Return the content of a regular file of at most `max_bytes` bytes."""
    with open(open_regular(path), "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size <= max_bytes:
            return file.read(size)  # memory for as much as is asked for is allocated
    raise OSError(errno.EFBIG, f"it has more than {max_bytes:,} bytes")


def make_directory(path: Path) -> None:
    """Create a directory and its parents, and sync each parent in which one is created.

    A link to a directory, whose name the user gave, is accepted.
    """
    if path.is_dir():
        return
    if path.parent != path:  # not a missing drive
        make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync_directory(path.parent)


def make_real_directory(path: Path) -> None:
    """Create a directory in an existing one, unless it exists."""
    if not is_real_directory(path):
        path.mkdir(exist_ok=True)
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Write the names in a directory to the disk."""
    if os.name != "posix":  # Windows cannot
        return
    directory = os.open(path, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _is_kind(path: Path, kind: int, name: str) -> bool:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return False
    _check_kind(mode, kind, name)
    return True


def _check_kind(mode: int, kind: int, name: str) -> None:
    found = stat.S_IFMT(mode)
    if found != kind:
        what = "a file" if found == stat.S_IFREG else KINDS.get(found, "a device")
        raise OSError(errno.EINVAL, f"it is {what}, not a {name}; remove it")
