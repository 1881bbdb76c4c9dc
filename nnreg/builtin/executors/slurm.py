"""Jobs of Slurm, submitted by submitit."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from nnreg._utils.extras import installed
from nnreg.interfaces.component import Count, Text
from nnreg.interfaces.executor import Executor

POLL_SECONDS = 1.0
"""The seconds between two questions about the state of the jobs."""

JOBS = 100
"""The most jobs in the queue of Slurm by default."""


@dataclass(frozen=True)
class Slurm(Executor):
    """Jobs of the cluster manager Slurm, one per run, submitted by submitit.

    A job that reaches its time limit is reported as failed, and the next start of the sweep
    resumes it from its last checkpoint. The logs are in the directory `slurm` of the sweep.

    Options:
        partition: The partition of the cluster; by default that of the cluster.
        minutes: The time limit of a run.
        gigabytes: The memory of a run.
        cpus: The cores of a run.
        cluster: "local" starts processes on this machine instead, to try a sweep out.
    """

    argument: ClassVar[str] = "partition"

    partition: Text | None = None
    minutes: Count = 60
    gigabytes: Count = 4
    cpus: Count = 1
    cluster: Literal["slurm", "local"] = "slurm"

    @classmethod
    def missing(cls) -> str:
        """Return the library that is needed and not installed, with how to install it, or ""."""
        return "" if installed("submitit") else "submitit: pip install 'nnreg[slurm]'"

    @classmethod
    def examples(cls) -> Iterable[Any]:
        """Return processes on this machine."""
        return [cls(cluster="local")]

    @contextmanager
    def open(self, jobs: int | None, directory: Path) -> Iterator[tuple[futures.Executor, int]]:
        """Submit jobs; those that wait or run are cancelled if the context ends early."""
        import submitit

        submitter = submitit.AutoExecutor(folder=directory / "slurm", cluster=self.cluster)
        submitter.update_parameters(
            name="nnreg",
            timeout_min=self.minutes,
            mem_gb=self.gigabytes,
            cpus_per_task=self.cpus,
            **({} if self.partition is None else {"slurm_partition": self.partition}),
        )
        pool = _Submitted(submitter)
        try:
            yield pool, jobs or JOBS
        except BaseException:
            pool.cancel()
            raise
        finally:
            pool.shutdown()


class _Submitted(futures.Executor):
    """Submits jobs, and asks once per `POLL_SECONDS` whether they are done."""

    def __init__(self, submitter: Any) -> None:
        self._submitter = submitter
        self._jobs: dict[futures.Future[str], Any] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """Submit the call of a function."""
        future: futures.Future[str] = futures.Future()
        with self._lock:
            self._jobs[future] = self._submitter.submit(fn, *args)
        return future

    def cancel(self) -> None:
        """Cancel all jobs."""
        with self._lock:
            for job in self._jobs.values():
                job.cancel()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Stop asking for results."""
        self._closed.set()
        if wait:
            self._thread.join()

    def _poll(self) -> None:
        while not self._closed.wait(POLL_SECONDS):
            with self._lock:
                done = {future: job for future, job in self._jobs.items() if job.done()}
                for future in done:
                    del self._jobs[future]
            for future, job in done.items():
                try:
                    future.set_result(job.result())
                except Exception as error:
                    text = f"{_reason(error)}; log: {job.paths.stderr}"
                    future.set_exception(RuntimeError(text))


def _reason(error: Exception) -> str:
    """Return the last line of the traceback, or of the output, that an error of submitit quotes.

    Both begin after a line of dashes; a traceback ends before another one.
    """
    message, *quoted = re.split(r"^-{3,}$", str(error), flags=re.MULTILINE)
    lines = [line.strip() for line in (quoted[:1] or [message])[0].splitlines() if line.strip()]
    return (lines or message.splitlines() or [type(error).__name__])[-1]
