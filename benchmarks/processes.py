"""The measured processes: commands, and a worker process for each library.

The peak memory that the system reports for a process is never below that of its parent, so the
process that imports this module must stay small: no NumPy.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness import Effort, UnavailableError

ROOT = Path(__file__).resolve().parent.parent
KILOBYTE = 1 if sys.platform == "darwin" else 1024
"""Bytes per unit of ru_maxrss."""


def limited(threads: int, *, path: Path | None = None) -> dict[str, str]:
    """Return the environment of a process with `threads` threads; `path` is added to PYTHONPATH.

    The process keeps the bytecode of a checkout, as a library that is installed has its own:
    otherwise nnreg would be compiled in each process that is measured, and the others would not.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    paths = [str(path or ""), str(ROOT), os.environ.get("PYTHONPATH", "")]
    variables = {
        **os.environ,
        **dict.fromkeys(names, str(threads)),
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
    }
    variables.pop("PYTHONDONTWRITEBYTECODE", None)
    return variables


def compile_nnreg() -> None:
    """Write the bytecode of nnreg, so that the first process that is measured finds it too."""
    run(python("-m", "compileall", "-q", "nnreg"), limited(1), ROOT)


def pin(cores: int) -> None:
    """Limit this process, and each that it starts later, to a number of cores; only on Linux."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-cores:])


@dataclass(frozen=True)
class Finished:
    """A process that has ended: from its start to its end, and its peak memory in bytes.

    `processor` is the time in seconds that it and its children took of the processor.
    """

    seconds: float
    peak: float
    output: str
    processor: float

    def time(self, effort: Effort) -> float:
        """Return the seconds of the kind that is measured."""
        return self.processor if effort.processor else self.seconds


def run(
    command: Sequence[str], environment: Mapping[str, str], directory: Path | None = None
) -> Finished:
    """Run a command to its end, in a directory where one is given.

    Raises `UnavailableError` with its last line where it fails.
    """
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=output, stderr=errors, env=environment, cwd=directory
        )
        usage = _reap(process)
        seconds = time.perf_counter() - began
        for file in (output, errors):
            file.seek(0)
        if code := process.returncode:
            raise UnavailableError(
                (errors.read().strip().splitlines() or [f"exit code {code}"])[-1][:120]
            )
        return Finished(seconds, _peak(usage), output.read(), usage.ru_utime + usage.ru_stime)


def python(*arguments: str) -> list[str]:
    """Return the command that runs Python with these arguments."""
    return [sys.executable, *arguments]


def _reap(process: subprocess.Popen[str]) -> resource.struct_rusage:
    """Wait for a process, set its exit code and return what it used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return usage


def _peak(usage: resource.struct_rusage) -> float:
    """Return the peak memory in bytes."""
    return float(usage.ru_maxrss * KILOBYTE)


class Worker:
    """The process of one library, which keeps its network until another task is requested."""

    def __init__(self, peer: str, threads: int, *, processor: bool = False) -> None:
        self.processor = processor
        self.process = subprocess.Popen(
            python("-m", "benchmarks.worker", peer),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=limited(threads),
        )

    def ask(self, task: str, seconds: float, **arguments: Any) -> float:
        """Return the seconds of a task; raise `UnavailableError` if it fails."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        request = {
            "task": task, "arguments": arguments, "seconds": seconds, "processor": self.processor
        }  # fmt: skip
        try:
            self.process.send_signal(signal.SIGCONT)
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            reply = json.loads(self.process.stdout.readline())
        except (OSError, ValueError):
            raise UnavailableError("the process died") from None
        finally:
            # idle threads of the library may spin, which would slow down the next measurement
            self.process.send_signal(signal.SIGSTOP)
        if "error" in reply:
            raise UnavailableError(reply["error"])
        return float(reply["seconds"])

    def close(self) -> float:
        """End the process and return its peak memory in bytes."""
        if self.process.returncode is not None:
            return 0.0
        self.process.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()
        return _peak(_reap(self.process))


class Workers:
    """Workers by library, each started on first use; closed with the context."""

    def __init__(self, effort: Effort) -> None:
        self._effort = effort
        self._started: dict[str, Worker] = {}

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._started.values():
            worker.close()

    def ask(self, peer: str, task: str, seconds: float, **arguments: Any) -> float:
        """Return the seconds of a task of a library; see `Worker.ask`."""
        if peer not in self._started:
            effort = self._effort
            self._started[peer] = Worker(peer, effort.threads, processor=effort.processor)
        return self._started[peer].ask(task, seconds, **arguments)
