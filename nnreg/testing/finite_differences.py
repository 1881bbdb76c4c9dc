"""Numeric derivatives, and the points at which they are computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array, Shape

STEP = 1e-5
"""The step of central differences with about the least error in float64."""

KINK = 1e-3
"""The least relative difference of the slopes on both sides of a point that is taken for a kink."""

EXTREMES = (-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4)


def points(shape: Shape, seed: int = 0) -> Array:
    """Return normal numbers at least 0.01 from zero, where many functions have a kink."""
    x = np.random.default_rng(seed).normal(size=shape)
    return np.where(np.abs(x) < 0.01, 0.4987, x)


def central_difference(f: Callable[[], float], x: Array) -> Array:
    """Return the gradient of `f` with respect to `x`, which `f` reads, by central differences."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        original = x[index]
        x[index] = original + STEP
        above = f()
        x[index] = original - STEP
        below = f()
        x[index] = original
        gradient[index] = (above - below) / (2 * STEP)
    return gradient


def difference_beside(f: Callable[[], float], x: Array, found: Array) -> Array:
    """Return central differences, but `found` at a kink where it is between the slopes beside it.

    A layer of maxima has a kink wherever two values are equal, which may be within the step.
    """
    gradient, here = central_difference(f, x), f()
    if found.shape != x.shape:
        return gradient
    for index in map(tuple, np.argwhere(np.abs(found - gradient) > KINK)):
        original = x[index]
        x[index] = original - STEP
        left = (here - f()) / STEP
        x[index] = original + STEP
        right = (f() - here) / STEP
        x[index] = original
        low, high = min(left, right), max(left, right)
        slack = STEP * max(1.0, -low, high)
        if high - low > KINK * max(1.0, -low, high) and low - slack <= found[index] <= high + slack:
            gradient[index] = found[index]
    return gradient


def complex_step(f: Callable[[Array], Array], x: Array, dy: Array) -> Array:
    """Return the gradient of Σ f(x) dy by complex steps; `f` must accept complex numbers."""
    gradient = np.empty(x.shape)
    for index in np.ndindex(x.shape):
        perturbed = x.astype(complex)
        perturbed[index] += 1e-30j
        gradient[index] = np.sum(f(perturbed).imag * dy) / 1e-30
    return gradient


def require_subgradient(
    component: object, what: str, f: Callable[[float], float], x: float, found: float
) -> None:
    """Require a derivative at x between the left and the right derivative of `f`.

    They differ only at a kink, where any value between them is accepted.
    """
    step, here = STEP * max(1.0, abs(x)), f(x)
    left, right = (here - f(x - step)) / step, (f(x + step) - here) / step
    slack = 2e-4 * max(1.0, abs(left), abs(right))
    if not min(left, right) - slack <= found <= max(left, right) + slack:
        raise AssertionError(
            f"{component}: {what} at {x:g} is {found:.6g}, but the left derivative is {left:.6g} "
            f"and the right one {right:.6g}"
        )
