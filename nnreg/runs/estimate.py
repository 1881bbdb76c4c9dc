"""What a training will take: memory by what it is for, and time, from a few steps that are made."""

from __future__ import annotations

import math
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np

from nnreg.runs.prepare import Assembled
from nnreg.tables.lazy import Stored
from nnreg.training.evaluation import Examples
from nnreg.training.trainer import Trainer

SECONDS = 1.0
"""How long steps are made, about; the first fifth of it is not counted."""

WARMING = 0.2

ENDLESS = 10**9
"""Epochs enough that those of a spec never end the steps that are made."""

FEW = 2048
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


def estimate(assembled: Assembled, seconds: float = SECONDS) -> Estimate:
    """Train for about so many seconds, and say what the whole training will take.

    The model is not a new one afterwards. Raises what training raises, such as `DivergedError`.
    """
    model, settings = assembled.model, assembled.model.spec.train
    trainer = model.trainer(assembled.train, assembled.validation, epochs=ENDLESS)
    passes = _pass_bytes(trainer)
    return Estimate(
        {
            "data": sum(map(_data_bytes, assembled.parts.values())),
            **trainer.memory(),
            "passes": passes,
        },
        epoch_seconds=_epoch_seconds(trainer, seconds),
        steps=model.progress.step,
        epoch_steps=math.ceil(len(assembled.train) / settings.step_size),
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
        with closing(trainer.stretches(lambda: True)) as stretches:
            next(stretches)
        _measure_some(trainer)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        if not tracing:
            tracemalloc.stop()


def _epoch_seconds(trainer: Trainer, seconds: float) -> float:
    """Return how long an epoch takes: the mean of several, or as the steps of one tell.

    Not the middle one of several: the time that a busy machine gives to others counts too.
    """
    count, marks = len(trainer.train), list(_marks(trainer, seconds))
    ends = [at for at, done in marks[1:] if done % count == 0]
    if len(ends) > 1:
        return (ends[-1] - ends[0]) / (len(ends) - 1)
    (first, some), (last, more) = marks[1 if len(marks) > 2 else 0], marks[-1]
    return (last - first) * count / (more - some) + _measure_some(trainer)


def _marks(trainer: Trainer, seconds: float) -> Iterator[tuple[float, int]]:
    """Train, and yield at times how late it is, and how many examples were trained on."""

    def done() -> int:
        partial = trainer.progress.partial
        return trainer.progress.epoch * len(trainer.train) + (partial.seen if partial else 0)

    began = time.perf_counter()
    pause_at, end = began + WARMING * seconds, began + seconds
    yield began, done()
    with closing(trainer.stretches(lambda: time.perf_counter() >= pause_at)) as stretches:
        for _ in stretches:
            now = time.perf_counter()
            yield now, done()
            if now >= end:
                break
            pause_at = end


def _measure_some(trainer: Trainer) -> float:
    """Measure the first rows of the validation part; return the seconds that all would take."""
    part = trainer.validation
    if part is None:
        return 0.0
    rows = np.arange(min(FEW, len(part)))
    x = part.x.select(rows) if isinstance(part.x, Stored) else part.x[rows]
    few = replace(part, x=x, t=part.t[rows], truth=part.truth[rows])
    began = time.perf_counter()
    trainer.evaluation.measure(trainer.network, few)
    return (time.perf_counter() - began) * len(part) / len(rows)


def _data_bytes(part: Examples) -> int:
    """Return the bytes of what examples keep in memory; of what stays in a file, two windows."""
    x = part.x
    rows = min(len(x), 2 * x.window()) if isinstance(x, Stored) else len(x)
    targets = part.t.nbytes + (0 if part.truth is part.t else part.truth.nbytes)
    return rows * math.prod(x.shape[1:]) * x.dtype.itemsize + targets
