"""The loss my_component for nnreg."""

from collections.abc import Callable
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

    def forward(self, y: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Return the mean, and the function that returns its gradient with respect to y.

        log cosh(d) is computed as |d| + log(1 + exp(-2 |d|)) - log 2, which cannot overflow.
        """
        d = (y - t) / self.scale
        size = np.abs(d)
        value = self.scale**2 * float(np.mean(size + np.log1p(np.exp(-2 * size)) - np.log(2.0)))
        return value, lambda: np.tanh(d) * (self.scale / d.size)


@hookimpl
def nnreg_losses() -> dict[str, type[Loss]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
