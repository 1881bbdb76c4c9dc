"""The main function of a process that executes jobs: one line of JSON per job, and per result.

When its standard input ends, because the parent stopped or was killed, the job that runs gets a
KeyboardInterrupt as by Ctrl-C, which a training defers until it has saved.
"""

from __future__ import annotations

import _thread
import importlib
import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from nnreg._utils import json_text


def main() -> None:
    """Execute jobs until the standard input ends."""
    with os.fdopen(os.dup(1), "w") as results:  # what a plugin prints is not a result
        os.dup2(2, 1)
        # A shell starts background jobs with SIGINT ignored.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        jobs = _Jobs()
        threading.Thread(target=jobs.read, daemon=True).start()
        try:
            while (job := jobs.next()) is not None:
                result = _call(*job)
                jobs.busy = False
                print(json_text.dumps(result), file=results, flush=True)
        except (KeyboardInterrupt, BrokenPipeError):
            os._exit(130)  # not the usual end, which flushes a pipe that nobody reads


class _Jobs:
    """The jobs of the standard input, read by another thread."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self._ended = False
        self.busy = False

    def read(self) -> None:
        """Read lines until the end, then interrupt the job that runs."""
        for line in sys.stdin.buffer:
            self._queue.put(json.loads(line))
        self._ended = True
        self._queue.put(None)
        if self.busy:
            _thread.interrupt_main()

    def next(self) -> Any:
        """Return the next job; None at the end."""
        job = self._queue.get()
        self.busy = True
        return None if self._ended else job


def _call(module: str, function: str, argument: str) -> dict[str, str]:
    try:
        return {"result": getattr(importlib.import_module(module), function)(argument)}
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}
