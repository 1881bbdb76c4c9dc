"""Ctrl-C and its like, put off until what is under way is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

OnSignal = Callable[[int], None]
"""Told of a signal from within its handler, so that it may do no more than set a value or call
`os.write`: what the signal came into may hold any lock, or be half through a write to a stream."""


class Stop:
    """Whether a signal has asked to stop, and which."""

    def __init__(self, on_signal: OnSignal | None = None) -> None:
        self.requested = False
        self.signal = 0
        self._on_signal = on_signal

    def on_first_signal(self, number: int, frame: FrameType | None) -> None:
        """Take note of a first signal; raise KeyboardInterrupt at a second."""
        if self.requested:
            raise KeyboardInterrupt(number)
        self.requested, self.signal = True, number
        if self._on_signal:
            self._on_signal(number)


@contextmanager
def deferred_signals(signals: Iterable[int], on_signal: OnSignal | None = None) -> Iterator[Stop]:
    """Take note of the first of these signals, and raise KeyboardInterrupt as the context ends.

    `on_signal` is told of it at once. The exception's argument is the signal's number. A second
    signal raises it at once. Signals that the program itself handles are left to it, and so are all
    of them in other threads than the main one, where Python delivers none.
    """
    stop = Stop(on_signal)
    default = (signal.default_int_handler, signal.SIG_DFL)
    before = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in signals}
        before = {number: old for number, old in handlers.items() if old in default}
    for number in before:
        signal.signal(number, stop.on_first_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if stop.requested:
        raise KeyboardInterrupt(stop.signal)
