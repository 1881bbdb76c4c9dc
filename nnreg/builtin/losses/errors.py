"""Losses that are a function of the difference between output and target."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean
from nnreg.interfaces.component import Positive
from nnreg.interfaces.context import Context
from nnreg.interfaces.loss import of_rows
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class MeanSquaredError(TermLoss):
    """Mean squared error.

    loss = mean((y - t)²)

    The gradient is 2 (y - t) / n over all n values.
    """

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        difference = y - t
        flat = difference.reshape(-1)
        value = float(flat.dot(flat)) / y.size
        if math.isinf(value):  # perhaps their sum alone is
            value = mean(flat * flat)
        return value, lambda: difference * (2 / y.size)

    def forward_weighted(
        self, y: Array, t: Array, weights: Array, context: Context, *, logits: bool
    ) -> tuple[float, Gradient]:
        """Use the gradient for the loss: the sum of d²·w is that of d times half the gradient."""
        difference = y - t
        dy = difference * of_rows(weights * (2 / y.size), y)
        value = float(np.dot(difference.reshape(-1), dy.reshape(-1))) / 2
        if math.isfinite(value):
            return value, lambda: dy
        return super().forward_weighted(y, t, weights, context, logits=logits)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        difference = y - t
        return difference * difference, lambda: 2 * difference


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


@dataclass(frozen=True)
class SmoothL1(TermLoss):
    """Huber's loss divided by beta, so that its slope is 1 for large differences.

    loss = mean(d² / (2 beta) where |d| < beta, otherwise |d| - beta/2), d = y - t

    As PyTorch's, which also takes beta = 0: that is mean_absolute_error. Girshick 2015.

    Options:
        beta: largest difference with squared error, > 0
    """

    beta: Positive = 1.0

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        terms, slopes = Huber(self.beta).terms(y, t, logits=logits)
        return terms / self.beta, lambda: slopes() / self.beta


@dataclass(frozen=True)
class LogCosh(TermLoss):
    """Squared error for small differences, absolute error for large ones, smooth everywhere.

    loss = mean(log cosh(y - t))

    Computed as |d| + log(1 + exp(-2 |d|)) - log 2, which cannot overflow.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        difference = y - t
        size = np.abs(difference)
        terms = size + np.log1p(np.exp(-2 * size)) - math.log(2)
        return terms, lambda: np.tanh(difference)


@dataclass(frozen=True)
class MeanAbsolutePercentageError(TermLoss):
    """Mean absolute error in percent of the target.

    loss = 100 · mean(|y - t| / max(|t|, epsilon))

    A target of 0 dominates all others. The gradient is 0 where y = t.

    Options:
        epsilon: smallest divisor, as in Keras, > 0
    """

    epsilon: Positive = 1e-7

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        scale = 100 / np.maximum(np.abs(t), self.epsilon)
        difference = y - t
        return np.abs(difference) * scale, lambda: np.sign(difference) * scale


@dataclass(frozen=True)
class MeanSquaredLogarithmicError(TermLoss):
    """Mean squared error of the logarithms of values from 0 on, so of their ratios.

    loss = mean((log(1 + max(y, 0)) - log(1 + t))²)

    The gradient is 0 where y < 0. Keras replaces outputs and targets below 1e-7 by that; targets
    below 0 are refused here.
    """

    target_range = (0.0, math.inf)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        positive = np.maximum(y, 0)
        difference = np.log1p(positive) - np.log1p(t)
        return difference * difference, lambda: 2 * difference * (y > 0) / (1 + positive)
