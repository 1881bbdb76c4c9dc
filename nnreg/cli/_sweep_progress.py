"""The progress of a sweep: one line per run that ended, and on a terminal a line of its state."""

from __future__ import annotations

import sys
import time
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from nnreg._utils.formatting import clock, counted, duration, number
from nnreg.cli._output import console, print_lines
from nnreg.cli._progress import (
    REDRAWS_PER_SECOND,
    animated,
    on_signal_received,
    print_json_line,
)

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

    from nnreg.sweeps.execution import Execution
    from nnreg.sweeps.plan import Plan
    from nnreg.sweeps.results import RunResult


class SweepProgress:
    """Shows the progress of a sweep on standard error; with `as_json`, prints a line per run."""

    def __init__(self, *, quiet: bool, as_json: bool) -> None:
        self._quiet, self._as_json = quiet, as_json
        self._notes: set[str] = set()
        self._live: Live | None = None
        self._execution: Execution | None = None
        self._total, self._ended = 0, 0
        self._failed = 0
        self._names: dict[str, str] = {}
        self._metric = ""
        self._stopping = False
        self.executed = 0
        """The number of runs that were trained now, not before."""

    def __enter__(self) -> SweepProgress:
        return self

    def __exit__(
        self,
        _: type[BaseException] | None,
        __: BaseException | None,
        ___: TracebackType | None,
    ) -> None:
        if self._live is not None:
            with suppress(OSError):  # the terminal may be gone
                self._live.stop()

    def start(self, plan: Plan, execution: Execution) -> None:
        """Begin to show a sweep."""
        from nnreg.sweeps.space import short_names

        self._execution, self._total = execution, plan.count
        self._names, self._metric = short_names(plan.paths), plan.metric
        self._began = time.monotonic()
        if not self._quiet and not self._as_json and animated(sys.stderr):
            from rich.live import Live

            self._live = Live(
                self,
                console=console(err=True),
                refresh_per_second=REDRAWS_PER_SECOND,
                redirect_stdout=False,
                transient=True,
            )
            self._live.start()

    def result(self, result: RunResult) -> None:
        """Show how a run ended."""
        self._ended += 1
        self._failed += result.outcome in ("failed", "diverged")
        trained = result.name in (self._execution.trained if self._execution else ())
        self.executed += trained
        if self._as_json:
            print_json_line("run", _as_json(result))
        elif trained and not self._quiet:
            print_lines(self._line(result), err=True)

    def note(self, text: str) -> None:
        """Print a note of a run, once."""
        if text not in self._notes:
            self._notes.add(text)
            print_lines(f"note: {text}", err=True)

    def stop(self, number: int) -> None:
        """Show that the sweep is stopping; called from a signal handler."""
        self._stopping = True
        if self._live is None:
            on_signal_received(number)

    def count(self) -> str:
        """Return how many runs have ended."""
        return f"{self._ended} of {counted(self._total, 'run')} ended, and the others are saved"

    def _line(self, result: RunResult) -> str:
        from nnreg.sweeps.space import label

        point = [f"{self._names[p]}={label(v)}" for p, v in result.point.items()]
        width = len(str(self._total))
        fields = [f"{self._ended:>{width}}/{self._total}", result.name, *point]
        if result.value is not None:
            fields.append(f"{self._metric} {number(result.value)}")
            fields.append(duration(result.summary.get("seconds", 0.0)))
        else:
            fields.append(f"{result.outcome}: {result.reason}" if result.reason else result.outcome)
        return "  ".join(fields)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the line of the state."""
        from rich.text import Text

        execution = self._execution
        assert execution is not None
        fields = [f"{self._ended}/{counted(self._total, 'run')}"]
        if self._stopping:
            fields.append("stopping and saving; Ctrl-C again stops at once")
        else:
            fields.append(f"{len(execution.running)} running")
            if execution.elsewhere:
                fields.append(f"{len(execution.elsewhere)} in other processes")
            if self._failed:
                fields.append(f"{self._failed} failed")
            if self.executed:
                pace = (time.monotonic() - self._began) / self.executed
                fields.append(f"{clock(pace * (self._total - self._ended))} left")
        text = Text("  ".join(fields), "bold", no_wrap=True, overflow="crop")
        text.truncate(options.max_width - 3)
        yield text


def _as_json(result: RunResult) -> dict[str, Any]:
    return {
        "name": result.name,
        "point": dict(result.point),
        "seed": result.seed,
        "outcome": result.outcome,
        "reason": result.reason,
        "value": result.value,
        "directory": str(result.directory),
    }
