"""Where the threads that run the same compiled function wait for each other.

They wait a few microseconds at a time, much less than it takes to wake a thread that sleeps. So
they keep asking, and let others have the core in between.
"""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.c_calls import call, load, store
from nnreg.kernels.numba.compile import compiled_exactly

LINE = 8
"""The numbers of a line of the cache: each thread writes to its own."""


@functools.cache
def yield_address() -> int:
    """Return where the function is that lets other threads have the core."""
    if sys.platform == "win32":
        function: Any = ctypes.WinDLL("kernel32").SwitchToThread
    else:
        function = ctypes.CDLL(None).sched_yield
    return ctypes.cast(function, ctypes.c_void_p).value or 0


class Barrier:
    """The numbers by which `wait` lets a number of threads pass together."""

    def __init__(self, threads: int) -> None:
        self.reached = np.zeros((threads + 1, LINE), np.int64)
        """How many phases each thread has ended; the last row says whether to give up."""

    def give_up(self) -> None:
        """End the waiting of all threads, one of which will not come."""
        self.reached[-1] = 1


@compiled_exactly
def wait(reached: Array, index: int, yield_core: int) -> bool:
    """Wait until all threads have ended as many phases as this one; False if one will not."""
    threads, line = reached.shape[0] - 1, reached.shape[1] * reached.itemsize
    first = reached.ctypes.data
    phase = load(first + index * line) + 1
    store(first + index * line, phase)
    for other in range(threads):
        while load(first + other * line) < phase:
            if load(first + threads * line):
                return False
            call(yield_core)
    return True
