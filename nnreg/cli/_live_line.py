"""The live line of a training, and the loss curve in it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from nnreg._utils.formatting import clock, compact
from nnreg.plotting.palette import TERMINAL, TRAINING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.text import Text

    from nnreg.runs.run import Run


SLOW = 1.0
"""The seconds of an epoch from which on the share of it that is done is shown."""

WIDE, SPACIOUS = 55, 90
"""The columns of a terminal that has room for a word, and for another."""

BLOCKS = "▁▂▃▄▅▆▇█"
NARROWEST, WIDEST = 6, 30
"""The characters of a loss curve."""

STYLES = {"epoch": "bold", "stopping": "yellow", "left": "dim", "best": "green"}
"""How the parts of the line are coloured."""

SAMPLES = 8
"""The most epochs that one character of a loss curve looks at, so that drawing takes no longer."""


class LiveLine:
    """A line about a run that trains in another thread, as it is whenever it is drawn."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._began, self._from = time.monotonic(), run.epochs_done
        self._metrics = list(run.model.evaluation.named_metrics)
        self._stopping = self._ended = False

    def stop(self, _: int) -> None:
        """Show from now on that the run is about to stop."""
        self._stopping = True

    def end(self) -> None:
        """Show no more what is to come."""
        self._ended = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the line, and leave room at its end for the ^C that a terminal shows."""
        yield self.text(options.max_width - 3, blocks=not options.ascii_only)

    def text(self, width: int, *, blocks: bool = True) -> Text:
        """Return what fits into so many columns, the most important first."""
        from rich.text import Text

        parts = self._parts(width)
        chosen: list[str] = []
        for name in ("epoch", "stopping", "share", "loss", "left", "watched", "best", "metric"):
            longer = [*chosen, name]
            needed = sum(len(parts[part]) + 2 for part in longer if part in parts) - 2
            if name == "metric":
                needed += NARROWEST + 2
            if name in parts and needed <= width:
                chosen = longer
        text = Text(no_wrap=True, overflow="crop")
        for name, part in parts.items():
            if name in chosen:
                text.append(f"{'  ' if text else ''}{part}", STYLES.get(name, ""))
        room = width - len(text) - 2
        if blocks and room >= NARROWEST and not self._stopping:
            drawn = curve(self._run.model.training_state.history, min(room, WIDEST))
            text.append(f"  {drawn}", TERMINAL[TRAINING])
        return text

    def _parts(self, width: int) -> dict[str, str]:
        """Return the parts of the line by their names, in the order in which they stand."""
        run, done = self._run, self._run.epochs_done
        epochs, history = run.model.spec.train.epochs, run.model.history.records
        elapsed = time.monotonic() - self._began
        pace = (done - self._from) / elapsed if elapsed > 0 else 0.0
        epoch = math.ceil(done) if self._ended else min(int(done) + 1, epochs)
        parts = {"epoch": f"{'epoch ' if width >= WIDE else ''}{place(epoch, epochs)}"}
        if self._stopping:
            again = "; Ctrl-C again stops at once" if width >= WIDE + 5 else ""
            parts["stopping"] = f"stopping and saving{again}"
        going = not (self._ended or self._stopping)
        if going and elapsed > SLOW and pace < 1 / SLOW:
            parts["share"] = f"{done % 1:4.0%}"
        if history:
            parts |= self._figures(history)
        if going and pace > 0 and elapsed > SLOW / 2:
            words = " left" if width >= SPACIOUS else ""
            parts["left"] = f"{clock((epochs - done) / pace)}{words}"
        return parts

    def _figures(self, history: Sequence[Mapping[str, float]]) -> dict[str, str]:
        """Return the last figures, and the best so far."""
        last, watched = history[-1], self._run.monitor
        shown = {"loss": "loss"}
        if watched is not None and watched in last and watched != "loss":
            shown["watched"] = watched
        metrics = [f"val_{name}" for name in self._metrics] + self._metrics
        found = [name for name in metrics if name in last and name not in shown.values()]
        figures = {part: f"{name} {compact(last[name])}" for part, name in shown.items()}
        best = self._run.model.training_state.best_epoch
        if watched is not None and 0 < best <= len(history):
            figures["best"] = f"best {compact(history[best - 1][watched])} ({best})"
        if found:
            figures["metric"] = f"{found[0]} {compact(last[found[0]])}"
        return figures


def place(epoch: int, epochs: int) -> str:
    """Return an epoch among all, in the same number of characters each time."""
    return f"{epoch:>{len(str(epochs))}}/{epochs}"


def curve(history: Sequence[Mapping[str, float]], width: int) -> str:
    """Draw the loss in block characters, on a logarithmic scale where all are positive."""
    width = min(width, len(history))
    ends = [len(history) * cell // width for cell in range(width + 1)] if width else []
    means = [_mean_loss(history[a : b : max((b - a) // SAMPLES, 1)]) for a, b in pairwise(ends)]
    scale: Callable[[float], float] = math.log if all(m > 0 for m in means) else float
    heights = [scale(mean) for mean in means]
    low, high = min(heights, default=0.0), max(heights, default=0.0)
    step = (len(BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(BLOCKS[round((height - low) * step)] for height in heights)


def _mean_loss(records: Sequence[Mapping[str, float]]) -> float:
    return sum(record["loss"] / len(records) for record in records)
