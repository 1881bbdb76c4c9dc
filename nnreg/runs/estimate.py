"""What a training will take: memory by what it is for, and time, from a few steps that are made."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from nnreg.runs.prepare import PreparedRun
from nnreg.tables.lazy import LazyArray
from nnreg.training.evaluation import Examples
from nnreg.training.trainer import Trainer

SECONDS = 1.0
"""How long steps are made, about; the first fifth of it is not counted."""

WARM_UP_FRACTION = 0.2

MANY_EPOCHS = 10**9
"""Epochs enough that those of a spec never end the steps that are made."""

SAMPLE_ROWS = 2048
"""The rows of a validation part that are measured where no epoch ends meanwhile."""


@dataclass(frozen=True)
class Estimate:
    """What a training takes, as far as a few steps tell.

    `memory` has bytes by what they are for: the data, what is kept from step to step (see
    `Trainer.memory`), and `passes`, what the layers make of a batch at most. `steps` were made, of
    `epoch_steps` in an epoch, which takes `epoch_seconds`, validation included.
    """

    memory: dict[str, int]
    steps: int
    epoch_steps: int
    epochs: int
    epoch_seconds: float

    @property
    def seconds(self) -> float:
        """The time of all epochs; it is less where training stops early."""
        return self.epochs * self.epoch_seconds


def estimate(prepared: PreparedRun, seconds: float = SECONDS) -> Estimate:
    """Train for about so many seconds, and say what the whole training will take.

    The model is not a new one afterwards. Raises what training raises, such as `DivergedError`.
    """
    model, settings = prepared.model, prepared.model.spec.train
    trainer = model.trainer(prepared.train, prepared.validation, epochs=MANY_EPOCHS)
    passes = _pass_bytes(trainer)
    return Estimate(
        {
            "data": sum(map(_data_bytes, prepared.splits.values())),
            **trainer.memory(),
            "passes": passes,
        },
        epoch_seconds=_epoch_seconds(trainer, seconds),
        steps=model.training_state.step,
        epoch_steps=math.ceil(len(prepared.train) / settings.step_size),
        epochs=settings.epochs,
    )


def _pass_bytes(trainer: Trainer) -> int:
    """Make one step, measure some rows, and return the most memory that either took."""
    tracing = tracemalloc.is_tracing()
    if not tracing:
        tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        with closing(trainer.iterate(lambda: True)) as segments:
            next(segments)
        _validation_seconds(trainer)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def _epoch_seconds(trainer: Trainer, seconds: float) -> float:
    """Return how long an epoch takes: the mean of several, or as the steps of one tell.

    Not the middle one of several: the time that a busy machine gives to others counts too.
    """
    count, marks = len(trainer.train), list(_timed_steps(trainer, seconds))
    ends = [at for at, done in marks[1:] if done % count == 0]
    if len(ends) > 1:
        return (ends[-1] - ends[0]) / (len(ends) - 1)
    (first, some), (last, more) = marks[1 if len(marks) > 2 else 0], marks[-1]
    return (last - first) * count / (more - some) + _validation_seconds(trainer)


def _timed_steps(trainer: Trainer, seconds: float) -> Iterator[tuple[float, int]]:
    """Train, and yield at times how late it is, and how many examples were trained on."""

    def done() -> int:
        partial = trainer.training_state.epoch_state
        return trainer.training_state.epoch * len(trainer.train) + (partial.seen if partial else 0)

    began = time.perf_counter()
    pause_at, end = began + WARM_UP_FRACTION * seconds, began + seconds
    yield began, done()
    with closing(trainer.iterate(lambda: time.perf_counter() >= pause_at)) as segments:
        for _ in segments:
            now = time.perf_counter()
            yield now, done()
            if now >= end:
                break
            pause_at = end


def _validation_seconds(trainer: Trainer) -> float:
    """Measure the first rows of the validation part; return the seconds that all would take."""
    part = trainer.validation
    if part is None:
        return 0.0
    rows = np.arange(min(SAMPLE_ROWS, len(part)))
    x = part.x.select(rows) if isinstance(part.x, LazyArray) else part.x[rows]
    few = replace(part, x=x, targets=part.targets[rows], raw_targets=part.raw_targets[rows])
    began = time.perf_counter()
    trainer.evaluation.evaluate(trainer.network, few)
    return (time.perf_counter() - began) * len(part) / len(rows)


def _data_bytes(part: Examples) -> int:
    """Return the bytes of what examples keep in memory; of what stays in a file, two windows."""
    x = part.x
    rows = min(len(x), 2 * x.chunk_rows()) if isinstance(x, LazyArray) else len(x)
    targets = part.targets.nbytes + (
        0 if part.raw_targets is part.targets else part.raw_targets.nbytes
    )
    return rows * math.prod(x.shape[1:]) * x.dtype.itemsize + targets
