"""Derivatives by differences, and the points they are taken at."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array, Shape

STEP = 1e-5
"""The step of central differences: their error is least near it in float64."""

EXTREMES = (-1e4, -100.0, -1.0, 0.0, 1.0, 100.0, 1e4)


def points(shape: Shape, seed: int = 0) -> Array:
    """Return normal numbers at least a hundredth from zero, where many functions have a kink."""
    x = np.random.default_rng(seed).normal(size=shape)
    return np.where(np.abs(x) < 0.01, 0.4987, x)


def central_difference(f: Callable[[], float], x: Array) -> Array:
    """Return the gradient of `f` by the values of `x`, which `f` reads, by central differences."""
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        kept = x[place]
        x[place] = kept + STEP
        above = f()
        x[place] = kept - STEP
        below = f()
        x[place] = kept
        gradient[place] = (above - below) / (2 * STEP)
    return gradient


def complex_step(f: Callable[[Array], Array], x: Array, dy: Array) -> Array:
    """Return the gradient of Σ f(x) dy by complex steps, exact for an `f` of complex numbers."""
    gradient = np.empty(x.shape)
    for place in np.ndindex(x.shape):
        moved = x.astype(complex)
        moved[place] += 1e-30j
        gradient[place] = np.sum(f(moved).imag * dy) / 1e-30
    return gradient


def require_a_slope(
    component: object, what: str, f: Callable[[float], float], x: float, found: float
) -> None:
    """Require a derivative at x to lie between the slopes of `f` to the left and to the right.

    At a kink any of these will do, elsewhere the two are one.
    """
    step, here = STEP * max(1.0, abs(x)), f(x)
    left, right = (here - f(x - step)) / step, (f(x + step) - here) / step
    slack = 2e-4 * max(1.0, abs(left), abs(right))
    if not min(left, right) - slack <= found <= max(left, right) + slack:
        raise AssertionError(
            f"{component}: {what} at {x:g} is {found:.6g}, but the slope to the left is {left:.6g} "
            f"and to the right {right:.6g}"
        )
