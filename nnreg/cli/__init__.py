"""The command line."""

from __future__ import annotations

import gc
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from nnreg import _openblas

NEW_OBJECTS = 200_000
"""The objects after which Python looks for cycles among new ones. Neither imports nor training make
cycles; by default it looks after 700, which takes 50 ms of each command."""


def main(args: list[str] | None = None) -> None:
    """Run a command and exit with its code; see `app.main`."""
    os.environ.setdefault(_openblas.VARIABLE, _openblas.TICKS)  # for the commands' own imports
    if args is None:  # the process has no other program
        gc.set_threshold(NEW_OBJECTS)
    try:
        with _quiet_ctrl_c():
            from nnreg.cli.app import main as run
        run(args)
    finally:
        if args is None:
            gc.freeze()  # else Python would look at every object once more at its end


@contextmanager
def _quiet_ctrl_c() -> Iterator[None]:
    """End the process at Ctrl-C with exit code 130, without a traceback.

    The imports take most of the first second, and nothing has been written. An exception could be
    caught, or printed, by any of the modules.
    """
    default = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not default or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, lambda *_: os._exit(128 + signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
