"""The loss my_component for nnreg."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt
from nnreg import Array, Loss, TermLoss, hookimpl


@dataclass(frozen=True)
class MyComponent(TermLoss):
    """Squared error for small differences, absolute error for large ones.

    loss = mean(scale² · log cosh((y - t) / scale))

    Options:
        scale: difference at which it changes from square to straight, > 0
    """

    scale: Annotated[float, Gt(0)] = 1.0

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Callable[[], Array]]:
        """Return the terms, and the function that returns the derivative of their sum.

        log cosh(d) is computed as |d| + log(1 + exp(-2 |d|)) - log 2, which cannot overflow.
        """
        d = (y - t) / self.scale
        size = np.abs(d)
        terms = self.scale**2 * (size + np.log1p(np.exp(-2 * size)) - math.log(2))
        return terms, lambda: self.scale * np.tanh(d)


@hookimpl
def nnreg_losses() -> dict[str, type[Loss]]:
    """Return what this plugin provides, by the name a spec uses."""
    return {"my_component": MyComponent}
