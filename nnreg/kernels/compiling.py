"""Tells a program that loops are about to be compiled, which takes seconds without output.

One that does not listen finds it in the log, as information that the logger "nnreg" gives once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOTE = "Numba compiles its loops for this machine, which takes some seconds the first time"

_listeners: list[Callable[[str], None]] = []


def announce() -> None:
    """Tell all listeners and the log that a loop is about to be compiled."""
    for listener in _listeners:
        listener(NOTE)
    _log_once()


@functools.cache
def _log_once() -> None:
    import logging  # which most processes do not need

    logging.getLogger("nnreg").info(NOTE)


@contextmanager
def telling(listener: Callable[[str], None]) -> Iterator[None]:
    """Call the listener, in any thread, for each loop that is compiled."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
