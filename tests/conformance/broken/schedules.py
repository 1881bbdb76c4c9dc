"""Schedules with one mistake each."""

from dataclasses import dataclass

from nnreg import Schedule
from tests.conformance.broken.drift import DRIFT, KEPT


@dataclass(frozen=True)
class Falling(Schedule):
    """1 - p / 2"""

    def factor(self, context):
        return 1 - context.progress / 2


@dataclass(frozen=True)
class BelowZero(Falling):
    """1 - 2 p"""

    def factor(self, context):
        return 1 - 2 * context.progress


@dataclass(frozen=True)
class NonDeterministicSchedule(Falling):
    """1 - p / 2"""

    def factor(self, context):
        return super().factor(context) + next(DRIFT)


@dataclass(frozen=True)
class StatefulSchedule(Falling):
    """0.9 times the previous factor"""

    def factor(self, context):
        KEPT["factor"] = 0.9 * KEPT["factor"] if context.step else 1.0
        return KEPT["factor"]


@dataclass(frozen=True)
class WritingSchedule(Falling):
    """1 - p / 2"""

    def factor(self, context):
        for record in context.history:
            record["seen"] = record.get("seen", 0) + 1
        return super().factor(context)


@dataclass(frozen=True)
class WithinEpochs(Falling):
    """1 - p / 2"""

    by_epoch = True


BROKEN = {
    "positive": [BelowZero],
    "repeatable": [NonDeterministicSchedule],
    "any order": [StatefulSchedule],
    "history unchanged": [WritingSchedule],
    "by epoch": [WithinEpochs],
}
