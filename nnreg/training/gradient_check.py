"""A quick test of a gradient by finite differences along random directions.

It costs a few calls whatever the size of the input, so that it can run before each training;
`nnreg plugin check` compares each value, over all configurations.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array
from nnreg.errors import PluginError
from nnreg.interfaces.returned import Caller

DIRECTIONS = 3
"""The number of random directions."""

STEPS = (1e-4, 1e-5)
"""The steps of the differences. Both must agree: with noise, as from a part in float32, they do
not."""

AGREEMENT = 3e-3
TOLERANCE = 1e-2
"""The largest differences, relative to the gradient, between both steps, and from the gradient. A
wrong formula is off by much more."""


def wrong_gradient(f: Callable[[Array], float], x: Array, gradient: Array) -> str:
    """Return how the gradient of `f` at `x` is wrong; empty if it is right, or cannot be tested.

    `x` and the results of `f` must be float64. At a kink, any slope between those on both sides is
    right.
    """
    rng = np.random.default_rng(0)
    for _ in range(DIRECTIONS):
        direction = rng.normal(size=x.shape)
        found = float(np.sum(gradient * direction))
        slopes = [_slopes(f, x, direction, step) for step in STEPS]
        (coarse, fine) = (sum(pair) / 2 for pair in slopes)
        scale = max(float(np.linalg.norm(gradient)), abs(fine))
        if not np.isfinite([*slopes[0], *slopes[1]]).all() or (
            abs(coarse - fine) > AGREEMENT * scale
        ):
            continue
        low, high = sorted(slopes[1])
        slack = TOLERANCE * scale
        if not low - slack <= found <= high + slack:  # also for NaN
            return f"along a random direction it is {found:.4g}, by finite differences {fine:.4g}"
    return ""


def _slopes(
    f: Callable[[Array], float], x: Array, direction: Array, step: float
) -> tuple[float, float]:
    """Return the differences behind and ahead, divided by the step."""
    here = f(x)
    return (here - f(x - step * direction)) / step, (f(x + step * direction) - here) / step


class GradientError(PluginError):
    """A gradient that differs from that of the output."""


def require_gradient(caller: Caller, what: str, wrong: str) -> None:
    """Raise `PluginError` if a gradient is wrong in this way."""
    if wrong:
        raise GradientError(
            f"{caller.where or caller.component}: {type(caller.component).__name__}: {what} is not "
            f"that of its output: {wrong}; correct the backward function, or if that is intended, "
            "set exact_gradient = False in the class; --no-check (check=False in Python) skips "
            "this check"
        )
