"""Ctrl-C and other signals, deferred until the current step is complete."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

OnSignal = Callable[[int], None]
"""Called with a signal from within its handler, so it may only set a value or call `os.write`: the
interrupted code may hold any lock, or be in the middle of a write to a stream."""


class Stop:
    """Whether a signal has requested a stop, and which signal."""

    def __init__(self, on_signal: OnSignal | None = None) -> None:
        self.requested = False
        self.signal = 0
        self._on_signal = on_signal

    def on_first_signal(self, number: int, frame: FrameType | None) -> None:
        """Record the first signal; raise KeyboardInterrupt at the second."""
        if self.requested:
            raise KeyboardInterrupt(number)
        self.requested, self.signal = True, number
        if self._on_signal:
            self._on_signal(number)


@contextmanager
def deferred_signals(signals: Iterable[int], on_signal: OnSignal | None = None) -> Iterator[Stop]:
    """Record the first of these signals, and raise KeyboardInterrupt at the end of the context.

    `on_signal` is called immediately. The exception's argument is the signal's number. A second
    signal raises it immediately. Signals with a handler of the program are left alone, and so are
    all signals outside the main thread, where Python delivers none.
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
