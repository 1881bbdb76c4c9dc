"""Training progress: a live line on a terminal, else one line per epoch."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

from nnreg._utils.formatting import epoch_of, number
from nnreg.cli._output import console, print_json, print_lines

if TYPE_CHECKING:
    from nnreg._utils.signals import OnSignal
    from nnreg.runs.run import OnEpoch, Run


REDRAWS_PER_SECOND = 8
"""How many times per second the live line is redrawn."""

SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)
"""The signals that stop training after the current step, and save. SIGHUP, which Windows does not
have, is sent when a terminal is closed; `nohup` makes a program ignore it."""

Callbacks: TypeAlias = "tuple[OnEpoch | None, OnSignal]"


@contextmanager
def showing_progress(
    run: Run, *, every: int | None, quiet: bool, as_json: bool
) -> Iterator[Callbacks]:
    """Show the progress of a run; yield its callbacks for epochs and signals.

    `every` is the number of epochs between two lines.
    """
    epochs = run.model.spec.train.epochs
    if quiet:
        yield None, on_signal_received
    elif as_json:
        fold = run.model.spec.train.fold
        first: dict[str, Any] = {} if fold is None else {"fold": fold}
        yield (
            every_nth(partial(print_json_line, "epoch", **first), epochs, every or 1),
            on_signal_received,
        )
    elif not animated(sys.stderr):
        yield every_nth(line_printer(epochs), epochs, every or 1), on_signal_received
    else:
        from rich.live import Live

        from nnreg.cli._live_line import LiveLine

        line = LiveLine(run)
        # Anything else written to standard error is printed above the line.
        live = Live(
            line,
            console=console(err=True),
            refresh_per_second=REDRAWS_PER_SECOND,
            redirect_stdout=False,
        )
        live.start()
        try:
            yield every_nth(line_printer(epochs), epochs, every) if every else None, line.stop
        finally:
            line.end()
            with suppress(OSError):  # the terminal may be gone
                live.stop()


def animated(stream: TextIO) -> bool:
    """Return True if a thread can redraw a line: on a capable terminal, and not in CI."""
    from nnreg._utils.threads import can_start_threads

    in_ci = os.environ.get("CI", "") not in ("", "0", "false")
    capable = stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")
    return capable and not in_ci and can_start_threads()


def on_signal_received(number: int) -> None:
    """Report a signal. It may arrive during a write, so no stream is used."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    text = f"{name}: stopping after this step and saving; {name} again stops at once\n"
    with suppress(OSError):
        prefix = "\n" if os.isatty(2) else ""  # after the ^C that a terminal shows
        os.write(2, f"{prefix}{text}".encode())


def every_nth(report: OnEpoch, epochs: int, every: int) -> OnEpoch:
    """Return a callback that reports every N epochs, the first and the last."""

    def report_some(record: Mapping[str, float]) -> None:
        epoch = int(record["epoch"])
        if epoch == 1 or epoch % every == 0 or epoch == epochs:
            report(dict(record))

    return report_some


def print_json_line(event: str, content: Mapping[str, Any], **first: Any) -> None:
    """Print an event as one line of JSON, with the keys `first` before its content."""
    print_json({"event": event, **first, **content}, indent=None)


def line_printer(epochs: int) -> OnEpoch:
    """Return a callback that prints a record as one line on standard error."""

    def print_line(record: Mapping[str, float]) -> None:
        metrics = "  ".join(f"{k} {number(v)}" for k, v in record.items() if k != "epoch")
        print_lines(f"epoch {epoch_of(int(record['epoch']), epochs)}  {metrics}", err=True)

    return print_line
