"""The loss over the learning rate, from steps whose rate grows: a range test (Smith 2017)."""

from __future__ import annotations

import math
from contextlib import closing, suppress
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.optimizers.wrappers import Wrapper
from nnreg.errors import DivergedError, UsageError
from nnreg.interfaces.optimizer import Optimizer
from nnreg.interfaces.schedule import Schedule, ScheduleContext
from nnreg.runs.prepare import PreparedRun

WINDOW = 7
"""The steps whose losses are averaged, since those of single batches vary."""

RISE = 4.0
"""A loss this many times the lowest, of averaged ones, ends the steps."""

MIN_STEPS = 10
"""The fewest steps from which a rate can be suggested."""


@dataclass(frozen=True)
class Growing(Schedule):
    """A rate that grows from step to step, in equal ratios.

    factor = first · ratio^s, s the number of steps done
    """

    first: float
    ratio: float

    def factor(self, context: ScheduleContext) -> float:
        """Return the factor of a step."""
        return self.first * self.ratio**context.step


@dataclass(frozen=True)
class RateCurve:
    """The learning rate and the loss of each step; `smooth` are the averaged losses.

    `suggested` is the rate at which the averaged loss falls most steeply over the logarithm of the
    rate, before it is lowest; None if it falls by no more than single losses vary.
    """

    rates: Array
    losses: Array

    @property
    def smooth(self) -> Array:
        """The mean loss of the steps around each."""
        half = WINDOW // 2
        spans = [slice(max(k - half, 0), k + half + 1) for k in range(len(self.losses))]
        return np.array([np.mean(self.losses[span]) for span in spans])

    @property
    def suggested(self) -> float | None:
        """The rate of the steepest descent."""
        smooth = self.smooth
        if len(smooth) < MIN_STEPS:
            return None
        lowest = int(np.argmin(smooth))
        noise = float(np.std((self.losses - smooth)[: lowest + 1]))
        if not smooth[0] - smooth[lowest] > 2 * noise:
            return None
        return float(self.rates[np.argmin(np.gradient(smooth)[: lowest + 1])])


def rate_curve(
    prepared: PreparedRun,
    lowest: float,
    highest: float,
    steps: int,
    *,
    check: bool = True,
) -> RateCurve:
    """Train with rates that grow from `lowest` to `highest`, until the loss rises or diverges.

    The model is changed by it, and nothing is written. Its spec must plan at least as many epochs
    as `steps`, so that the schedule covers them.
    """
    if not 0 < lowest < highest < math.inf:
        raise UsageError(f"found the rates {lowest:g} to {highest:g}; expected 0 < first < last")
    if steps < MIN_STEPS:
        raise UsageError(f"found {steps} steps; {MIN_STEPS} or more are needed")
    model, records = prepared.model, list[tuple[float, float]]()
    if model.spec.optimizer.full_batch:
        name = type(model.spec.optimizer).__name__
        raise UsageError(
            f"{name} needs the steps before at the same rate, and finds their sizes by a line "
            "search; keep its default, or compare runs with other rates"
        )
    ratio = (highest / lowest) ** (1 / (steps - 1))
    growing = Growing(lowest / model.spec.optimizer.learning_rate, ratio)
    trainer = model.trainer(prepared.train, check=check, schedule=growing)
    trainer.on_batch = lambda one: records.append((one["learning_rate"], one["loss"]))
    with suppress(DivergedError), closing(trainer.iterate(lambda: True)) as passes:
        for _ in passes:
            if len(records) >= steps or _has_risen([loss for _, loss in records]):
                break
    found = np.array(records).reshape(-1, 2)
    return RateCurve(found[:, 0], found[:, 1])


def _has_risen(losses: list[float]) -> bool:
    """Return True if the last losses are far above the lowest ones."""
    if len(losses) <= WINDOW:
        return False
    smooth = np.convolve(losses, np.full(WINDOW, 1 / WINDOW), "valid")
    return bool(smooth[-1] > RISE * np.min(smooth) and losses[-1] > losses[0])


def rate_option(optimizer: Optimizer) -> str:
    """Return the path of the option in a spec that is the learning rate."""
    path = "optimizer"
    while isinstance(optimizer, Wrapper):
        path, optimizer = f"{path}.base", optimizer.base
    return f"{path}.learning_rate"
