"""Threads: how many there are, how many a matrix product may use, and a few that work together."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


T = TypeVar("T")


def available_threads() -> int:
    """Return how many threads matrix products use where nothing limits them.

    That is one for each core, or as many as an environment variable such as OMP_NUM_THREADS says.
    """
    pools = blas_libraries()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max((pool["num_threads"] for pool in pools), default=cores or 1)


def blas_libraries() -> list[dict[str, Any]]:
    """Return name, version, threads and processor type of each library of matrix products."""
    libraries: list[dict[str, Any]] = _blas_pools().select(user_api="blas").info()
    return libraries


def blas_threads(count: int | None) -> AbstractContextManager[Any]:
    """Limit the threads of matrix products while the context is open; None leaves them alone."""
    if count is None:
        return nullcontext()
    limits: AbstractContextManager[Any] = _blas_pools().limit(limits=count, user_api="blas")
    return limits


def split_evenly(size: int, count: int) -> list[slice]:
    """Divide `size` values into `count` runs of nearly equal length."""
    ends = [size * place // count for place in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


@functools.cache
def _blas_pools() -> ThreadpoolController:
    """Look for the libraries once: it takes a millisecond, as much as a small epoch."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


class ThreadPool:
    """Threads that work side by side: the caller's, and `count` - 1 others while it is open.

    Closed, it does the same work in the caller's thread alone.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._others: Executor | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Keep the other threads while the context is open."""
        if self.count == 1:
            yield
            return
        # Each thread begins with NumPy's own settings; a loss that is not finite tells.
        settings = functools.partial(np.seterr, over="ignore", invalid="ignore")
        with ThreadPoolExecutor(self.count - 1, initializer=settings) as self._others:
            try:
                yield
            finally:
                self._others = None

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Return what the jobs return, the first of them run by the caller's thread."""
        if self._others is None or len(jobs) == 1:
            return [job() for job in jobs]
        first, *others = jobs
        waiting = [self._others.submit(job) for job in others]
        return [first(), *(future.result() for future in waiting)]
