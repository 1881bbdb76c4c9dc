"""The learning rate of the optimizer, unchanged."""

from __future__ import annotations

from dataclasses import dataclass

from nnreg.interfaces.schedule import Schedule, ScheduleContext


@dataclass(frozen=True)
class Constant(Schedule):
    """The learning rate of the optimizer, unchanged.

    factor = 1
    """

    by_epoch = True

    def factor(self, context: ScheduleContext) -> float:
        return 1.0
