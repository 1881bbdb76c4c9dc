"""The base class of executors, which run the jobs of a sweep in other processes."""

from __future__ import annotations

from concurrent import futures
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar

from nnreg.interfaces.component import Component


class Executor(Component):
    """A way to run jobs in other processes, on this machine or others.

    A job is the call of a function of a module with one text, and its result is a text: nothing
    else travels between processes. Every process needs the same nnreg and plugins, and the same
    directory of the sweep, for example on a shared file system.
    """

    kind = "executor"
    argument: ClassVar[str] = ""
    """The option, a text, that `--on NAME:VALUE` sets; empty for none."""

    @classmethod
    def missing(cls) -> str:
        """Return the library that is needed and not installed, with how to install it, or ""."""
        return ""

    def open(
        self, jobs: int | None, directory: Path
    ) -> AbstractContextManager[tuple[futures.Executor, int]]:
        """Return a context with an executor for jobs, and the number that it runs at a time.

        `jobs` is the number that the user asked for; None for as many as pay. `directory` is for
        files of its own, such as logs; it may not exist. Each job runs once. A future raises an
        exception if its process ended without a result, and the executor then continues with the
        other jobs. If the context ends with an exception, jobs that run are stopped, if possible by
        raising KeyboardInterrupt in them, so that they save.
        """
        raise NotImplementedError
