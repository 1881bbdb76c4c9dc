"""Ranks that are the processes of MPI. The only module that imports mpi4py.

Before each exchange of values, ranks exchange a header: its purpose and its size. So a rank that
ends with an error reaches those that wait for it, wherever they do.
"""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
from mpi4py import MPI

from nnreg._types import Array
from nnreg._utils.threads import core_numbers
from nnreg.errors import PluginError
from nnreg.ranks.group import Purpose, Ranks
from nnreg.ranks.shared_errors import SharedError, packed, unpacked

Value = TypeVar("Value")

HEADER_BYTES = 16
INLINE_BYTES = 2048 - HEADER_BYTES
"""What is sent with the header; larger values follow in a second message."""

NAP_SECONDS = 1e-5
"""How long to sleep between two looks whether a message has arrived: on two cores, four ranks
exchanged small ones in 0.4 ms, and in 16 ms if they waited without."""


class MpiRanks(Ranks):
    """The processes of a communicator."""

    def __init__(self, communicator: MPI.Intracomm) -> None:
        self._comm = communicator
        self.rank, self.size = communicator.rank, communicator.size
        cores = core_numbers()
        here = communicator.Split_type(MPI.COMM_TYPE_SHARED).allgather(cores)
        self._sharing: int = here.count(cores)
        self._crowded = len(here) > len(set().union(*here))
        self._inside = False
        self._sent = np.zeros(HEADER_BYTES + INLINE_BYTES, np.uint8)
        self._found = np.empty((self.size, self._sent.size), np.uint8)

    def threads(self, available: int) -> int:
        """Return how many threads are for this rank, if others may run on the same cores."""
        return max(available // self._sharing, 1)

    def _wait(self, *requests: MPI.Request) -> None:
        """Wait for messages; on fewer cores than ranks without keeping a core busy."""
        if not self._crowded:
            MPI.Request.Waitall(list(requests))
            return
        while not MPI.Request.Testall(list(requests)):
            time.sleep(NAP_SECONDS)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Raise an error of one rank in all of them, at the end of the outermost context."""
        if self._inside:
            yield
            return
        own: BaseException | None = None
        self._inside = True
        try:
            yield
        except BaseException as error:
            own = error
        finally:
            self._inside = False
        failed = self._leave(own)
        if failed is None:
            return
        if failed.rank == self.rank and own is not None:
            raise own
        raise unpacked(failed) from own

    def _leave(self, error: BaseException | None) -> SharedError | None:
        """Wait for all ranks at the end of the context; return the first error of any of them."""
        while True:
            purposes, _ = self._exchange(Purpose.LEAVE, np.empty(0, np.uint8))
            failed = self._first_error(error)
            if all(one == Purpose.LEAVE for one in purposes):
                return failed

    def _first_error(self, own: BaseException | None) -> SharedError | None:
        """Return the error of the first rank that has one; called by all if one of them leaves."""
        errors = self._comm.allgather(packed(own, self.rank))
        return next((one for one in errors if one is not None), None)

    def gather(self, purpose: Purpose, values: Array) -> list[Array]:
        """Return the vectors that the ranks give, which have one type and any lengths."""
        purposes, found = self._exchange(purpose, np.ascontiguousarray(values).view(np.uint8))
        self._check(purpose, purposes)
        return [one.view(values.dtype) for one in found]

    def _check(self, purpose: Purpose, purposes: Sequence[int]) -> None:
        """Raise the error of a rank that has left, or that makes another exchange."""
        if all(one == purpose for one in purposes):
            return
        failed = self._first_error(None) if Purpose.LEAVE in purposes else None
        if failed is not None:
            raise unpacked(failed)
        raise PluginError(
            "the processes of this training make different exchanges: a layer called "
            "Context.gather in some shards of a batch only, or a callback trains another network; "
            "make the same calls in all of them"
        )

    def _exchange(self, purpose: Purpose, payload: Array) -> tuple[list[int], list[Array]]:
        """Return the purposes of all ranks, and what each gives as bytes."""
        header = self._sent[:HEADER_BYTES].view(np.int64)
        header[0], header[1] = purpose, payload.size
        if payload.size <= INLINE_BYTES:
            self._sent[HEADER_BYTES : HEADER_BYTES + payload.size] = payload
        self._wait(self._comm.Iallgather(self._sent, self._found))
        headers = self._found[:, :HEADER_BYTES].view(np.int64)
        purposes, sizes = headers[:, 0].tolist(), headers[:, 1].tolist()
        if max(sizes) <= INLINE_BYTES or len(set(purposes)) > 1:
            start = HEADER_BYTES
            return purposes, [
                row[start : start + size].copy()
                for row, size in zip(self._found, sizes, strict=True)
            ]
        whole = np.empty(sum(sizes), np.uint8)
        self._wait(self._comm.Iallgatherv(payload, [whole, sizes]))
        return purposes, np.split(whole, np.cumsum(sizes)[:-1])

    def wait_for_error(self) -> None:
        """Raise the error that another rank is about to raise; return if there is none."""
        self.gather(Purpose.ERROR, np.empty(0, np.uint8))

    def any(self, here: int) -> int:
        """Return the flags, in a number below 256, that any of the ranks has set."""
        found = self.gather(Purpose.PAUSE, np.array([here], np.uint8))
        return int(np.bitwise_or.reduce(found)[0])

    def gather_objects(self, value: Value) -> list[Value]:
        """Return the values that the ranks give."""
        own = np.frombuffer(pickle.dumps(value), np.uint8)
        found = self.gather(Purpose.OBJECTS, own)
        return [pickle.loads(one.tobytes()) for one in found]

    def of_first(self, compute: Callable[[], Value]) -> Value:
        """Return in all ranks what a function returns in the first, which alone calls it."""
        own: Any = compute() if self.is_first else None
        found: Value = self.gather_objects(own)[0]
        return found

    def broadcast(self, array: Array) -> None:
        """Write the values of the first rank into the arrays of the others."""
        self._wait(self._comm.Ibcast(array))

    def exchange_slices(
        self, vector: Array | None, slices: Sequence[slice], received: Sequence[Array | None]
    ) -> None:
        """Give each rank its slice of `vector`; write what rank k gives into `received[k]`."""
        sizes = [one.stop - one.start for one in slices]
        requests = [
            self._comm.Irecv(one, rank)
            for rank, one in enumerate(received)
            if one is not None and one.size and rank != self.rank
        ]
        if vector is not None:
            for step in range(1, self.size):
                rank = (self.rank + step) % self.size
                if sizes[rank]:
                    requests.append(self._comm.Isend(vector[slices[rank]], rank))
            own = received[self.rank]
            if own is not None:
                np.copyto(own, vector[slices[self.rank]])
        self._wait(*requests)

    def gather_slices(self, own: Array, slices: Sequence[slice], vector: Array) -> None:
        """Write the slices that the ranks have into the `vector` of all."""
        sizes = [one.stop - one.start for one in slices]
        self._wait(self._comm.Iallgatherv(own, [vector, sizes]))
