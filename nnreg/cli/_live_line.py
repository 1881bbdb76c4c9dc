"""The live progress line of a training run, with a loss curve."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nnreg._utils.formatting import clock, compact, epoch_of
from nnreg.plotting.palette import TERMINAL, TRAINING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from nnreg.runs.run import Run


SLOW_EPOCH_SECONDS = 1.0
"""The seconds per epoch from which the finished fraction of an epoch is shown."""

WIDTH_FOR_LABELS, WIDTH_FOR_MORE_LABELS = 55, 90
"""The terminal widths from which the line has room for labels, and for more labels."""

BLOCKS = "▁▂▃▄▅▆▇█"
MIN_CURVE_WIDTH, MAX_CURVE_WIDTH = 6, 30
"""The minimum and maximum width of a loss curve, in characters."""

STYLES = {"epoch": "bold", "stopping": "yellow", "left": "dim", "best": "green"}
"""The colours of the fields of the line."""

MAX_SAMPLES = 8
"""The maximum number of epochs sampled per character of a loss curve, to limit drawing time."""


class LiveLine:
    """The progress of a run that trains in another thread, read each time it is drawn."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._began, self._from = time.monotonic(), run.epochs_done
        self._metrics = list(run.model.evaluation.named_metrics)
        self._stopping = self._ended = False

    def stop(self, _: int) -> None:
        """Show that the run is stopping."""
        self._stopping = True

    def end(self) -> None:
        """Stop showing the remaining time."""
        self._ended = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the line, leaving room at its end for the ^C that a terminal shows."""
        yield self.text(options.max_width - 3, blocks=not options.ascii_only)

    def text(self, width: int, *, blocks: bool = True) -> Text:
        """Return the most important fields that fit into `width` columns."""
        from rich.text import Text

        fields = self._fields(width)
        chosen: list[str] = []
        for name in ("epoch", "stopping", "fraction", "loss", "left", "watched", "best", "metric"):
            longer = [*chosen, name]
            needed = sum(len(fields[field]) + 2 for field in longer if field in fields) - 2
            if name == "metric":
                needed += MIN_CURVE_WIDTH + 2
            if name in fields and needed <= width:
                chosen = longer
        text = Text(no_wrap=True, overflow="crop")
        for name, field in fields.items():
            if name in chosen:
                text.append(f"{'  ' if text else ''}{field}", STYLES.get(name, ""))
        room = width - len(text) - 2
        if blocks and room >= MIN_CURVE_WIDTH and not self._stopping:
            drawn = curve(self._run.model.training_state.history, min(room, MAX_CURVE_WIDTH))
            text.append(f"  {drawn}", TERMINAL[TRAINING])
        return text

    def _fields(self, width: int) -> dict[str, str]:
        """Return the fields of the line by name, in the order in which they are shown."""
        run, done = self._run, self._run.epochs_done
        epochs, history = run.model.spec.train.epochs, run.model.history.records
        elapsed = time.monotonic() - self._began
        pace = (done - self._from) / elapsed if elapsed > 0 else 0.0
        epoch = math.ceil(done) if self._ended else min(int(done) + 1, epochs)
        label = "epoch " if width >= WIDTH_FOR_LABELS else ""
        fields = {"epoch": f"{label}{epoch_of(epoch, epochs)}"}
        if self._stopping:
            again = "; Ctrl-C again stops at once" if width >= WIDTH_FOR_LABELS + 5 else ""
            fields["stopping"] = f"stopping and saving{again}"
        training = not (self._ended or self._stopping)
        if training and elapsed > SLOW_EPOCH_SECONDS and pace < 1 / SLOW_EPOCH_SECONDS:
            fields["fraction"] = f"{done % 1:4.0%}"
        if history:
            fields |= self._metric_fields(history)
        if training and pace > 0 and elapsed > SLOW_EPOCH_SECONDS / 2:
            label = " left" if width >= WIDTH_FOR_MORE_LABELS else ""
            fields["left"] = f"{clock((epochs - done) / pace)}{label}"
        return fields

    def _metric_fields(self, history: Sequence[Mapping[str, float]]) -> dict[str, str]:
        """Return the latest metrics, and the best value so far."""
        last, watched = history[-1], self._run.monitor
        shown = {"loss": "loss"}
        if watched is not None and watched in last and watched != "loss":
            shown["watched"] = watched
        metrics = [f"val_{name}" for name in self._metrics] + self._metrics
        found = [name for name in metrics if name in last and name not in shown.values()]
        fields = {field: f"{name} {compact(last[name])}" for field, name in shown.items()}
        best = self._run.model.training_state.best_epoch
        if watched is not None and 0 < best <= len(history):
            fields["best"] = f"best {compact(history[best - 1][watched])} ({best})"
        if found:
            fields["metric"] = f"{found[0]} {compact(last[found[0]])}"
        return fields


def curve(history: Sequence[Mapping[str, float]], width: int) -> str:
    """Draw the loss in block characters, on a logarithmic scale if all values are positive."""
    width = min(width, len(history))
    ends = [len(history) * cell // width for cell in range(width + 1)] if width else []
    means = [_mean_loss(history[a : b : max((b - a) // MAX_SAMPLES, 1)]) for a, b in pairwise(ends)]
    scale: Callable[[float], float] = math.log if all(m > 0 for m in means) else float
    heights = [scale(mean) for mean in means]
    low, high = min(heights, default=0.0), max(heights, default=0.0)
    step = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((height - low) * step)] for height in heights)


def _mean_loss(records: Sequence[Mapping[str, float]]) -> float:
    return sum(record["loss"] / len(records) for record in records)
