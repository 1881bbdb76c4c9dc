"""The base class of learning-rate schedules, and the moment that one is asked about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from nnreg.interfaces.component import Component


class Schedule(Component):
    """How the learning rate changes in the course of a training."""

    kind = "schedule"
    by_epoch: ClassVar[bool] = False
    """Whether the factor stays the same throughout an epoch, and need be asked for only once."""

    def monitored_metric(self) -> str | None:
        """Return the figure of the history that it goes by, such as `val_loss`; None for none."""
        return None

    def factor(self, context: ScheduleContext) -> float:
        """Return what the optimizer's learning rate is multiplied by, 0 or more.

        It depends on the moment and nothing else, so that a training that was stopped goes on with
        the same bits.
        """
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ScheduleContext:
    """Where a training stands when a step is about to be made.

    `step` counts the steps before it, `total_steps` those of the whole training as planned, and
    `steps_per_epoch` those of an epoch; it is below `total_steps`. `history` has the records of the
    epochs that are done, and `higher_is_better` the names of the figures that are better when
    higher.
    """

    step: int
    total_steps: int
    steps_per_epoch: int
    history: Sequence[Mapping[str, float]] = ()
    higher_is_better: frozenset[str] = frozenset()

    @property
    def epoch(self) -> float:
        """The epochs before it, with the part that is done of the one under way."""
        return self.step / self.steps_per_epoch

    @property
    def progress(self) -> float:
        """The share of the training that is done, from 0 to below 1."""
        return self.step / self.total_steps

    def lower_is_better_values(self, name: str) -> list[float]:
        """Return a figure of each epoch that has it, its sign such that lower is better."""
        sign = -1 if name in self.higher_is_better else 1
        return [sign * record[name] for record in self.history if name in record]
