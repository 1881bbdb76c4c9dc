"""Tells a program that loops are about to be compiled, which takes seconds without output."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

NOTE = "Numba compiles its loops for this machine, which takes some seconds the first time"

_listeners: list[Callable[[str], None]] = []


def announce() -> None:
    """Tell all listeners that a loop is about to be compiled."""
    for listener in _listeners:
        listener(NOTE)


@contextmanager
def telling(listener: Callable[[str], None]) -> Iterator[None]:
    """Call the listener, in any thread, for each loop that is compiled."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
