"""Threads: how many there are, limits of BLAS threads, and a thread pool."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


T = TypeVar("T")


def available_threads() -> int:
    """Return how many threads BLAS uses by default.

    That is one per core, or the value of an environment variable such as OMP_NUM_THREADS, whatever
    the limits that are open.
    """
    if _limits.unlimited is not None:
        return _limits.unlimited
    return max((pool["num_threads"] for pool in blas_libraries()), default=available_cores())


def available_cores() -> int:
    """Return on how many cores of the processor this process may run."""
    return len(core_numbers())


def core_numbers() -> frozenset[int]:
    """Return the numbers of the processor's cores on which this process may run."""
    if hasattr(os, "sched_getaffinity"):
        return frozenset(os.sched_getaffinity(0))
    return frozenset(range(os.cpu_count() or 1))


def blas_libraries() -> list[dict[str, Any]]:
    """Return name, version, threads and processor type of each BLAS library."""
    libraries: list[dict[str, Any]] = _blas_pools().select(user_api="blas").info()
    return libraries


def blas_threads(count: int | None) -> AbstractContextManager[Any]:
    """Limit the threads of BLAS while the context is open; None sets no limit.

    The limit is that of the process: of several open contexts, in any threads, the lowest applies.
    """
    return nullcontext() if count is None else _limits.limit(count)


class _Limits:
    """The open limits of BLAS threads, which may be closed in another order."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[int] = []
        self._before: Any = None
        self.unlimited: int | None = None
        """The number of threads without the limits; None if no limit is open."""

    @contextmanager
    def limit(self, count: int) -> Iterator[None]:
        with self._lock:
            if not self._open:
                self.unlimited = available_threads()
            lowest = min(self._open, default=None)
            self._open.append(count)
            if lowest is None or count < lowest:
                limiter = self._set_lowest()
                if lowest is None:
                    self._before = limiter
        try:
            yield
        finally:
            with self._lock:
                self._open.remove(count)
                if not self._open:
                    _take_control()
                    self._before.restore_original_limits()
                    self.unlimited = None
                elif count < min(self._open):
                    self._set_lowest()

    def _set_lowest(self) -> Any:
        """Set the lowest of the open limits; if it stays the same, this would cost 20 µs a time."""
        _take_control()
        return _blas_pools().limit(limits=min(self._open), user_api="blas")


_limits = _Limits()


def _take_control() -> None:
    """Let this thread change limits: newer threadpoolctl ignores all threads but the first."""
    for library in _blas_pools().lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


def split_evenly(size: int, count: int) -> list[slice]:
    """Split `size` values into `count` slices of nearly equal length."""
    ends = [size * index // count for index in range(count + 1)]
    return [slice(start, stop) for start, stop in pairwise(ends)]


@functools.cache
def _blas_pools() -> ThreadpoolController:
    """Return the BLAS libraries, searched once: it takes a millisecond, like a small epoch."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def start_threads(
    count: int, name: str = "", initializer: Callable[[], object] | None = None
) -> Executor | None:
    """Return an executor of `count` threads, or None where none can be started, as in Pyodide."""
    executor = ThreadPoolExecutor(count, name, initializer)
    try:
        executor.submit(int)  # starts the first
    except RuntimeError:  # can't start new thread
        return None
    return executor


def can_start_threads() -> bool:
    """Return whether a thread can be started."""
    executor = start_threads(1)
    if executor is not None:
        executor.shutdown()
    return executor is not None


class CallerExecutor(Executor):
    """An executor whose jobs run in the caller's thread when they are submitted."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a job; its result or exception is that of the future."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


class ThreadPool:
    """A thread pool of `count` threads: the caller's, and `count` - 1 others while it is open.

    If it is not open, or no thread can be started, jobs run in the caller's thread.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self._others: Executor | None = None

    @contextmanager
    def open(self) -> Iterator[None]:
        """Start the other threads for the duration of the context."""
        if self.count == 1:
            yield
            return
        # NumPy's error settings are per thread; a non-finite loss is reported by the trainer.
        settings = functools.partial(np.seterr, over="ignore", invalid="ignore")
        others = start_threads(self.count - 1, initializer=settings)
        if others is None:
            yield
            return
        with others as self._others:
            try:
                yield
            finally:
                self._others = None

    @property
    def is_open(self) -> bool:
        """Whether its threads are running, so that jobs run at the same time."""
        return self._others is not None

    def run(self, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run the jobs and return their results; the first runs in the caller's thread."""
        if self._others is None or len(jobs) == 1:
            return [job() for job in jobs]
        first, *others = jobs
        waiting = [self._others.submit(job) for job in others]
        return [first(), *(future.result() for future in waiting)]


def run_at_once(jobs: Sequence[Callable[[], T]]) -> list[T]:
    """Run jobs, each but the first in a new thread if one can be started; return their results.

    For jobs of a millisecond: a thread that starts with its job begins sooner than one of a pool,
    which sleeps until it gets one.
    """
    first, *others = [_Job(job) for job in jobs]
    for job in others:
        try:
            job.start()
        except RuntimeError:  # can't start new thread
            job.run()
    first.run()
    for job in others:
        if job.ident is not None:
            job.join()
    return [job.future.result() for job in (first, *others)]


class _Job(threading.Thread, Generic[T]):
    """Calls a function once; the future then has its result or its exception."""

    def __init__(self, function: Callable[[], T]) -> None:
        super().__init__()
        self.future: Future[T] = Future()
        self._function = function

    def run(self) -> None:
        try:
            self.future.set_result(self._function())
        except BaseException as error:
            self.future.set_exception(error)
