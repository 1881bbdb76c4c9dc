"""Exchange of arrays between the shards of a batch, such as the sums of a batch norm."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar, cast

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool

T = TypeVar("T")


class Exchange:
    """One pass of `count` shards in a thread each, of which `limit` compute at a time.

    A shard that gives an array waits until all others have given theirs.
    """

    def __init__(self, count: int, limit: int) -> None:
        self._barrier = threading.Barrier(count)
        self._slots = threading.Semaphore(limit)
        # Two sets in turn: no shard is ever two exchanges ahead of another.
        self._given: list[list[Any]] = [[None] * count, [None] * count]

    def run(self, pool: ThreadPool, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run a job for each shard and return their results; the first error ends all of them."""
        errors: list[BaseException] = []

        def run_one(job: Callable[[], T]) -> T | None:
            with self._slots:
                try:
                    return job()
                except threading.BrokenBarrierError:
                    return None  # another job has failed
                except BaseException as error:
                    errors.append(error)
                    self._barrier.abort()
                    return None

        with nullcontext() if pool.is_open else pool.open():
            try:
                results = pool.run([functools.partial(run_one, job) for job in jobs])
            except BaseException:  # Ctrl-C, before or after the caller's own job
                self._barrier.abort()
                self._slots.release(len(jobs))
                raise
        if errors:
            raise errors[0]
        return cast(list[T], results)

    def gather(self, index: int, number: int, array: Array) -> tuple[Array, ...]:
        """Return the arrays that all shards give in their exchange of this number."""
        given = self._given[number % 2]
        given[index] = array.copy()
        self._slots.release()
        try:
            self._barrier.wait()
        finally:
            self._slots.acquire()
        return tuple(given)


class Member:
    """A shard's part in an exchange."""

    def __init__(self, exchange: Exchange, index: int) -> None:
        self._exchange = exchange
        self._number = 0
        self.index = index

    def gather(self, array: Array) -> tuple[Array, ...]:
        """Return the arrays that all shards give in this exchange, in the order of the shards."""
        self._number += 1
        return self._exchange.gather(self.index, self._number, array)
