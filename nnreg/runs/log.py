"""The entries of runs in the log of the library, which prints nothing itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from nnreg._utils.formatting import number
from nnreg.interfaces.run import RunView
from nnreg.runs.baseline import describe
from nnreg.training.state import Record

LOG = logging.getLogger("nnreg")


@contextmanager
def logged(run: RunView, *, enabled: bool) -> Iterator[None]:
    """Log the start and the end of a run, and its comparison with the baseline if there is one."""
    if not enabled:
        yield
        return
    state, epochs = run.model.training_state, run.model.spec.train.epochs
    LOG.info("%s: training from epoch %d to %d", run.name, state.epoch + 1, epochs)
    try:
        yield
    finally:
        verdict, stopped = run.summary.get("verdict"), run.summary.get("stopped", "failed")
        result = f"; {describe(verdict)}" if verdict else ""
        LOG.info("%s: ended (%s) after epoch %d%s", run.name, stopped, state.epoch, result)


def with_epochs(
    run: RunView, on_epoch: Callable[[Record], None] | None
) -> Callable[[Record], None] | None:
    """Return a callback that also logs each epoch, if the log wants to know."""
    if not LOG.isEnabledFor(logging.DEBUG):
        return on_epoch

    def log_epoch(record: Record) -> None:
        LOG.debug("%s: %s", run.name, "  ".join(f"{key} {number(v)}" for key, v in record.items()))
        if on_epoch:
            on_epoch(record)

    return log_epoch
