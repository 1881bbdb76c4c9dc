"""Assertions with messages that name the component, what was found and what was expected."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array, Shape

TOLERANCE = 1e-7
"""The tolerance for gradients, relative to the largest expected value or 1."""


def close(component: object, what: str, found: Array, expected: Array, tolerance: float) -> None:
    """Require a largest difference <= tolerance, relative to the largest expected value or 1."""
    shape(component, what, found, expected.shape)
    if found.size == 0:
        return
    scale = max(float(np.max(np.abs(expected))), 1.0)
    error = np.abs(found - expected)
    if np.max(error) <= tolerance * scale:  # False for NaN
        return
    worst = np.unravel_index(np.argmax(np.where(np.isnan(error), np.inf, error)), error.shape)
    at = f" at {[int(k) for k in worst]}" if worst else ""
    raise AssertionError(
        f"{component}: {what} is off by {error[worst]:.3g}{at}: found {found[worst]:.6g}, expected "
        f"{expected[worst]:.6g}"
    )


def close_in_float32(component: object, what: str, found: Array, expected: Array) -> None:
    """Require a float32 result that agrees with that in float64."""
    if found.dtype != np.float32:
        raise AssertionError(f"{component}: {what} in float32 became {found.dtype}")
    close(component, f"{what} in float32", found, expected, 2e-5)


def finite(component: object, what: str, found: Array) -> None:
    """Require finite numbers."""
    if not np.isfinite(found).all():
        bad = found[~np.isfinite(found)].ravel()[0]
        raise AssertionError(f"{component}: {what} is not finite: {bad}")


def shape(component: object, what: str, found: Array, expected: Shape) -> None:
    """Require a shape."""
    if found.shape != expected:
        raise AssertionError(f"{component}: {what} has shape {found.shape}, not {expected}")


def same(component: object, what: str, found: Array, expected: Array) -> None:
    """Require equal arrays."""
    shape(component, what, found, expected.shape)
    if not np.array_equal(found, expected, equal_nan=found.dtype.kind in "fc"):
        raise AssertionError(f"{component}: {what} changed")
