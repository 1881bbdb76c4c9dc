"""Numeric derivatives, and the points at which they are computed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from nnreg._types import Array, Shape

STEP = 1e-5
"""The step of central differences with about the least error in float64."""

MAX_DIRECTIONS = 16
"""The maximum number of directions along which the gradient of one array is checked."""

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


def derivatives(f: Callable[[], float], x: Array, gradient: Array) -> tuple[Array, Array]:
    """Return derivatives of `f` along some directions: from its gradient, and by differences.

    `f` reads `x`. Each value of x changes along one of the directions: few values one by one, many
    in blocks, with random signs, so that an error in any of them shows.
    """
    flat, signs = x.reshape(-1), np.random.default_rng(7).choice([-1.0, 1.0], x.size)
    found, expected = [], []
    for block in np.array_split(np.arange(x.size), min(MAX_DIRECTIONS, max(x.size, 1))):
        original, step = flat[block].copy(), STEP * signs[block]
        flat[block] = original + step
        above = f()
        flat[block] = original - step
        below = f()
        flat[block] = original
        expected.append((above - below) / (2 * STEP))
        found.append(np.sum(signs[block] * gradient.reshape(-1)[block]))
    return np.array(found), np.array(expected)


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
