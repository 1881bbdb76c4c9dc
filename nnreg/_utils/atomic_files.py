"""Files that are there whole or not at all, and folders that one process writes at a time."""

from __future__ import annotations

import os
import re
import secrets
import stat
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from nnreg.errors import UsageError

Chunks: TypeAlias = Iterable[tuple[int, bytes | memoryview]]
"""The bytes of a file, each piece with the place where it begins."""

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
LOCK = "lock"


def replace_file(path: Path, chunks: Chunks) -> None:
    """Write a file so that at any moment the old one or the new one is there, whole.

    The old one is never opened. Raises OSError where that fails; the old one is then still there,
    unless all that failed was to make the new one's name outlast a loss of power.
    """
    temporary, file = _create_beside(path)
    try:
        try:
            for place, data in chunks:
                _write(file, place, data)
            os.fsync(file)
            if os.name == "posix":  # before the file is closed, and no longer seen to be in use
                os.replace(temporary, path)
        finally:
            os.close(file)
        if os.name != "posix":
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if os.name == "posix":  # Windows has no handle on a folder to sync
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def replace_text(path: Path, text: str) -> None:
    """Write a file of text as `replace_file` does."""
    replace_file(path, [(0, text.encode())])


MAX_READ_BYTES = 2**28
"""The bytes beyond which a file is none of those that a run keeps its records in."""


def read_regular(path: Path) -> bytes:
    """Return what is in a regular file of at most `MAX_READ_BYTES` bytes.

    Raises OSError where it cannot be read, ValueError for anything else: a pipe may never end.
    """
    status = path.stat()
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_READ_BYTES:
        raise ValueError(f"{path.name} is not a regular file of at most {MAX_READ_BYTES:,} bytes")
    return path.read_bytes()


def append_text(path: Path, text: str) -> None:
    """Add to the end of a file, or make it. Raises OSError; some of the text may then be there."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        _write(file, None, text.encode())
    finally:
        os.close(file)


def _write(file: int, place: int | None, data: bytes | memoryview) -> None:
    """Write all of it, however little the system takes at a time."""
    rest = memoryview(data).cast("B")
    if place is not None:
        os.lseek(file, place, os.SEEK_SET)
    while rest:
        rest = rest[os.write(file, rest) :]


def _create_beside(path: Path) -> tuple[Path, int]:
    """Make a temporary file that is locked for as long as it is open."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        if _lock(file) is not False and os.fstat(file).st_nlink:
            return temporary, file
        os.close(file)  # swept between its making and its locking


def remove_stale_temp_files(directory: Path) -> None:
    """Remove the temporary files that killed processes left; those in use are locked and stay."""
    with suppress(OSError):
        for temporary in directory.iterdir():
            if TEMPORARY.fullmatch(temporary.name):
                _remove_if_stale(temporary)


def _remove_if_stale(temporary: Path) -> None:
    with suppress(OSError):
        file = os.open(temporary, os.O_WRONLY)
        try:
            if _lock(file) is True:
                os.unlink(temporary)
        finally:
            os.close(file)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other processes from holding the same folder, until the context or the process ends.

    Raises `UsageError` with the process id of the one that holds it, OSError where the folder
    cannot be written to.
    """
    path = directory / LOCK
    while True:
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            if _lock(file) is False:
                holder = os.read(file, 20).decode("ascii", "replace").strip()
                raise UsageError(
                    f"{directory}: process {holder or '(unknown)'} is at work in this folder; wait "
                    "for it to end or stop it, or choose another folder"
                )
            if _is_still(path, file):
                os.truncate(file, 0)
                os.write(file, f"{os.getpid()}\n".encode())
                break
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the holder before took the file away, and with it the lock
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)
        os.close(file)


def is_locked(directory: Path) -> bool:
    """Whether a process holds a folder. To look, this one tries its lock for a moment."""
    try:  # Windows locks no file that is open to be read only
        file = os.open(directory / LOCK, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
    except OSError:
        return False
    try:
        return _lock(file) is False
    finally:
        os.close(file)


def _is_still(path: Path, file: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(file))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    _BINARY = os.O_BINARY

    def _lock(file: int) -> bool | None:
        """Lock a byte that nobody reads or writes; the lock goes with the process."""
        os.lseek(file, 1 << 30, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        finally:
            os.lseek(file, 0, os.SEEK_SET)
        return True

else:
    import fcntl

    _BINARY = 0

    def _lock(file: int) -> bool | None:
        """Lock a file, and tell whether it was free; None where the file system has no locks.

        The lock goes with the process.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True
