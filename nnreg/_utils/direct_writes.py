"""Writing large data to a file without the system's page cache, where the system allows that.

A file that is synced at once gains little from the page cache, but its pages must be allocated,
filled and freed again: half of the time of writing, and on a virtual machine that gives unused
memory back to its host, ten times as much.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import PAGESIZE, mmap

BLOCK_BYTES = PAGESIZE
"""Direct writes begin and end at multiples of it, in the file and in memory."""

BUFFER_BYTES = 1 << 20
"""The bytes of a direct write: they stay in the processor's cache while they are copied."""


def write_direct(file: int, data: memoryview) -> int:
    """Write bytes from the position of the file on, a multiple of `BLOCK_BYTES`; return how many.

    These are fewer than all, or none, where the system refuses; the position is then behind them.
    The rest, such as what follows the last whole block, can be written in the usual way.
    """
    done, whole = 0, len(data) - len(data) % BLOCK_BYTES
    buffer = memoryview(mmap(-1, BUFFER_BYTES))  # begins at a page
    with suppress(OSError), _uncached(file):  # another reason to fail remains for the usual way
        while done < whole:
            size = min(BUFFER_BYTES, whole - done)
            buffer[:size] = data[done : done + size]
            written = os.write(file, buffer[:size])
            done += written
            if written < size:
                break
    return done


if sys.platform == "linux":
    import fcntl

    @contextmanager
    def _uncached(file: int) -> Iterator[None]:
        """Make writes direct within the context; raise OSError if the file system has none."""
        flags = fcntl.fcntl(file, fcntl.F_GETFL)
        fcntl.fcntl(file, fcntl.F_SETFL, flags | os.O_DIRECT)
        try:
            yield
        finally:
            fcntl.fcntl(file, fcntl.F_SETFL, flags)

else:

    @contextmanager
    def _uncached(file: int) -> Iterator[None]:
        raise OSError("direct writes are only used on Linux")
        yield
