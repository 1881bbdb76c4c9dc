"""How much memory this process may use."""

from __future__ import annotations

import os
from pathlib import Path

CONTAINER_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)
"""Where Linux tells the limit of a container, by version 2 of its control groups and by 1."""


def memory_limit() -> int | None:
    """Return the bytes this process may use, or None where the system does not tell.

    That is the machine's memory, or less where the container or the process has a limit; what
    others use of it at the moment does not count, so that the answer is the same from run to run.
    """
    limits = [*_machine(), *_container(), *_process()]
    return min(limits, default=None)


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
