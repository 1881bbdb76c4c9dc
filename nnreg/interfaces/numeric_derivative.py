"""The derivative of an activation that defines only its formula.

If the formula accepts complex numbers, it is Im f(x + ih) / h, exact to rounding (Squire and Trapp
1998); otherwise (f(x + h) - f(x - h)) / 2h, accurate to about ten digits on smooth formulas. Both
are evaluated in double precision, whatever that of the network. The choice is made once per
configuration, by comparing both: abs, for example, accepts a complex number but drops the step.
"""

from __future__ import annotations

import functools
import threading
import warnings
from collections.abc import Callable, Hashable
from typing import Protocol, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.errors import PluginError

COMPLEX_STEP = 1e-30
CENTRAL_STEP = float(np.cbrt(np.finfo(np.float64).eps))
"""Relative to max(1, |x|): with it, truncation and rounding errors are about equal."""

_SIZES = np.array([0.0137, 0.219, 0.733, 1.371, 2.713, 5.927, 17.3, 61.7, 307.0, 9973.0])
TEST_POINTS = np.concatenate([-_SIZES, _SIZES])
"""The points at which both are compared: small and large, and no round numbers, where kinks are."""

Function: TypeAlias = Callable[[Array], Array]


class HasFormula(Hashable, Protocol):
    """An activation with a formula."""

    def formula(self, x: Array) -> Array:
        """Return the output for each value of x."""


_lock = threading.Lock()
"""Held while warnings are silenced, which is process-wide: concurrent threads could restore the
filters in the wrong order."""


def derivative(activation: HasFormula) -> Function:
    """Return the derivative of the formula, as an elementwise function of an array.

    Raises `PluginError` for a formula that is not elementwise: the derivative would be wrong.
    """
    with _lock:
        return _derivative(activation)


@functools.lru_cache(maxsize=1024)
def _derivative(activation: HasFormula) -> Function:
    formula = activation.formula
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of discarded imaginary parts
        _require_elementwise(activation)
        slope = functools.partial(_complex_step, formula)
        return slope if _agrees(slope, formula) else functools.partial(_central, formula)


def _complex_step(formula: Function, x: Array) -> Array:
    return np.imag(formula(x + COMPLEX_STEP * 1j)) / COMPLEX_STEP


def _central(formula: Function, x: Array) -> Array:
    x = x.astype(np.float64)
    step = CENTRAL_STEP * np.maximum(np.abs(x), 1)
    above, below = x + step, x - step
    return (formula(above) - formula(below)) / (above - below)


def _agrees(slope: Function, formula: Function) -> bool:
    expected = _central(formula, TEST_POINTS)
    try:
        found = slope(TEST_POINTS)
    except Exception:  # a formula may fail on complex numbers in any way
        return False
    return np.allclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def _require_elementwise(activation: HasFormula) -> None:
    together = activation.formula(TEST_POINTS)
    single = [activation.formula(TEST_POINTS[k : k + 1]) for k in range(len(TEST_POINTS))]
    if not np.allclose(np.concatenate(single), together, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise PluginError(
            f"{type(activation).__name__}: a value of the formula depends on more than its own x, "
            "so its derivative cannot be computed from the formula; define a method 'forward'"
        )
