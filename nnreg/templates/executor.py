"""The executor my_component for nnreg."""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from nnreg import Count, Executor, hookimpl


@dataclass(frozen=True)
class MyComponent(Executor):
    """The processes of Python's `concurrent.futures`.

    All jobs fail if one of the processes is killed. If the same sweep is started again, it
    continues.

    Options:
        processes: how many jobs run at a time unless --jobs says it, > 0; null for one per core
    """

    processes: Count | None = None

    @classmethod
    def examples(cls) -> list["MyComponent"]:
        """Return the instances that are checked."""
        return [cls(processes=2)]

    @contextmanager
    def open(self, jobs: int | None, directory: Path) -> Iterator[tuple[ProcessPoolExecutor, int]]:
        """Start the processes, and end them with the context."""
        count = jobs or self.processes or os.cpu_count() or 1
        pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"))
        try:
            yield pool, count
        except BaseException:  # of the jobs, Ctrl-C reaches those that run
            pool.shutdown(cancel_futures=True)
            raise
        pool.shutdown()


@hookimpl
def nnreg_executors() -> dict[str, type[Executor]]:
    """Return what this plugin provides, by the name that `--on` takes."""
    return {"my_component": MyComponent}
