"""The derivative of an activation that defines only its formula.

If the formula is elementwise and accepts complex numbers, it is Im f(x + ih) / h, exact to
rounding (Squire and Trapp 1998). Otherwise, and for long arrays, it comes from autograd, if that is
installed and can follow the formula. Without it, it is (f(x + h) - f(x - h)) / 2h, accurate to
about ten digits on smooth formulas. Both quotients are evaluated in double precision, whatever that
of the network. The choice is made once per configuration, by comparing with the differences: abs,
for example, accepts a complex number but drops the step, and autograd gives NaN where a branch of
`np.where` that is not taken overflows.
"""

from __future__ import annotations

import functools
import math
import threading
import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import NoReturn, Protocol, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.errors import PluginError
from nnreg.interfaces import traced

COMPLEX_STEP = 1e-30
CENTRAL_STEP = float(np.cbrt(np.finfo(np.float64).eps))
"""Relative to max(1, |x|): with it, truncation and rounding errors are about equal."""

LONG = 1024
"""The number of values from which autograd is used even if complex steps are exact. A training step
of x · tanh(x) takes 35 µs by complex steps and 74 by autograd for (32, 16), 19 and 2 ms for
(1024, 256); they are equal at about 1000 values, and those of polynomials at 20,000."""

_SIZES = np.array([0.0137, 0.219, 0.733, 1.371, 2.713, 5.927, 17.3, 61.7, 307.0, 9973.0])
TEST_POINTS = np.concatenate([-_SIZES, _SIZES])
"""The points at which both are compared: small and large, and no round numbers, where kinks are."""

Function: TypeAlias = Callable[[Array], Array]


class HasFormula(Hashable, Protocol):
    """An activation with a formula."""

    def formula(self, x: Array) -> Array:
        """Return the output for each value of x."""


@dataclass(frozen=True)
class Derivative:
    """How the derivative of a formula is computed.

    `slope` is the elementwise derivative as a function of an array, by `method`; None if the
    formula is not elementwise. Arrays of at least `traced_from` values are differentiated by
    autograd; `reason` is why none is, if it is installed.
    """

    method: str
    slope: Function | None
    traced_from: float = math.inf
    reason: str = ""

    def by_autograd(self, x: Array) -> bool:
        """Return True if autograd differentiates the formula at `x`; it takes NumPy's arrays."""
        return isinstance(x, np.ndarray) and x.size >= self.traced_from


_lock = threading.Lock()
"""Held while warnings are silenced, which is process-wide: concurrent threads could restore the
filters in the wrong order."""


def derivative(activation: HasFormula) -> Derivative:
    """Return how to compute the derivative of the formula.

    Raises `PluginError` for a formula that is not elementwise and that autograd cannot follow: the
    derivative would be wrong.
    """
    with _lock:
        return _derivative(activation)


@functools.lru_cache(maxsize=1024)
def _derivative(activation: HasFormula) -> Derivative:
    formula = activation.formula
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy warns of discarded imaginary parts
        elementwise = is_elementwise(activation)
        reason = ""
        if traced.installed():
            reason = _not_by_autograd(formula, elementwise)
        by_autograd = traced.installed() and not reason
        if not elementwise:
            if not by_autograd:
                _refuse(activation, reason)
            return Derivative("autograd", None, 0)
        if _complex_steps_agree(formula):
            slope = functools.partial(_complex_step, formula)
            traced_from = LONG if by_autograd else math.inf
            return Derivative("complex steps", slope, traced_from, reason)
        traced_from = 0 if by_autograd else math.inf
        slope = functools.partial(_central, formula)
        return Derivative("central differences", slope, traced_from, reason)


def _not_by_autograd(formula: Function, elementwise: bool) -> str:
    """Return why autograd cannot compute the derivative; empty if it can."""
    if not elementwise and not _same_in_parts(formula, TEST_POINTS.reshape(4, 5)):
        return "a row of its output depends on other rows, or on random numbers"
    slopes = []
    for dtype in (np.float64, np.float32):
        x = TEST_POINTS.astype(dtype)
        try:
            y, backward = traced.trace(formula, [x])
            slopes += backward(np.ones_like(y))
        except PluginError as error:
            return str(error)
        except Exception as error:  # a formula may fail on other arrays in any way
            return f"autograd cannot differentiate it: {error!r}"
    if not elementwise:
        return ""
    if not _agrees(slopes[0], formula):
        return "the derivative by autograd differs from finite differences at some points"
    if not np.isfinite(slopes[1][np.isfinite(_central(formula, TEST_POINTS))]).all():
        return "the derivative by autograd overflows in float32 at some points"
    return ""


def _complex_step(formula: Function, x: Array) -> Array:
    return np.imag(formula(x + COMPLEX_STEP * 1j)) / COMPLEX_STEP


def _central(formula: Function, x: Array, fraction: float = 1) -> Array:
    x = x.astype(np.float64)
    step = fraction * CENTRAL_STEP * np.maximum(np.abs(x), 1)
    above, below = x + step, x - step
    return (formula(above) - formula(below)) / (above - below)


def _agrees(slopes: Array, formula: Function) -> bool:
    """Return True if slopes at the test points are those of differences.

    Points are left out where a step of half the length gives another difference: there, as of a
    sine at large values, the formula changes within one step.
    """
    expected, finer = _central(formula, TEST_POINTS), _central(formula, TEST_POINTS, 0.5)
    judged = _close(expected, finer)
    return bool(judged.any() and _close(slopes, expected)[judged].all())


def _complex_steps_agree(formula: Function) -> bool:
    try:
        return _agrees(_complex_step(formula, TEST_POINTS), formula)
    except Exception:  # a formula may fail on complex numbers in any way
        return False


def _close(found: Array, expected: Array) -> Array:
    return np.isclose(found, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


def is_elementwise(activation: HasFormula) -> bool:
    """Return True if each value of the output depends only on the same value of the input."""
    return _same_in_parts(activation.formula, TEST_POINTS)


def _same_in_parts(formula: Function, x: Array) -> bool:
    """Return True if a formula gives the same for each entry of an array alone."""
    single = [formula(x[k : k + 1]) for k in range(len(x))]
    return np.allclose(np.concatenate(single), formula(x), rtol=1e-9, atol=1e-12, equal_nan=True)


def _refuse(activation: HasFormula, reason: str) -> NoReturn:
    """Raise `PluginError` for a formula that is not elementwise; `reason` is that of autograd."""
    if reason:
        needs = f"so its derivative cannot be computed from the formula: {reason}"
    else:
        needs = (
            "so its derivative cannot be computed from the formula without autograd; define a "
            "method 'forward', or run: pip install 'nnreg[autograd]'"
        )
    raise PluginError(
        f"{type(activation).__name__}: a value of the formula depends on more than its own x, "
        f"{needs}"
    )
