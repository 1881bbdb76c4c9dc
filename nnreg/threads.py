"""How many threads there are, and how many a matrix product may use."""

from __future__ import annotations

import functools
import os
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def available_threads() -> int:
    """Return how many threads matrix products use where nothing limits them.

    That is one for each core, or as many as an environment variable such as OMP_NUM_THREADS says.
    """
    pools = matrix_libraries()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max((pool["num_threads"] for pool in pools), default=cores or 1)


def matrix_libraries() -> list[dict[str, Any]]:
    """Return name, version, threads and processor type of each library of matrix products."""
    libraries: list[dict[str, Any]] = _thread_pools().select(user_api="blas").info()
    return libraries


def matrix_threads(count: int | None) -> AbstractContextManager[Any]:
    """Limit the threads of matrix products while the context is open; None leaves them alone."""
    if count is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = _thread_pools().limit(limits=count, user_api="blas")
    return limits


@functools.cache
def _thread_pools() -> ThreadpoolController:
    """Look for the libraries once: it takes a millisecond, as much as a small epoch."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
