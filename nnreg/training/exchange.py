"""Exchange of arrays between the shards of a batch, such as the sums of a batch norm.

The shards of this process exchange theirs as threads; the last of them those of all with the other
ranks.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any, TypeVar, cast

import numpy as np

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.errors import PluginError
from nnreg.ranks.group import ALONE, Purpose, Ranks

T = TypeVar("T")


class _EndedError(Exception):
    """Another shard has ended, so that waiting for it is in vain."""


class Exchange:
    """One pass of `count` shards in a thread each, of which `limit` compute at a time.

    A shard that gives an array waits until all others have given theirs, those of other ranks
    included: `count` are here.
    """

    def __init__(self, count: int, limit: int, ranks: Ranks = ALONE) -> None:
        self._count, self._ranks = count, ranks
        self._slots = threading.Semaphore(limit)
        self._changed = threading.Condition()
        self._done = self._waiting = 0
        """The number of exchanges done, and of the shards that wait for the next one."""
        self._ended = False
        """Whether a shard has ended, so that there can be no further exchange."""
        # Two sets in turn: no shard is ever two exchanges ahead of another.
        self._given: list[list[Any]] = [[None] * count, [None] * count]
        self._found: list[tuple[Array, ...]] = [(), ()]

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
        """Return the arrays that all shards give in their exchange of this number.

        `index` is that of the shard among those of this process.
        """
        self._given[number % 2][index] = array.copy()
        self._slots.release()
        try:
            self._wait(number)
        finally:
            self._slots.acquire()
        return self._found[number % 2]

    def _wait(self, number: int) -> None:
        """Wait until all shards have given their arrays; raise `_EndedError` if one does not."""
        with self._changed:
            self._waiting += 1
            if self._waiting == self._count:
                given = tuple(self._given[number % 2])
                self._found[number % 2] = _of_all_ranks(self._ranks, given)
                self._waiting, self._done = 0, number
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._done >= number or self._ended)
            if self._done < number:
                raise _EndedError


def _of_all_ranks(ranks: Ranks, given: tuple[Array, ...]) -> tuple[Array, ...]:
    """Return the arrays of the shards of all ranks, given those of this one."""
    if ranks.size == 1:
        return given
    first = given[0]
    alike = all(one.shape == first.shape and one.dtype == first.dtype for one in given)
    found = ranks.gather(Purpose.LAYER, np.concatenate([one.ravel() for one in given]))
    if not (alike and all(one.size % max(first.size, 1) == 0 for one in found)):
        problem = "Context.gather was called with arrays of different shapes or types"
        raise PluginError(f"{problem}; give equal ones in all shards of a batch")
    return tuple(one for part in found for one in part.reshape(-1, *first.shape))


class Member:
    """A shard's part in an exchange, whose shards in this process begin with number `first`."""

    def __init__(self, exchange: Exchange, index: int, first: int = 0) -> None:
        self._exchange = exchange
        self._number, self._first = 0, first
        self.index = index

    def gather(self, array: Array) -> tuple[Array, ...]:
        """Return the arrays that all shards give in this exchange, in the order of the shards."""
        self._number += 1
        return self._exchange.gather(self.index - self._first, self._number, array)
