"""Atomic file writes, and locks of directories."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from nnreg._utils.direct_writes import BLOCK_BYTES, BUFFER_BYTES, write_direct
from nnreg._utils.regular_files import is_regular, open_regular, sync_directory
from nnreg.errors import UsageError

Chunks: TypeAlias = Iterable[tuple[int, bytes | memoryview]]
"""The bytes of a file, each chunk with its offset."""

Replace: TypeAlias = Callable[[Path, Chunks], None]
"""`replace_file`, or `replace_regular` for a file whose name nnreg chose."""

TEMPORARY = re.compile(r"\..+\.[0-9a-f]{12}\.tmp")
LOCK = "lock"
LOCK_CONTENT = re.compile(rb"[0-9]{0,19}\n?")

READER_SECONDS = 2.0
"""The time in which a pipe that is written to must get a reader."""


def replace_file(path: Path, chunks: Chunks) -> None:
    """Write a file whose name the user gave atomically: write a temporary file, then rename it.

    The old file is never opened, and its mode and owner are kept. A symbolic link stays: the file
    that it leads to is replaced. A device or a pipe is written to. Raises OSError on failure; the
    old file is then unchanged, unless only syncing the directory failed.
    """
    try:
        old = os.stat(path)
    except FileNotFoundError:  # also for a link to a file that does not exist
        old = None
    if old is None or stat.S_ISREG(old.st_mode):
        replace_regular(real_path(path), chunks)
    else:
        _write_in_order(path, chunks)


def replace_regular(path: Path, chunks: Chunks, *, sync: bool = True) -> None:
    """Write a file whose name nnreg chose, as `replace_file` does, but follow no link.

    Without `sync`, for what can be written again, the file may be empty if the machine loses its
    power. Raises OSError if there is something else than a regular file.
    """
    old = os.lstat(path) if is_regular(path) else None
    temporary, file = _create_beside(path)
    try:
        try:
            if old is not None:
                _copy_owner_and_mode(old, file)
            for offset, data in chunks:
                _write(file, offset, data)
            if sync:
                os.fsync(file)
            if os.name == "posix":  # before closing: then it is no longer locked
                os.replace(temporary, path)
        finally:
            os.close(file)
        if os.name != "posix":
            os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    if sync:
        sync_directory(path.parent)


def real_path(path: Path) -> Path:
    """Return the path of the file that `replace_file` replaces, without symbolic links."""
    return Path(os.path.realpath(path))


def _copy_owner_and_mode(old: os.stat_result, file: int) -> None:
    """Give a new file the mode of the old one, and its owner and group where that is allowed."""
    if os.name != "posix":
        return
    new = os.fstat(file)
    if (new.st_uid, new.st_gid) != (old.st_uid, old.st_gid):
        with suppress(PermissionError):
            os.fchown(file, old.st_uid, old.st_gid)
    if stat.S_IMODE(new.st_mode) != stat.S_IMODE(old.st_mode):
        os.fchmod(file, stat.S_IMODE(old.st_mode))


def _write_in_order(path: Path, chunks: Chunks) -> None:
    """Write to a device or a pipe, which has no offsets: a chunk waits for those before it."""
    file = _open_to_write(path)
    try:
        waiting: dict[int, bytes | memoryview] = {}
        position = 0
        for offset, data in chunks:
            waiting[offset] = data
            while position in waiting:
                next_data = waiting.pop(position)
                _write(file, None, next_data)
                position += len(next_data)
    finally:
        os.close(file)


def _open_to_write(path: Path) -> int:
    """Open a device or pipe.

    Raises OSError for a pipe that gets no reader within `READER_SECONDS`: opened in the usual way,
    it would block the program for ever.
    """
    latest = time.monotonic() + READER_SECONDS
    while True:
        try:
            file = os.open(path, os.O_WRONLY | _NONBLOCK)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if time.monotonic() > latest:
                raise OSError(errno.ENXIO, "no process reads from this pipe or socket") from error
            time.sleep(0.02)
        else:
            break
    if _NONBLOCK:
        os.set_blocking(file, True)
    return file


def text_chunks(text: str) -> Chunks:
    """Return the bytes of a text file."""
    return [(0, text.encode())]


def replace_text(path: Path, text: str) -> None:
    """Write a text file atomically, as `replace_file` does."""
    replace_file(path, text_chunks(text))


def append_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Append to a regular file, or create it. Raises OSError; part of the text may be written."""
    file = open_regular(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        _write(file, None, text.encode())
        if sync:
            os.fsync(file)
    finally:
        os.close(file)


def _write(file: int, offset: int | None, data: bytes | memoryview) -> None:
    """Write all of `data`; at an offset, large data directly, see `direct_writes`."""
    rest = memoryview(data).cast("B")
    if offset is not None:
        os.lseek(file, offset, os.SEEK_SET)
        if len(rest) >= BUFFER_BYTES:
            start = -offset % BLOCK_BYTES
            _write_cached(file, rest[:start])
            rest = rest[start:]
            rest = rest[write_direct(file, rest) :]
    _write_cached(file, rest)


def _write_cached(file: int, rest: memoryview) -> None:
    """Write all of `rest`, in as many writes as the system needs."""
    while rest:
        rest = rest[os.write(file, rest) :]


def _create_beside(path: Path) -> tuple[Path, int]:
    """Create a temporary file that is locked while it is open."""
    while True:
        temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        if _lock(file) is not False and os.fstat(file).st_nlink:
            return temporary, file
        os.close(file)  # another process removed it before it was locked


def remove_stale_temp_files(directory: Path) -> None:
    """Remove temporary files of killed processes; those in use are locked and stay."""
    with suppress(OSError):
        for temporary in directory.iterdir():
            if TEMPORARY.fullmatch(temporary.name):
                _remove_if_stale(temporary)


def _remove_if_stale(temporary: Path) -> None:
    with suppress(OSError):
        file = open_regular(temporary, os.O_WRONLY)
        try:
            if _lock(file) is True:
                os.unlink(temporary)
        finally:
            os.close(file)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock a directory until the context or the process ends.

    Raises `UsageError` with the process id if another process has locked it, OSError if the
    directory is not writable, or its file `lock` was not written by this function.
    """
    path = directory / LOCK
    while True:
        file = open_regular(path, os.O_RDWR | os.O_CREAT)
        try:
            holder = _holder(file)
            if _lock(file) is False:
                raise UsageError(
                    f"{directory}: run directory is locked by process {holder or '(unknown)'}; "
                    "wait for it to end or stop it, or choose another directory"
                )
            if _is_still(path, file):
                os.truncate(file, 0)
                os.lseek(file, 0, os.SEEK_SET)
                os.write(file, f"{os.getpid()}\n".encode())
                break
        except BaseException:
            os.close(file)
            raise
        os.close(file)  # the previous holder removed the file, and with it the lock
    try:
        yield
    finally:
        with suppress(OSError):
            os.unlink(path)
        os.close(file)


def _holder(file: int) -> str:
    """Return the process id in a lock; raise OSError for another file, which is not overwritten."""
    content = os.read(file, 21)
    if not LOCK_CONTENT.fullmatch(content) or os.fstat(file).st_nlink > 1:
        raise OSError(errno.EEXIST, f'the file "{LOCK}" is not one of nnreg; rename it')
    return content.decode().strip()


def is_locked(directory: Path) -> bool:
    """Return True if a process has locked a directory; to test this, lock it for a moment."""
    try:  # Windows locks only files open for writing
        file = open_regular(directory / LOCK, os.O_RDONLY if os.name == "posix" else os.O_RDWR)
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

    _BINARY, _NONBLOCK = os.O_BINARY, 0

    def _lock(file: int) -> bool | None:
        """Lock a byte past the content; the lock ends with the process."""
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

    _BINARY, _NONBLOCK = 0, os.O_NONBLOCK

    def _lock(file: int) -> bool | None:
        """Lock a file; return False if it is locked, None if the file system has no locks.

        The lock ends with the process.
        """
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:
            return None
        return True
