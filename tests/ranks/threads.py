"""Ranks that are threads of one process, for tests without MPI."""

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from nnreg.ranks.group import Ranks
from tests.helpers.work import HANG_SECONDS


class ThreadRanks(Ranks):
    """One of several ranks; they exchange values on a common board."""

    def __init__(self, rank, board, barrier):
        self.rank, self.size = rank, len(board)
        self._board, self._barrier = board, barrier

    def _exchange(self, value):
        self._board[self.rank] = value
        self._barrier.wait()
        found = list(self._board)
        self._barrier.wait()
        return found

    def gather(self, purpose, values):
        assert values.ndim == 1
        found = self._exchange((purpose, values.copy()))
        assert {one for one, _ in found} == {purpose}
        return [array for _, array in found]

    def gather_objects(self, value):
        return [pickle.loads(one) for one in self._exchange(pickle.dumps(value))]

    def any(self, here):
        return int(np.bitwise_or.reduce(self._exchange(here)))

    def of_first(self, compute):
        return self.gather_objects(compute() if self.is_first else None)[0]

    def broadcast(self, array):
        array[...] = self._exchange(array.copy())[0]

    def exchange_slices(self, vector, slices, received):
        found = self._exchange(None if vector is None else vector.copy())
        for one, there in zip(received, found, strict=True):
            assert (one is None) == (there is None)
            if one is not None:
                one[...] = there[slices[self.rank]]

    def gather_slices(self, own, slices, vector):
        for part, found in zip(slices, self._exchange(own.copy()), strict=True):
            vector[part] = found


def on_ranks(count, job):
    """Return what a function of the ranks returns in each of this number of threads."""
    board, barrier = [None] * count, threading.Barrier(count, timeout=HANG_SECONDS)

    def run(rank):
        try:
            return job(ThreadRanks(rank, board, barrier))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(count) as pool:
        waiting = [pool.submit(run, rank) for rank in range(count)]
    errors = [one.exception() for one in waiting if one.exception()]
    for error in errors:
        if not isinstance(error, threading.BrokenBarrierError):
            raise error
    assert not errors
    return [one.result() for one in waiting]
