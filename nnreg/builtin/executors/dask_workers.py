"""Workers of Dask, on this machine or on those of a cluster."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent import futures
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from nnreg._utils.extras import installed
from nnreg._utils.threads import available_cores
from nnreg.builtin.executors.processes import thread_variables
from nnreg.interfaces.component import Text
from nnreg.interfaces.executor import Executor


@dataclass(frozen=True)
class Dask(Executor):
    """Workers of Dask; a job is one task.

    Options:
        address: That of the scheduler, such as `tcp://node-1:8786`; without it, workers are
            started on this machine, by default one per core.
    """

    argument: ClassVar[str] = "address"

    address: Text | None = None

    @classmethod
    def missing(cls) -> str:
        """Return the library that is needed and not installed, with how to install it, or ""."""
        return "" if installed("distributed") else "Dask: pip install 'nnreg[dask]'"

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """Return workers on this machine."""
        return [cls()]

    @contextmanager
    def open(self, jobs: int | None, directory: Path) -> Iterator[tuple[futures.Executor, int]]:
        """Connect to the scheduler; by default as many jobs run as its workers have threads."""
        from distributed import Client, LocalCluster

        with ExitStack() as stack:
            target = self.address
            if target is None:
                cores = available_cores()
                count = jobs or cores
                stack.callback(_restore, dict(os.environ))
                target = stack.enter_context(
                    LocalCluster(
                        n_workers=count,
                        threads_per_worker=1,
                        dashboard_address=None,
                        env=thread_variables(max(cores // count, 1)),
                        silence_logs=50,
                    )
                )
            client = stack.enter_context(Client(target))
            pool = client.get_executor(pure=False, retries=0)
            try:
                yield pool, jobs or max(sum(client.nthreads().values()), 1)
            finally:
                pool.shutdown(wait=False)


def _restore(environment: Mapping[str, str]) -> None:
    """Undo what Dask sets in the environment of the program, for its workers."""
    for name in os.environ.keys() - environment.keys():
        del os.environ[name]
    os.environ.update(environment)
