"""The base class of learning-rate schedules, and the training progress that they depend on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nnreg.interfaces.component import Component


class Schedule(Component):
    """The change of the learning rate during training."""

    kind = "schedule"
    by_epoch: ClassVar[bool] = False
    """Whether the factor is the same throughout an epoch, and is computed only once."""

    def monitored_metric(self) -> str | None:
        """Return the metric of the history that it depends on, such as `val_loss`, or None."""
        return None

    def factor(self, context: ScheduleContext) -> float:
        """Return the factor of the optimizer's learning rate, >= 0.

        It must depend on `context` alone, so that interrupted training resumes bit-identically.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ScheduleContext:
    """The progress of training before a step.

    `step` is the number of previous steps, below `total_steps`, the planned number of all steps;
    `steps_per_epoch` is that of an epoch. `history` has the records of completed epochs, and
    `higher_is_better` the names of the metrics for which higher is better.
    """

    step: int
    total_steps: int
    steps_per_epoch: int
    history: Sequence[Mapping[str, float]] = ()
    higher_is_better: frozenset[str] = frozenset()

    @property
    def epoch(self) -> float:
        """The number of epochs before the step, with the fraction of the unfinished one."""
        return self.step / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """The fraction of training that is done, >= 0 and < 1."""
        return self.step / self.total_steps

    def lower_is_better_values(self, name: str) -> list[float]:
        """Return a metric for each epoch that has it, negated if higher is better."""
        sign = -1 if name in self.higher_is_better else 1
        return [sign * record[name] for record in self.history if name in record]
