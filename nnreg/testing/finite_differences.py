"""Numeric derivatives, and the points at which they are computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array, Shape
from nnreg.testing.assertions import TOLERANCE, close, shape

STEP = 1e-5
"""The step of central differences with about the least error in float64."""

MAX_DIRECTIONS = 8
"""The maximum number of directions along which the gradient of one array is checked."""

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


def require_gradient(
    component: object, what: str, found: Array, f: Callable[[], float], x: Array
) -> None:
    """Require that `found` is the gradient of `f` with respect to `x`, which `f` reads.

    Each value of x changes along one of at most 8 directions: few values one by one, many in
    blocks, with random signs, so that an error in any of them shows.
    """
    shape(component, what, found, x.shape)
    signs = np.random.default_rng(7).choice([-1.0, 1.0], x.size)
    slopes, expected = [], []
    for block in np.array_split(np.arange(x.size), min(MAX_DIRECTIONS, max(x.size, 1))):
        direction = np.zeros(x.shape)
        direction.flat[block] = signs[block]
        slopes.append(np.sum(signs[block] * found.flat[block]))
        expected.append(slope_beside(f, x, direction, slopes[-1]))
    close(component, what, np.array(slopes), np.array(expected), TOLERANCE)


def slope_beside(f: Callable[[], float], x: Array, direction: Array, found: Array) -> Array:
    """Return the derivative of `f` along a direction, by a central difference.

    At a kink, return `found` if it is between the slopes on both sides: a layer of maxima has one
    wherever two values are equal, which may be within the step.
    """
    original = x.copy()
    x[...] = original + STEP * direction
    above = f()
    x[...] = original - STEP * direction
    below = f()
    x[...] = original
    slope = np.asarray((above - below) / (2 * STEP))
    if not abs(found - slope) > KINK:
        return slope
    here = f()
    low, high = sorted(((here - below) / STEP, (above - here) / STEP))
    largest = max(1.0, -low, high)
    between = low - STEP * largest <= found <= high + STEP * largest
    return found if high - low > KINK * largest and between else slope


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
