"""The loss my_component for nnreg."""

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt
from nnreg import Array, Loss, hookimpl


@dataclass(frozen=True)
class MyComponent(Loss):
    """Squared error for small differences, absolute error for large ones.

    loss = mean(scale² · log cosh((y - t) / scale))

    Options:
        scale: difference at which it changes from square to straight, > 0
    """

    scale: Annotated[float, Gt(0)] = 1.0

    def formula(self, y: Array, t: Array) -> Array:
        """Return the terms whose mean is the loss; autograd differentiates it.

        It is computed with NumPy's functions. log cosh(d) is computed as |d| + log(1 + exp(-2 |d|))
        - log 2, which cannot overflow. A method `terms` with the derivative would train faster.
        """
        size = np.abs((y - t) / self.scale)
        terms: Array = self.scale**2 * (size + np.log1p(np.exp(-2 * size)) - math.log(2))
        return terms


@hookimpl
def nnreg_losses() -> dict[str, type[Loss]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
