"""Exchange of arrays between the shards of a batch, such as the sums of a batch norm."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar, cast

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.errors import PluginError

T = TypeVar("T")


class _EndedError(Exception):
    """Another shard has ended, so that waiting for it is in vain."""


class Exchange:
    """One pass of `count` shards in a thread each, of which `limit` compute at a time.

    A shard that gives an array waits until all others have given theirs.
    """

    def __init__(self, count: int, limit: int) -> None:
        self._count = count
        self._slots = threading.Semaphore(limit)
        self._changed = threading.Condition()
        self._done = self._waiting = 0
        """The number of exchanges done, and of the shards that wait for the next one."""
        self._ended = False
        """Whether a shard has ended, so that there can be no further exchange."""
        # Two sets in turn: no shard is ever two exchanges ahead of another.
        self._given: list[list[Any]] = [[None] * count, [None] * count]

    def run(self, pool: ThreadPool, jobs: Sequence[Callable[[], T]]) -> list[T]:
        """Run a job for each shard and return their results; the first error ends all of them."""
        errors: list[BaseException] = []
        incomplete: list[None] = []

        def run_one(job: Callable[[], T]) -> T | None:
            with self._slots:
                try:
                    return job()
                except _EndedError:
                    incomplete.append(None)
                    return None
                except BaseException as error:
                    errors.append(error)
                    return None
                finally:
                    self._end()

        with nullcontext() if pool.is_open else pool.open():
            try:
                results = pool.run([functools.partial(run_one, job) for job in jobs])
            except BaseException:  # Ctrl-C, before or after the caller's own job
                self._end()
                self._slots.release(len(jobs))
                raise
        if errors:
            raise errors[0]
        if incomplete:
            problem = "a layer called Context.gather in some shards of a batch only"
            raise PluginError(f"{problem}; make the same calls in all of them")
        return cast(list[T], results)

    def _end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def gather(self, index: int, number: int, array: Array) -> tuple[Array, ...]:
        """Return the arrays that all shards give in their exchange of this number."""
        given = self._given[number % 2]
        given[index] = array.copy()
        self._slots.release()
        try:
            self._wait(number)
        finally:
            self._slots.acquire()
        return tuple(given)

    def _wait(self, number: int) -> None:
        """Wait until all shards have given their arrays; raise `_EndedError` if one does not."""
        with self._changed:
            self._waiting += 1
            if self._waiting == self._count:
                self._waiting, self._done = 0, number
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= number or self._ended)
            if self._done < number:
                raise _EndedError


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
