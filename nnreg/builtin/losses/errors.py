"""Losses that are a function of the difference between output and target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean
from nnreg.builtin.losses.terms import Gradient, TermLoss, by_example
from nnreg.interfaces.component import Positive
from nnreg.interfaces.loss import Loss


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """Mean squared error.

    loss = mean((y - t)²)

    The gradient is 2 (y - t) / n over all n values.
    """

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        difference = y - t
        flat = difference.reshape(-1)
        value = float(np.dot(flat, flat)) / y.size
        if math.isinf(value):  # perhaps their sum alone is
            value = mean(flat * flat)
        return value, lambda: difference * (2 / y.size)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        return by_example((y - t) ** 2)


@dataclass(frozen=True)
class MeanAbsoluteError(TermLoss):
    """Mean absolute error.

    loss = mean(|y - t|)

    The gradient is 0 where y = t.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        difference = y - t
        return np.abs(difference), lambda: np.sign(difference)


@dataclass(frozen=True)
class Huber(TermLoss):
    """Squared error for small differences, absolute error for large ones.

    loss = mean(d²/2 where |d| ≤ delta, otherwise delta · (|d| - delta/2)), d = y - t

    Huber 1964.

    Options:
        delta: largest difference with squared error, > 0
    """

    delta: Positive = 1.0

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        difference = y - t
        clipped = np.clip(difference, -self.delta, self.delta)
        return clipped * (difference - 0.5 * clipped), lambda: clipped
