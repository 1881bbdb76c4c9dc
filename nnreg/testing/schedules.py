"""The conformance checks of learning-rate schedules. Each takes one instance."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

from nnreg.interfaces.schedule import Schedule, ScheduleContext

PLANS = ((1, 1), (3, 3), (7, 1), (12, 4), (40, 2))
"""The numbers of epochs and of steps per epoch of the training runs to check."""


def positive(schedule: Schedule) -> None:
    """Each factor is a finite float >= 0, for training with a single step and with many."""
    for context in _contexts(schedule):
        factor = schedule.factor(context)
        if not isinstance(factor, float) or not 0 <= factor < math.inf:
            raise AssertionError(f"{schedule}: {_at(context)} the factor is {factor!r}")


def repeatable(schedule: Schedule) -> None:
    """The factors for the same training are identical."""
    first, again = ([schedule.factor(context) for context in _contexts(schedule)] for _ in range(2))
    for context, one, other in zip(_contexts(schedule), first, again, strict=True):
        if one != other:
            raise AssertionError(f"{schedule}: {_at(context)} the factor was {one}, then {other}")


def any_order(schedule: Schedule) -> None:
    """A factor depends on its context alone, so that interrupted training can resume."""
    contexts = list(_contexts(schedule))
    forwards = [schedule.factor(context) for context in contexts]
    backwards = [schedule.factor(context) for context in reversed(contexts)][::-1]
    for context, expected, found in zip(contexts, forwards, backwards, strict=True):
        if not math.isclose(found, expected, rel_tol=1e-9):
            raise AssertionError(
                f"{schedule}: {_at(context)} the factor is {expected} if steps are computed in "
                f"order, but {found} in reverse order"
            )


def history_unchanged(schedule: Schedule) -> None:
    """The history is not modified."""
    for context in _contexts(schedule):
        before = copy.deepcopy(context.history)
        schedule.factor(context)
        if context.history != before:
            raise AssertionError(f"{schedule}: {_at(context)} it modified the history")


def by_epoch(schedule: Schedule) -> None:
    """If declared, the factor is the same at each step of an epoch."""
    first = 0.0
    for context in _contexts(schedule):
        factor = schedule.factor(context)
        if context.step % context.steps_per_epoch == 0:
            first = factor
        if factor != first:
            raise AssertionError(
                f"{schedule}: {_at(context)} the factor is {factor}, and {first} at the first step "
                "of the epoch"
            )


CHECKS = (positive, repeatable, any_order, history_unchanged, by_epoch)


def checks_of(cls: type[Schedule]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return [check for check in CHECKS if not (check is by_epoch and not cls.by_epoch)]


def cases(schedule: Schedule) -> Sequence[Schedule]:
    """Return the arguments of the checks."""
    return [schedule]


def _contexts(schedule: Schedule) -> Iterator[ScheduleContext]:
    """Yield each step of training runs whose metric improves at first, and then stops improving."""
    monitored = schedule.monitored_metric() or "val_loss"
    for epochs, steps in PLANS:
        records = [
            {"epoch": n, "loss": 1 / n, monitored: max(4.0 - n, 1.0)} for n in range(1, epochs + 1)
        ]
        for step in range(epochs * steps):
            yield ScheduleContext(step, epochs * steps, steps, records[: step // steps])


def _at(context: ScheduleContext) -> str:
    return f"at step {context.step} of {context.total_steps}, {context.steps_per_epoch} per epoch,"
