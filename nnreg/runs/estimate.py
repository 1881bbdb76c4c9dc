"""Estimates of a training's memory, by purpose, and time, from a few training steps."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from nnreg.runs.prepare import PreparedRun
from nnreg.tables.lazy import LazyArray
from nnreg.tables.named import NamedArrays
from nnreg.tables.windows import Windows
from nnreg.training.evaluation import Examples
from nnreg.training.trainer import Trainer

SECONDS = 1.0
"""The approximate time for training steps; the first fifth of it is not counted."""

WARM_UP_FRACTION = 0.2

MANY_EPOCHS = 10**9
"""More epochs than the steps can reach, so that the spec's own do not end them."""

SAMPLE_ROWS = 2048
"""The validation rows that are evaluated if no epoch ends within the time."""


@dataclass(frozen=True)
class Estimate:
    """The estimated memory and time of a training.

    `memory` has bytes by purpose: the data, those of `Trainer.memory`, and `passes`, the peak for
    the activations of a batch. `steps` steps were done. An epoch has `epoch_steps` steps and takes
    `epoch_seconds`, including validation. `division` is the number of threads and of shards, and
    whether results are reproducible, as in the summary of a run.
    """

    memory: dict[str, int]
    steps: int
    epoch_steps: int
    epochs: int
    epoch_seconds: float
    division: Mapping[str, Any]

    @property
    def seconds(self) -> float:
        """The time of all epochs; early stopping makes it shorter."""
        return self.epochs * self.epoch_seconds


def estimate(prepared: PreparedRun, seconds: float = SECONDS, *, check: bool = True) -> Estimate:
    """Train for about this many seconds, and estimate the whole training.

    The model is changed by it. Raises what training raises, such as `DivergedError`. Without
    `check`, the components of plugins are not tested first.
    """
    model, settings = prepared.model, prepared.model.spec.train
    trainer = model.trainer(prepared.train, prepared.validation, epochs=MANY_EPOCHS, check=check)
    passes = _pass_bytes(trainer)
    return Estimate(
        {
            "data": sum(
                _data_bytes(split)
                for split in prepared.splits.values()
                if split.holders is None  # else the training rows again
            ),
            **trainer.memory(),
            "passes": passes,
        },
        epoch_seconds=_epoch_seconds(trainer, seconds),
        steps=model.training_state.step,
        epoch_steps=math.ceil(len(prepared.train) / settings.step_size),
        epochs=settings.epochs,
        division=trainer.division.record,
    )


def _pass_bytes(trainer: Trainer) -> int:
    """Return the peak memory of one training step and of evaluating some rows."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with closing(trainer.iterate(lambda: True)) as steps:
            next(steps)
        _validation_seconds(trainer)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def _epoch_seconds(trainer: Trainer, seconds: float) -> float:
    """Return the time of an epoch: the mean of several, or extrapolated from some steps of one.

    It is not the median: the time that a busy machine spends on other processes counts too.
    """
    count, marks = len(trainer.train), list(_timed_steps(trainer, seconds))
    ends = [at for at, done in marks[1:] if done % count == 0]
    if len(ends) > 1:
        return (ends[-1] - ends[0]) / (len(ends) - 1)
    (first, some), (last, more) = marks[1 if len(marks) > 2 else 0], marks[-1]
    return (last - first) * count / (more - some) + _validation_seconds(trainer)


def _timed_steps(trainer: Trainer, seconds: float) -> Iterator[tuple[float, int]]:
    """Train, and yield several times the current time and the number of examples done."""

    def done() -> int:
        state = trainer.training_state
        seen = state.epoch_state.seen if state.epoch_state else 0
        return state.epoch * len(trainer.train) + seen

    began = time.perf_counter()
    pause_at, end = began + WARM_UP_FRACTION * seconds, began + seconds
    yield began, done()

    def pause() -> bool:
        return time.perf_counter() >= pause_at

    with closing(trainer.iterate(pause, each_step=False)) as steps:
        for _ in steps:
            now = time.perf_counter()
            yield now, done()
            if now >= end:
                break
            pause_at = end


def _validation_seconds(trainer: Trainer) -> float:
    """Evaluate the first validation rows; return the seconds that all rows would take."""
    examples = trainer.validation
    if examples is None:
        return 0.0
    rows = np.arange(min(SAMPLE_ROWS, len(examples)))
    x = examples.x.select(rows) if isinstance(examples.x, LazyArray) else examples.x[rows]
    targets, raw_targets = examples.targets[rows], examples.raw_targets[rows]
    holders = None if examples.holders is None else examples.holders[rows]
    sample = replace(examples, x=x, targets=targets, raw_targets=raw_targets, holders=holders)
    began = time.perf_counter()
    with trainer.blas_threads():
        trainer.evaluation.evaluate(trainer.network, sample, reproducible=trainer.reproducible)
    return (time.perf_counter() - began) * len(examples) / len(rows)


def _data_bytes(examples: Examples) -> int:
    """Return the bytes of examples in memory; if the inputs stay in a file, two chunks of them."""
    x, targets, raw_targets = examples.x, examples.targets, examples.raw_targets
    if isinstance(x, NamedArrays | Windows):
        input_bytes = x.nbytes
    else:
        rows = min(len(x), 2 * x.chunk_rows()) if isinstance(x, LazyArray) else len(x)
        input_bytes = rows * math.prod(x.shape[1:]) * x.dtype.itemsize
    target_bytes: int = targets.nbytes + (0 if raw_targets is targets else raw_targets.nbytes)
    return int(input_bytes + target_bytes)
