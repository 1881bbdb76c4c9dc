"""The metric my_component for nnreg."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt
from nnreg import Array, Metric, hookimpl


@dataclass(frozen=True)
class MyComponent(Metric):
    """The fraction of numbers predicted within `tolerance`, in the units of the target."""

    higher_is_better = True
    tolerance: Annotated[float, Gt(0)] = 0.1

    def compute(self, y: Array, t: Array) -> float:
        """Compare predictions with targets."""
        return float(np.mean(np.abs(y - t) <= self.tolerance))


@hookimpl
def nnreg_metrics() -> dict[str, type[Metric]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
