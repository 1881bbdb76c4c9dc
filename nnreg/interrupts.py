"""Ctrl-C and its like, put off until what is under way is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether a signal has asked to stop, and which."""

    def __init__(self) -> None:
        self.requested = False
        self.signal = 0

    def note(self, number: int, frame: FrameType | None) -> None:
        """Take note of a first signal; raise KeyboardInterrupt at a second."""
        if self.requested:
            raise KeyboardInterrupt(number)
        self.requested, self.signal = True, number


@contextmanager
def deferred(signals: Iterable[int]) -> Iterator[Stop]:
    """Take note of the first of these signals, and raise KeyboardInterrupt as the context ends.

    The exception's argument is the signal's number. A second signal raises it at once. Signals that
    the program itself handles are left to it, and so are all of them in other threads than the
    main one, where Python delivers none.
    """
    stop = Stop()
    default = (signal.default_int_handler, signal.SIG_DFL)
    before = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in signals}
        before = {number: old for number, old in handlers.items() if old in default}
    for number in before:
        signal.signal(number, stop.note)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.requested:
        raise KeyboardInterrupt(stop.signal)
