"""Executors with one mistake each."""

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from nnreg import Executor


@dataclass(frozen=True)
class Threads(Executor):
    """Threads of the process itself."""

    @contextmanager
    def open(self, jobs, directory):
        with ThreadPoolExecutor(jobs) as pool:
            yield self.changed(pool), jobs

    def changed(self, pool):
        return pool


class OtherResults:
    def __init__(self, pool):
        self.pool = pool

    def submit(self, fn, text):
        return self.pool.submit(fn, text.strip())


class NoErrors:
    def __init__(self, pool):
        self.pool = pool

    def submit(self, fn, text):
        future = Future()
        done = self.pool.submit(fn, text)
        future.set_result("" if done.exception() else done.result())
        return future


class Repeats:
    def __init__(self, pool):
        self.pool = pool

    def submit(self, fn, text):
        future = self.pool.submit(fn, text)
        return self.pool.submit(fn, text) if future.exception() else future


@dataclass(frozen=True)
class Strips(Threads):
    """Threads of the process itself, but a job gets another text."""

    def changed(self, pool):
        return OtherResults(pool)


@dataclass(frozen=True)
class Swallows(Threads):
    """Threads of the process itself, but an error is an empty result."""

    def changed(self, pool):
        return NoErrors(pool)


@dataclass(frozen=True)
class Retries(Threads):
    """Threads of the process itself, but a job that failed runs once more."""

    def changed(self, pool):
        return Repeats(pool)


BROKEN = {"results": [Strips], "errors": [Swallows], "each once": [Retries]}
