"""The memory that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._utils.formatting import byte_size
from nnreg.errors import DataError

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""The files with a container's limit on Linux, for control groups version 2 and 1."""


def memory_limit() -> int | None:
    """Return the bytes this process may use, or None if the system does not report it.

    That is the machine's memory, or the limit of the container or the process. Memory in use by
    other processes is not subtracted, so that the value is the same in every run.
    """
    limits = [*_machine(), *_container(), *_process()]
    return min(limits, default=None)


def exceeds_memory(size: int, fraction: float = 1.0) -> bool:
    """Return True if a number of bytes is more than a fraction of what this process may use."""
    limit = memory_limit()
    return limit is not None and size > fraction * limit


HINT = "use fewer rows or columns, or arrays in an HDF5 file, which may be larger than memory"


def data_limit() -> float:
    """Return the bytes that decoded data may take: half of what this process may use."""
    limit = memory_limit()
    return math.inf if limit is None else limit / 2


def require_memory(size: float, where: str, hint: str = HINT) -> None:
    """Raise `DataError` if data would take more than `data_limit`; called before they are decoded.

    `size` is the number of bytes in memory, which a small compressed file may exceed by far, and
    `where` the location of the data.
    """
    limit = data_limit()
    if size > limit:
        raise DataError(
            f"{where}: {byte_size(size)} in memory, more than half of the {byte_size(2 * limit)} "
            f"that this process may use; {hint}, or raise the limit of the container or of ulimit, "
            "or use a machine with more memory"
        )


def array_bytes(shape: Iterable[int], dtype: np.dtype[Any]) -> int:
    """Return the bytes of an array, with a Python object for each value that is not a number."""
    each = dtype.itemsize + (0 if dtype.kind in "biuf" else OBJECT_BYTES)
    return math.prod(shape) * each


OBJECT_BYTES = 64
"""About how many bytes a short text takes as an object, with the pointer to it."""


def _machine() -> list[int]:
    try:
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, OSError, ValueError):  # not on Windows
        return []


def _container() -> list[int]:
    limits = []
    for path in CONTAINER_LIMITS:
        try:
            limits.append(int(path.read_text()))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return limits


def _process() -> list[int]:
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    limits = [resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA)]
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]
