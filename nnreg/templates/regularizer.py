"""The regularizer my_component for nnreg."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from nnreg import Array, NonNegative, Regularizer, hookimpl


@dataclass(frozen=True)
class MyComponent(Regularizer):
    """Sum of the squared differences from the mean, which makes values equal.

    penalty = factor · Σ(w - mean)²

    Options:
        factor: size of the penalty, >= 0
    """

    factor: NonNegative = 0.01

    def forward(self, w: Array) -> tuple[float, Callable[[], Array]]:
        """Return the penalty, and the function that returns its gradient."""
        difference = w - np.mean(w)
        penalty = self.factor * float(np.sum(np.square(difference)))
        return penalty, lambda: 2 * self.factor * difference


@hookimpl
def nnreg_regularizers() -> dict[str, type[Regularizer]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
