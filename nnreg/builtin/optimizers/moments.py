"""Running means of the gradient and of its square, in place."""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array


def add_to_mean(mean: Array, values: Array, decay: float, scratch: Array) -> None:
    """Set a mean to decay · mean + (1 - decay) · values."""
    np.multiply(mean, decay, out=mean)
    np.multiply(values, 1 - decay, out=scratch)
    np.add(mean, scratch, out=mean)


def add_to_mean_square(mean: Array, values: Array, decay: float, scratch: Array) -> None:
    """Set a mean to decay · mean + (1 - decay) · values²; values² alone could overflow."""
    np.multiply(mean, decay, out=mean)
    np.multiply(values, math.sqrt(1 - decay), out=scratch)
    np.multiply(scratch, scratch, out=scratch)
    np.add(mean, scratch, out=mean)


def divide_by_root(values: Array, square: Array, epsilon: float, out: Array) -> None:
    """Write values / (√square + epsilon) to `out`, which is neither of the two arrays."""
    np.sqrt(square, out=out)
    np.add(out, epsilon, out=out)
    np.divide(values, out, out=out)


def corrections(beta1: float, beta2: float, count: int) -> tuple[float, float]:
    """Return a factor of m and one of epsilon that correct Adam's means for starting at zero.

    m̂ / (√v̂ + epsilon) is the first times m / (√v + the second times epsilon).
    """
    root = math.sqrt(1 - beta2**count)
    return root / (1 - beta1**count), root
