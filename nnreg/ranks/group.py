"""What training needs of the processes that share it; here those of a plain run: a single one.

`mpi` has several. Both are used by `training` and `runs` alike, so that neither asks which it is,
except where several would have work that one does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from typing import TypeVar

from nnreg._types import Array

Value = TypeVar("Value")


class Purpose(IntEnum):
    """What an exchange is for. All ranks make the same exchanges, which each of them checks."""

    LEAVE = 1
    OBJECTS = 2
    RESULTS = 3
    LAYER = 4
    PAUSE = 5
    OUTPUTS = 6
    ERROR = 7


class Ranks:
    """One process alone, of rank 0; a subclass has several.

    Every method is called by all ranks, in the same order. An error of one rank is raised by all.
    """

    rank = 0
    size = 1

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes, prints and notifies plugins."""
        return self.rank == 0

    def threads(self, available: int) -> int:
        """Return how many of the threads available here are for this rank."""
        return available

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise an error of one rank in all of them, at the end of the context at the latest."""
        yield

    def gather(self, purpose: Purpose, values: Array) -> list[Array]:
        """Return the vectors that the ranks give, which have one type and any lengths."""
        return [values]

    def wait_for_error(self) -> None:
        """Raise the error that another rank is about to raise; return if there is none."""

    def gather_objects(self, value: Value) -> list[Value]:
        """Return the values that the ranks give."""
        return [value]

    def any(self, here: int) -> int:
        """Return the flags, in a number below 256, that any of the ranks has set."""
        return here

    def of_first(self, compute: Callable[[], Value]) -> Value:
        """Return in all ranks what a function returns in the first, which alone calls it."""
        return compute()

    def broadcast(self, array: Array) -> None:
        """Write the values of the first rank into the arrays of the others."""

    def exchange_slices(
        self, vector: Array | None, slices: Sequence[slice], received: Sequence[Array | None]
    ) -> None:
        """Give each rank its slice of `vector`; write what rank k gives into `received[k]`.

        A rank may give none, of which the others know.
        """
        raise NotImplementedError

    def gather_slices(self, own: Array, slices: Sequence[slice], vector: Array) -> None:
        """Write the slices that the ranks have into the `vector` of all."""
        raise NotImplementedError


ALONE = Ranks()
"""The process of a training that is not shared."""
