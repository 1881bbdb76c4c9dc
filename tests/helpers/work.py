"""Work that is counted, and waiting for others: the only module of the tests that reads a clock.

How long something takes depends on what else the machine does, so no test measures it. It counts
calls, steps or bytes, and CPU time only where a C library works out of sight, with a limit far
above what is needed and an input on which a worse algorithm would exceed it many times.
"""

import gc
import itertools
import signal
import sys
import time
from contextlib import contextmanager

HANG_SECONDS = 1200.0
"""The time after which a process or thread that a test waits for counts as hanging."""

CPU_SECONDS = 20.0
"""The limit of CPU time for what needs a few tenths of a second at most."""


def calls(function, *args):
    """Return the number of calls, of Python and C functions, that a call makes in this thread.

    The garbage collector waits: finalizers of what other tests left would be counted too.
    """
    counter, before, collects = itertools.count(), sys.getprofile(), gc.isenabled()

    def profile(frame, event, arg):
        if event in ("call", "c_call"):
            next(counter)

    gc.disable()
    sys.setprofile(profile)
    try:
        function(*args)
    finally:
        sys.setprofile(before)
        if collects:
            gc.enable()
    return next(counter)


def cpu_seconds(function, *args):
    """Return the CPU time of all threads of this process during a call."""
    began = time.process_time()
    function(*args)
    return time.process_time() - began


def wait_until(condition, process=None):
    """Wait until a condition is true, while a process that makes it true is running."""
    end = time.monotonic() + HANG_SECONDS
    while not condition():
        assert process is None or process.poll() is None, "the process has ended"
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.01)


def end_after_cpu_seconds(seconds):
    """Let the system end this process, even in a C library, after this much more CPU time."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, seconds)


@contextmanager
def ended_if_it_hangs():
    """Let the system end this process if what is inside waits for ever."""
    signal.alarm(int(HANG_SECONDS))
    yield
    signal.alarm(0)


CPU_TIME_IS_OVER = -getattr(signal, "SIGPROF", 10**6)
"""The exit code of a process that was ended for its CPU time."""


class Clock:
    """A clock that stands still until a test sets it; it replaces the module `time`."""

    def __init__(self, now=100.0):
        self.now = now

    def perf_counter(self):
        return self.now

    monotonic = perf_counter


class CpuClock:
    """A clock of the CPU time of this process; it replaces the module `time`."""

    perf_counter = staticmethod(time.process_time)
