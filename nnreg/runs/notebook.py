"""The progress of a training in a Jupyter notebook: one line, which is replaced after epochs."""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Callable
from typing import Any

from nnreg._utils.formatting import clock, compact, duration, epoch_of
from nnreg.plotting.card import card
from nnreg.plotting.html import escape
from nnreg.runs.run import OnEpoch, Run
from nnreg.training.state import Record

SECONDS_BETWEEN_UPDATES = 0.2
"""The least time between two updates: each is a message that the notebook draws."""


def display_of_notebook() -> Callable[..., Any] | None:
    """Return the function that displays an object in this notebook; None outside of one."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if getattr(shell, "kernel", None) is None:  # a terminal, or no IPython
        return None
    display: Callable[..., Any] = importlib.import_module("IPython.display").display
    return display


class ProgressLine:
    """The line of one training or, for folds, of several, in the output of a cell."""

    def __init__(self, display: Callable[..., Any]) -> None:
        self._handle = display(_Shown("preparing", 0.0), display_id=True)

    def train(self, run: Run, on_epoch: OnEpoch | None) -> None:
        """Train a run and show its progress; the last state of the line says how it ended."""
        shown, began, first = 0.0, time.monotonic(), run.model.training_state.epoch

        def show_epoch(record: Record) -> None:
            nonlocal shown
            if on_epoch:
                on_epoch(record)
            now = time.monotonic()
            if now - shown >= SECONDS_BETWEEN_UPDATES:
                shown = now
                done = run.model.training_state.epoch
                pace = (now - began) / (done - first)
                self._show(run, f"{clock((run.model.spec.train.epochs - done) * pace)} left")

        self._show(run)
        try:
            run.train(show_epoch)
        finally:
            seconds = duration(time.monotonic() - began)
            self._show(run, _ENDS.get(run.summary.get("stopped", ""), "failed"), seconds)

    def _show(self, run: Run, *more: str) -> None:
        epochs, history = run.model.spec.train.epochs, run.model.training_state.history
        fold, folds = run.model.spec.train.fold, run.model.spec.train.folds
        metrics = {k: v for k, v in (history[-1] if history else {}).items() if k != "epoch"}
        best = run.model.training_state.best_epoch
        fields = [
            f"fold {fold} of {folds}" if fold and folds else "",
            f"epoch {epoch_of(len(history), epochs)}",
            *(
                f"{name} {compact(metrics[name])}"
                for name in ("loss", "val_loss")
                if name in metrics
            ),
            f"best epoch {best}" if best and run.monitor else "",
            *more,
        ]
        text = f"{run.name}: {', '.join(field for field in fields if field)}"
        self._handle.update(_Shown(text, min(len(history) / epochs, 1.0)))


_ENDS = {"epochs": "done", "early_stopping": "stopped early", "by_plugin": "stopped by a plugin"}
_ENDS |= {one: one for one in ("interrupted", "diverged")}


class _Shown:
    """A state of the line: as text, and as HTML with a bar."""

    def __init__(self, text: str, done: float) -> None:
        self._text, self._done = text, done

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        bar = f'<progress value="{self._done:.3f}" aria-label="epochs done"></progress>'
        return card("", f"<div>{bar}{escape(self._text)}</div>")
