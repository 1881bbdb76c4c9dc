"""The memory that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

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
