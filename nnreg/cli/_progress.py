"""What a training shows while it goes on: a live line on a terminal, else a line an epoch."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO, TypeAlias

import click

from nnreg._utils.formatting import number
from nnreg.cli._live_line import LiveLine, place

if TYPE_CHECKING:
    from nnreg._utils.signals import OnSignal
    from nnreg.runs.run import OnEpoch, Run


REDRAWS_PER_SECOND = 8
"""How often a second the live line is drawn again."""

Shown: TypeAlias = "tuple[OnEpoch | None, OnSignal]"


@contextmanager
def showing_progress(run: Run, *, every: int | None, quiet: bool, as_json: bool) -> Iterator[Shown]:
    """Give what to tell of a run's epochs and of a signal, and show it meanwhile.

    `every` is the number of epochs from one line to the next.
    """
    epochs = run.model.spec.train.epochs
    if quiet:
        yield None, on_signal_received
    elif as_json:
        fold = run.model.spec.train.fold
        known: dict[str, Any] = {} if fold is None else {"fold": fold}
        yield (
            every_nth(partial(print_json_line, "epoch", **known), epochs, every or 1),
            on_signal_received,
        )
    elif not animated(sys.stderr):
        yield every_nth(line_printer(epochs), epochs, every or 1), on_signal_received
    else:
        from rich.console import Console
        from rich.live import Live

        line = LiveLine(run)
        console = Console(stderr=True, highlight=False)
        # What goes to standard error meanwhile is printed above the line.
        with Live(
            line, console=console, refresh_per_second=REDRAWS_PER_SECOND, redirect_stdout=False
        ):
            try:
                yield every_nth(line_printer(epochs), epochs, every) if every else None, line.stop
            finally:
                line.end()


def animated(stream: TextIO) -> bool:
    """Whether a line may be drawn again and again: on a terminal that can, and where one looks."""
    unseen = os.environ.get("CI", "") not in ("", "0", "false")
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown") and not unseen


def on_signal_received(number: int) -> None:
    """Say that a signal was heard. It may have come within a write: no stream is touched."""
    name = "Ctrl-C" if number == signal.SIGINT else signal.Signals(number).name
    text = f"{name}: stopping after this step and saving; once more stops at once\n"
    with suppress(OSError):
        beginning = "\n" if os.isatty(2) else ""  # after the ^C that a terminal shows
        os.write(2, f"{beginning}{text}".encode())


def every_nth(report: OnEpoch, epochs: int, every: int) -> OnEpoch:
    """Return what tells of every so many epochs, of the first and of the last one."""

    def tell_some(record: Mapping[str, float]) -> None:
        epoch = int(record["epoch"])
        if epoch == 1 or epoch % every == 0 or epoch == epochs:
            report(dict(record))

    return tell_some


def print_json_line(event: str, content: Mapping[str, Any], **known: Any) -> None:
    """Print what happened as a line of JSON, as soon as it did, what is `known` of it first."""
    click.echo(json.dumps({"event": event, **known, **content}))


def line_printer(epochs: int) -> OnEpoch:
    """Return what prints a record as a line to standard error."""

    def print_line(record: Mapping[str, float]) -> None:
        figures = "  ".join(f"{k} {number(v)}" for k, v in record.items() if k != "epoch")
        click.echo(f"epoch {place(int(record['epoch']), epochs)}  {figures}", file=sys.stderr)

    return print_line
