"""What every learning-rate schedule must do. Each check takes one, in one configuration."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any

from nnreg.interfaces.schedule import Schedule, ScheduleContext

PLANS = ((1, 1), (3, 3), (7, 1), (12, 4), (40, 2))
"""Epochs, and steps an epoch, of the trainings that a schedule is tried on."""


def positive(schedule: Schedule) -> None:
    """Each factor is a finite float, 0 or more, in trainings of a single step and of many."""
    for moment in _moments(schedule):
        factor = schedule.factor(moment)
        if not isinstance(factor, float) or not 0 <= factor < math.inf:
            raise AssertionError(f"{schedule}: {_at(moment)} the factor is {factor!r}")


def repeatable(schedule: Schedule) -> None:
    """The same training gets the same factors each time."""
    first, again = ([schedule.factor(moment) for moment in _moments(schedule)] for _ in range(2))
    for moment, one, other in zip(_moments(schedule), first, again, strict=True):
        if one != other:
            raise AssertionError(f"{schedule}: {_at(moment)} the factor was {one}, then {other}")


def any_order(schedule: Schedule) -> None:
    """A factor depends on its moment alone: a training that was stopped goes on as it would."""
    moments = list(_moments(schedule))
    forwards = [schedule.factor(moment) for moment in moments]
    backwards = [schedule.factor(moment) for moment in reversed(moments)][::-1]
    for moment, expected, found in zip(moments, forwards, backwards, strict=True):
        if not math.isclose(found, expected, rel_tol=1e-9):
            raise AssertionError(
                f"{schedule}: {_at(moment)} the factor is {expected} where the steps before were "
                f"asked for, and {found} where those after"
            )


def history_kept(schedule: Schedule) -> None:
    """The history is not written to."""
    for moment in _moments(schedule):
        before = copy.deepcopy(moment.history)
        schedule.factor(moment)
        if moment.history != before:
            raise AssertionError(f"{schedule}: {_at(moment)} it changed the history")


def by_epoch(schedule: Schedule) -> None:
    """Declared so, the factor is the same at each step of an epoch."""
    first = 0.0
    for moment in _moments(schedule):
        factor = schedule.factor(moment)
        if moment.step % moment.steps_per_epoch == 0:
            first = factor
        if factor != first:
            raise AssertionError(
                f"{schedule}: {_at(moment)} the factor is {factor}, and {first} at the first step "
                "of the epoch"
            )


CHECKS = (positive, repeatable, any_order, history_kept, by_epoch)


def checks_of(cls: type[Schedule]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return [check for check in CHECKS if not (check is by_epoch and not cls.by_epoch)]


def cases(schedule: Schedule) -> Sequence[Schedule]:
    """Return what the checks are called with."""
    return [schedule]


def _moments(schedule: Schedule) -> Iterator[ScheduleContext]:
    """Yield each step of trainings that get better at first, and then no more."""
    watched = schedule.monitored_metric() or "val_loss"
    for epochs, steps in PLANS:
        records = [
            {"epoch": n, "loss": 1 / n, watched: max(4.0 - n, 1.0)} for n in range(1, epochs + 1)
        ]
        for step in range(epochs * steps):
            yield ScheduleContext(step, epochs * steps, steps, records[: step // steps])


def _at(moment: ScheduleContext) -> str:
    return f"at step {moment.step} of {moment.total_steps}, {moment.steps_per_epoch} an epoch,"
