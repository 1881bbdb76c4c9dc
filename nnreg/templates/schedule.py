"""The learning-rate schedule my_component for nnreg."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval
from nnreg import Schedule, ScheduleContext, hookimpl


@dataclass(frozen=True)
class MyComponent(Schedule):
    """Decay along a parabola.

    factor = 1 - drop · p², p the fraction of the training done

    Options:
        drop: how much the factor decreases in all, in [0, 1]
    """

    drop: Annotated[float, Interval(ge=0, le=1)] = 0.9

    def factor(self, context: ScheduleContext) -> float:
        """Return the factor of the optimizer's learning rate."""
        return 1 - self.drop * context.progress**2


@hookimpl
def nnreg_schedules() -> dict[str, type[Schedule]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
