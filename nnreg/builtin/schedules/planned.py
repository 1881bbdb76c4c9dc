"""Schedules that are known before training: functions of the step."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval

from nnreg.builtin.schedules.constant import Constant
from nnreg.interfaces.component import Count, Fraction, PositiveFraction
from nnreg.interfaces.schedule import Schedule, ScheduleContext

OpenFraction = Annotated[float, Interval(gt=0, lt=1)]


@dataclass(frozen=True)
class StepDecay(Schedule):
    """Decay at regular intervals of epochs.

    factor = decay^⌊e / every⌋, e the epochs done

    Options:
        every: epochs between decays
        decay: factor applied at each, in (0, 1]
    """

    every: Count = 30
    decay: PositiveFraction = 0.1
    by_epoch = True

    def factor(self, context: ScheduleContext) -> float:
        return math.pow(self.decay, context.step // context.steps_per_epoch // self.every)


@dataclass(frozen=True)
class Exponential(Schedule):
    """Decay by the same factor in each epoch, in equal ratios from step to step.

    factor = decay^e, e the epochs done, with the fraction of the current one

    Options:
        decay: factor per epoch, in (0, 1]
    """

    decay: PositiveFraction = 0.95

    def factor(self, context: ScheduleContext) -> float:
        return math.pow(self.decay, context.epoch)


@dataclass(frozen=True)
class Cosine(Schedule):
    """Decay along half a cosine from 1 to `floor`, with restarts if set.

    factor = floor + (1 - floor) · (1 + cos(π · p)) / 2, p the fraction of the cycle done

    Without restarts the whole training is one cycle. Loshchilov and Hutter 2017.

    Options:
        restarts: how many times it starts again from 1, in [0, 100]
        growth: length of each cycle relative to the one before, in [1, 10]
        floor: factor at the end of a cycle, in [0, 1]
    """

    restarts: Annotated[int, Interval(ge=0, le=100)] = 0
    growth: Annotated[int, Interval(ge=1, le=10)] = 1
    floor: Fraction = 0.0

    def factor(self, context: ScheduleContext) -> float:
        units = sum(self.growth**cycle for cycle in range(self.restarts + 1))
        position, length = context.step * units / context.total_steps, 1
        while position >= length:
            position, length = position - length, length * self.growth
        return self.floor + (1 - self.floor) * _half_cosine(position / length)


@dataclass(frozen=True)
class Polynomial(Schedule):
    """Decay along a power from 1 to `floor`.

    factor = floor + (1 - floor) · (1 - p)^power, p the fraction of the training done

    Options:
        power: exponent, in (0, 10]; 1 is a straight line
        floor: factor at the end, in [0, 1]
    """

    power: Annotated[float, Interval(gt=0, le=10)] = 1.0
    floor: Fraction = 0.0

    def factor(self, context: ScheduleContext) -> float:
        return self.floor + (1 - self.floor) * math.pow(1 - context.progress, self.power)


@dataclass(frozen=True)
class OneCycle(Schedule):
    """Rise from `start` to 1, then decay to `end` at the last step.

    factor = start + (1 - start) · h(u) in the rise, then 1 - (1 - end) · h(u)

    u goes from 0 to 1 in each phase; h(u) is (1 - cos(π · u)) / 2, or u if linear. Smith and Topin
    2019, without their cycle of the momentum.

    Options:
        rise: fraction of the steps in the rise, in (0, 1)
        start: first factor, in [0, 1]
        end: last factor, in [0, 1]
        shape: "cosine" (along half a cosine each way) or "linear"
    """

    rise: OpenFraction = 0.3
    start: Fraction = 0.04
    end: Fraction = 4e-6
    shape: Literal["cosine", "linear"] = "cosine"

    def factor(self, context: ScheduleContext) -> float:
        top, last = self.rise * context.total_steps - 1, context.total_steps - 1
        if context.step < top:
            return self._between(self.start, 1.0, context.step / top)
        return self._between(1.0, self.end, (context.step - top) / (last - top))

    def _between(self, first: float, last: float, fraction: float) -> float:
        left = _half_cosine(fraction) if self.shape == "cosine" else 1 - fraction
        return last + (first - last) * left


@dataclass(frozen=True)
class InverseSqrt(Schedule):
    """Linear rise to 1, then decay with the root of the number of steps.

    factor = min(s / w, √(w / s)), s the number of the step, w the steps in `warmup_epochs`

    The largest rate is that of the optimizer, while the paper computes it from the width. Vaswani
    et al. 2017.

    Options:
        warmup_epochs: length of the rise, in (0, 1e+06]; need not be whole
    """

    warmup_epochs: Annotated[float, Interval(gt=0, le=1e6)] = 1.0

    def factor(self, context: ScheduleContext) -> float:
        rise = max(round(self.warmup_epochs * context.steps_per_epoch), 1)
        step = context.step + 1
        return step / rise if step < rise else math.sqrt(rise / step)


@dataclass(frozen=True)
class Trapezoid(Schedule):
    """Linear rise from `start` to 1, a constant rate, then a fall to `end`: warmup, stable, decay.

    factor = start + (1 - start) · p / rise, then 1, then end + (1 - end) · h(u)

    p is the fraction of the training done; u that of the last `fall` of it; h(u) is 1 - u, or
    (1 + cos(π · u)) / 2, or 1 - √u. Hu et al. 2024; 1 - √u: Hägele et al. 2024.

    Options:
        rise: fraction of the steps in the rise, in [0, 1]
        fall: fraction of the steps in the fall, in [0, 1]; at most 1 - rise
        start: first factor, in [0, 1]
        end: factor at the end, in [0, 1]
        shape: of the fall, "linear", "cosine" or "square_root"
    """

    rise: Fraction = 0.05
    fall: Fraction = 0.2
    start: Fraction = 0.01
    end: Fraction = 0.0
    shape: Literal["linear", "cosine", "square_root"] = "linear"

    def __post_init__(self) -> None:
        if self.rise + self.fall > 1:
            raise ValueError(
                f"rise {self.rise} and fall {self.fall} are more than the whole training; "
                "lower one of them"
            )

    def factor(self, context: ScheduleContext) -> float:
        p = context.progress
        if p < self.rise:
            return self.start + (1 - self.start) * p / self.rise
        if p <= 1 - self.fall:
            return 1.0
        return self.end + (1 - self.end) * self._left(1 - (1 - p) / self.fall)

    def _left(self, fraction: float) -> float:
        if self.shape == "cosine":
            return _half_cosine(fraction)
        return 1 - (math.sqrt(max(fraction, 0.0)) if self.shape == "square_root" else fraction)


@dataclass(frozen=True)
class Warmup(Schedule):
    """Linear rise from `start` to 1, then another schedule.

    factor = start + (1 - start) · e / epochs for the first `epochs`, then that of `after`

    e is the epochs done. `after` runs over the remaining training; its first factor also multiplies
    the rise. Goyal et al. 2017.

    Options:
        epochs: length of the rise, in (0, 1e+06]; need not be whole
        start: first factor, in [0, 1]
        after: schedule of the remaining training
    """

    epochs: Annotated[float, Interval(gt=0, le=1e6)] = 1.0
    start: Fraction = 0.01
    after: Schedule = Constant()

    def monitored_metric(self) -> str | None:
        return self.after.monitored_metric()

    def factor(self, context: ScheduleContext) -> float:
        steps = max(round(self.epochs * context.steps_per_epoch), 1)
        rest = dataclasses.replace(
            context,
            step=max(context.step - steps, 0),
            total_steps=max(context.total_steps - steps, 1),
            history=context.history[math.ceil(steps / context.steps_per_epoch) :],
        )
        fraction = min(context.step / steps, 1.0)
        return (self.start + (1 - self.start) * fraction) * self.after.factor(rest)


def _half_cosine(fraction: float) -> float:
    """Return half a cosine, which falls from 1 to 0 as the fraction rises from 0 to 1."""
    return (1 + math.cos(math.pi * fraction)) / 2
