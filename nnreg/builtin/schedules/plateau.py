"""The schedule that follows a metric."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge

from nnreg.interfaces.component import Fraction, NonNegative, PositiveFraction
from nnreg.interfaces.schedule import Schedule, ScheduleContext


@dataclass(frozen=True)
class ReduceOnPlateau(Schedule):
    """Decay whenever a metric has stopped improving.

    factor = max(decay^reductions, floor)

    A reduction follows more than `patience` epochs without an improvement over the best so far.

    Options:
        monitor: metric of the history, such as val_loss
        patience: epochs without improvement that are accepted, >= 0
        decay: factor applied at each reduction, in (0, 1]
        min_delta: smallest change that does not yet count as an improvement, >= 0
        cooldown: epochs after a reduction that are not counted, >= 0
        floor: lower bound of the factor, in [0, 1]
    """

    monitor: str = "val_loss"
    patience: Annotated[int, Ge(0)] = 10
    decay: PositiveFraction = 0.1
    min_delta: NonNegative = 0.0
    cooldown: Annotated[int, Ge(0)] = 0
    floor: Fraction = 1e-4
    by_epoch = True

    def monitored_metric(self) -> str | None:
        return self.monitor

    def factor(self, context: ScheduleContext) -> float:
        """Read the whole history, so that no state is needed."""
        factor, best, waited, resting = 1.0, math.inf, 0, 0
        for value in context.lower_is_better_values(self.monitor):
            waited += 1
            if value < best - self.min_delta:
                best, waited = value, 0
            if resting:
                resting, waited = resting - 1, 0
            if waited > self.patience:
                factor, waited, resting = factor * self.decay, 0, self.cooldown
        return max(factor, self.floor)
