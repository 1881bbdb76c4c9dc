"""The optimizer my_component for nnreg."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval
from nnreg import Array, Optimizer, UpdateState, hookimpl


@dataclass(frozen=True)
class MyComponent(Optimizer):
    """Steps of one size, along the sign of a running mean of the gradient.

    v ← momentum · v + (1 - momentum) · g; p ← p - learning_rate · sign(v)

    Options:
        learning_rate: step size, > 0
        momentum: decay of the mean v of the gradient, in [0, 1)
    """

    state_names = ("velocity",)
    elementwise = True
    learning_rate: Annotated[float, Gt(0)] = 0.001
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        """Update the parameters in place; the state kept between steps is in `state.vectors`."""
        velocity, change = state.vectors["velocity"], state.empty(parameters)
        np.multiply(velocity, self.momentum, out=velocity)
        np.multiply(gradient, 1 - self.momentum, out=change)
        np.add(velocity, change, out=velocity)
        np.sign(velocity, out=change)
        np.multiply(change, self.learning_rate, out=change)
        np.subtract(parameters, change, out=parameters)


@hookimpl
def nnreg_optimizers() -> dict[str, type[Optimizer]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
