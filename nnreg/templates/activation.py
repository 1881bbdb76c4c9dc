"""The activation my_component for nnreg."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval
from nnreg import Activation, Array, hookimpl


@dataclass(frozen=True)
class MyComponent(Activation):
    """Sigmoid linear unit with a steepness.

    y = x / (1 + exp(-beta · x))

    Options:
        beta: steepness of the bend at 0, in [0.1, 10]
    """

    beta: Annotated[float, Interval(ge=0.1, le=10)] = 1.0

    def formula(self, x: Array) -> Array:
        """Return y; nnreg computes the derivative. A method `forward` with it would be faster.

        1 / (1 + exp(-z)) is computed as (1 + tanh(z / 2)) / 2, which cannot overflow.
        """
        y: Array = x * (0.5 + 0.5 * np.tanh(0.5 * self.beta * x))
        return y


@hookimpl
def nnreg_activations() -> dict[str, type[Activation]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
