"""The conformance checks of activations. Each takes one instance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.numeric_derivative import derivative
from nnreg.interfaces.returned import Caller
from nnreg.testing.assertions import TOLERANCE, close, close_in_float32, finite, same, shape
from nnreg.testing.finite_differences import (
    EXTREMES,
    STEP,
    central_difference,
    complex_step,
    points,
    require_subgradient,
)
from nnreg.testing.strict_arrays import StrictArray, StrictWorkspace, unwrap
from nnreg.training.component_checks import check_activation as check_activation_returns

KINKS = (0.0, 0.5, 1.0, 2.0, 2.5, 3.0, 6.0)
"""Where published activations have kinks, on either side; values of options are tried too."""

X, DY = points((4, 5)), points((4, 5), seed=1)


def check_activation(activation: Activation, *, smooth: bool = False) -> None:
    """Run on an activation all checks that apply to its class.

    `smooth` also compares the gradient with complex steps, exact to 1e-12, for formulas that accept
    complex numbers.
    """
    for check in checks_of(type(activation)):
        check(activation)
    if smooth:
        _, dx = _pass(activation, X, DY)
        exact = complex_step(lambda x: activation.forward(x)[0], X, DY)
        close(activation, "the gradient", dx, exact, 1e-12)


def returns(activation: Activation) -> None:
    """Each method returns what it should: an array, and a backward function that returns one."""
    check_activation_returns(Caller(activation), np.float64, exact=False)


def gradient(activation: Activation) -> None:
    """The gradient agrees with central differences, in float64."""
    _, dx = _pass(activation, X, DY)
    x = X.copy()
    expected = central_difference(lambda: _sum(activation, x, DY), x)
    close(activation, "the gradient", dx, expected, TOLERANCE)


def kinks(activation: Activation) -> None:
    """At 0, integers and values of options, the gradient is between the one-sided derivatives."""
    options = [v for v in vars(activation).values() if isinstance(v, int | float)]
    if _by_autograd(activation):  # its derivative at a kink so near 0 is none of the differences
        options = [v for v in options if abs(v) > STEP]
    values = sorted({sign * abs(v) + 0.0 for v in (*KINKS, *options) for sign in (-1, 1)})
    for value in values:
        row = np.array([[value, 0.3713]])
        _, dx = _pass(activation, row, np.ones_like(row))

        def total(at: float) -> float:
            return _sum(activation, np.array([[at, 0.3713]]), np.ones((1, 2)))

        require_subgradient(activation, "the gradient", total, value, dx[0, 0])


def extremes(activation: Activation) -> None:
    """Output and gradient are finite at inputs up to ±10,000, in float32."""
    for value in EXTREMES:
        row = np.array([[value, 0, -value, 1]], np.float32)
        y, dx = _pass(activation, row, np.ones_like(row))
        finite(activation, f"the output at {value:g}", y)
        finite(activation, f"the gradient at {value:g}", dx)


def float32(activation: Activation) -> None:
    """Results for float32 are float32, and agree with those for float64."""
    y, dx = _pass(activation, X, DY)
    single, dsingle = _pass(activation, X.astype(np.float32), DY.astype(np.float32))
    close_in_float32(activation, "the output", single, y)
    close_in_float32(activation, "the gradient", dsingle, dx)


def shapes(activation: Activation) -> None:
    """Output and gradient have the shape of the input, for any batch size and rank."""
    for expected in ((0, 5), (1, 5), (3, 1), (2, 3, 4), (2, 3, 2, 4)):
        y, dx = _pass(activation, points(expected), points(expected, seed=1))
        shape(activation, f"the output of {expected}", y, expected)
        shape(activation, f"the gradient of {expected}", dx, expected)


def inputs_unchanged(activation: Activation) -> None:
    """Neither the input nor the gradient of the output is modified."""
    x, dy = X.copy(), DY.copy()
    _, backward = activation.forward(x)
    same(activation, "the input after the call", x, X)
    backward(dy)
    same(activation, "the input after the backward call", x, X)
    same(activation, "the output's gradient after the call", dy, DY)


def repeatable(activation: Activation) -> None:
    """Results for the same input are bit-identical."""
    (y, dx), (y_again, dx_again) = (_pass(activation, X, DY) for _ in range(2))
    same(activation, "the output called again", y_again, y)
    same(activation, "the gradient called again", dx_again, dx)


def reentrant(activation: Activation) -> None:
    """A second pass between forward and backward changes nothing: there is no state."""
    _, dx = _pass(activation, X, DY)
    _, backward = activation.forward(X.copy())
    _, other_backward = activation.forward(2 * X)
    other_backward(DY.copy())
    found = backward(DY.copy())
    close(activation, "the gradient, with another pass in between,", found, dx, 1e-12)


def buffered(activation: Activation) -> None:
    """The in-place methods, with and without a bias, give the same results."""
    y, dx = _pass(activation, X, DY)
    context = _context(Workspace)
    found, backward_fn = activation.forward_inplace(X.copy(), context)
    close(activation, "the buffered output", found, y, 1e-14)
    close(activation, "the buffered gradient", backward_fn(DY.copy()), dx, 1e-13)
    bias, dbias = points((5,), seed=2), np.full(5, np.nan)
    y, dx = _pass(activation, X + bias, DY)
    found, bias_backward = activation.forward_bias_inplace(X.copy(), bias, context)
    close(activation, "the biased output", found, y, 1e-14)
    close(activation, "the biased gradient", bias_backward(DY.copy(), dbias), dx, 1e-13)
    close(activation, "the bias gradient", dbias, dx.sum(axis=0), 1e-13)


def dispatch(activation: Activation) -> None:
    """It works with an array type that cannot be converted to a NumPy array."""
    if _by_autograd(activation):
        return  # it takes arrays of NumPy alone
    y, dx = _pass(activation, X, DY)
    found, backward = activation.forward(_strict(X))
    _close_strict(activation, "the output", found, y)
    _close_strict(activation, "the gradient", backward(_strict(DY)), dx)
    found, backward = activation.forward_inplace(_strict(X), _context(StrictWorkspace))
    plain, backward_fn = activation.forward_inplace(X.copy(), _context(Workspace))
    _close_strict(activation, "the buffered output", found, plain)
    _close_strict(
        activation, "the buffered gradient", backward(_strict(DY)), backward_fn(DY.copy())
    )


def declared_range(activation: Activation) -> None:
    """Every output is within the `range` that the class declares."""
    x = np.array([EXTREMES, np.linspace(-3, 3, len(EXTREMES))])
    y, _ = activation.forward(x)
    low, high = activation.range
    if not (low <= np.min(y) and np.max(y) <= high):
        raise AssertionError(
            f"{activation}: outputs from {np.min(y):.6g} to {np.max(y):.6g}, but the class "
            f"declares range = ({low:g}, {high:g})"
        )


def sums_to_one(activation: Activation) -> None:
    """Outputs are >= 0 and sum to 1 over the last axis if the class declares it, and only then."""
    y, _ = activation.forward(X)
    found = bool(np.min(y) >= 0 and np.allclose(np.sum(y, axis=-1), 1))
    if found is not activation.sums_to_one:
        raise AssertionError(
            f"{activation}: the class declares sums_to_one = {activation.sums_to_one}, but the "
            f"outputs {'are such probabilities' if found else 'are not such probabilities'}"
        )


def inferred(activation: Activation) -> None:
    """What `infer` returns, or a `formula` beside `forward`, is what `forward` does."""
    y, _ = _pass(activation, X, DY)
    close(activation, "what `infer` returns", activation.infer(X.copy()), y, 1e-10)


CHECKS = (
    returns,
    gradient,
    kinks,
    extremes,
    float32,
    shapes,
    inputs_unchanged,
    repeatable,
    reentrant,
    buffered,
    dispatch,
    declared_range,
    sums_to_one,
    inferred,
)


def checks_of(cls: type[Activation]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    skipped: set[Any] = set() if cls.exact_gradient else {gradient, kinks}
    if cls.range == (-math.inf, math.inf):
        skipped.add(declared_range)
    if cls.sums_to_one is None:
        skipped.add(sums_to_one)
    alone = cls.formula is Activation.formula or cls.forward is Activation.forward
    if cls.infer is Activation.infer and alone:  # it calls the only one that there is
        skipped.add(inferred)
    return [check for check in CHECKS if check not in skipped]


def cases(activation: Activation) -> Sequence[Any]:
    """Return the arguments of the checks."""
    return [activation]


def _by_autograd(activation: Activation) -> bool:
    """Return True if the derivative is that of autograd, even for short arrays."""
    return type(activation).forward is Activation.forward and derivative(activation).by_autograd(X)


def _pass(activation: Activation, x: Array, dy: Array) -> tuple[Array, Array]:
    """Return output and gradient, computed on copies: `inputs_unchanged` checks modification."""
    y, backward = activation.forward(x.copy())
    y = y.copy()
    return y, backward(dy.copy())


def _sum(activation: Activation, x: Array, dy: Array) -> float:
    return float(np.sum(activation.forward(x.copy())[0] * dy))


def _context(workspace: type[Workspace]) -> Context:
    return Context({}, {}, {}, {}, workspace(np.float64, reuse=False))


def _strict(x: Array) -> Any:
    return StrictArray(x.copy())


def _close_strict(component: object, what: str, found: Any, expected: Array) -> None:
    if not isinstance(found, StrictArray):
        raise AssertionError(
            f"{component}: {what} of another array type became {type(found).__name__}"
        )
    close(component, f"{what} of another array type", unwrap(found), expected, 1e-12)
