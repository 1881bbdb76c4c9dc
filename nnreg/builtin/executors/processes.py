"""Processes on this machine, each of which executes one job after another."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from nnreg._utils import json_text
from nnreg._utils.threads import available_cores
from nnreg.interfaces.executor import Executor

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip
"""The variables by which BLAS libraries, and then nnreg, know how many threads to start."""

START = (
    "import json, sys; sys.path[:], sys.argv = json.loads(sys.argv[1]); "
    "from nnreg.builtin.executors.child import main; main()"
)
"""The program of a process. The path is that of its parent, so that both find the same modules, and
so are the arguments, which a run records."""

MAX_LAST_WORDS = 200
"""The most characters shown of what a process wrote before it ended."""

_Job: TypeAlias = "tuple[futures.Future[str], tuple[str, str, str]] | None"


@dataclass(frozen=True)
class Processes(Executor):
    """Processes on this machine, by default one per core.

    The cores are divided among the threads of their BLAS, unless a variable such as
    OMP_NUM_THREADS says how many threads each has. A process that is killed costs the run that it
    executed, which is reported as failed, and no other.
    """

    @contextmanager
    def open(self, jobs: int | None, directory: Path) -> Iterator[tuple[futures.Executor, int]]:
        """Start processes as they are needed, and stop them at the end."""
        cores = available_cores()
        count = jobs or cores
        pool = ProcessPool(count, thread_variables(max(cores // count, 1)))
        try:
            try:
                yield pool, count
            except BaseException:
                pool.stop()
                raise
            finally:
                pool.shutdown()
        except KeyboardInterrupt:  # a second one, while the jobs save, or the first
            pool.kill()
            raise


def thread_variables(threads: int) -> Mapping[str, str]:
    """Return the variables that limit the threads of a process, unless one is set."""
    if any(name in os.environ for name in THREAD_VARIABLES):
        return {}
    return dict.fromkeys(THREAD_VARIABLES, str(threads))


class ProcessPool(futures.Executor):
    """Executes jobs in child processes, each of which belongs to one thread.

    Python's own pool of processes fails all jobs if one process is killed.
    """

    def __init__(self, count: int, variables: Mapping[str, str]) -> None:
        self._variables = variables
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._children: set[_Child] = set()
        self._stopping = False
        self._threads = [threading.Thread(target=self._serve, daemon=True) for _ in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> futures.Future[Any]:
        """Call a function of a module with a text, in one of the processes."""
        future: futures.Future[str] = futures.Future()
        self._jobs.put((future, (fn.__module__, fn.__qualname__, *args)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """End the processes after the jobs that were submitted."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads if wait else ():
            thread.join()

    def stop(self) -> None:
        """Interrupt the jobs that run, and cancel the others."""
        self._stopping = True
        for child in list(self._children):
            child.end_input()

    def kill(self) -> None:
        """Kill the processes."""
        self._stopping = True
        for child in list(self._children):
            child.kill()

    def _serve(self) -> None:
        """Execute jobs in a child, and in another one if it ends."""
        child: _Child | None = None
        while (job := self._jobs.get()) is not None:
            future, request = job
            if self._stopping or not future.set_running_or_notify_cancel():
                future.cancel()
                continue
            try:
                if child is None:
                    child = _Child(self._variables)
                    self._children.add(child)
                    if self._stopping:  # it was not among those that were stopped
                        child.end_input()
                future.set_result(child.call(request))
            except RuntimeError as error:  # raised by the job
                future.set_exception(error)
            except (OSError, ValueError) as error:  # its process ended
                reason = child.end() if child else str(error)
                self._children.discard(child) if child else None
                child = None
                future.set_exception(RuntimeError(reason))
        if child is not None:
            child.end()
            self._children.discard(child)


class _Child:
    """A process that executes jobs."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `end`
        # Not in the group of the terminal, whose Ctrl-C would reach it beside that of its parent.
        separate: dict[str, Any] = (
            {"start_new_session": True}
            if os.name == "posix"
            else {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", START, json_text.dumps([sys.path, sys.argv])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._output,
            env={**os.environ, **variables},
            text=True,
            **separate,
        )

    def call(self, request: tuple[str, str, str]) -> str:
        """Return the result of a job. Raises RuntimeError for an error in it.

        Raises OSError or ValueError if the process has ended.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json_text.dumps(request) + "\n")
        self._process.stdin.flush()
        reply = json.loads(self._process.stdout.readline())  # ValueError for an empty line
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return str(reply["result"])

    def end_input(self) -> None:
        """Let the process end after it has interrupted its job."""
        with suppress(OSError, ValueError):
            assert self._process.stdin is not None
            self._process.stdin.close()

    def kill(self) -> None:
        """Kill the process."""
        self._process.kill()

    def end(self) -> str:
        """Wait for the end of the process, and return how it ended."""
        self.end_input()
        code = self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
        with self._output as output:
            output.seek(0)
            lines = output.read().decode(errors="replace").strip().splitlines()
        last = f": {lines[-1][:MAX_LAST_WORDS]}" if lines else ""
        if code >= 0:
            return f"its process ended with code {code}{last}"
        with suppress(ValueError):
            return f"its process was killed by {signal.Signals(-code).name}{last}"
        return f"its process was killed by signal {-code}{last}"
