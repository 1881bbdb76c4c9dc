"""A loss that is a mean of terms, so that each example can have a weight in the same pass."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean, means_of_rows
from nnreg.interfaces.context import Context
from nnreg.interfaces.loss import Loss, of_rows

Gradient: TypeAlias = Callable[[], Array]


class TermLoss(Loss):
    """A loss that is the mean of terms, of which every example has equally many.

    The first axis of the terms is that of the examples; others are for each step or output. Weights
    of examples multiply terms and gradient, so that they cost no second pass.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        """Return the terms, and a function that returns the derivative of their sum."""
        raise NotImplementedError

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        """Return the mean of the terms of outputs `y`, and the function of its gradient."""
        return _mean(*self.terms(y, t, logits=False))

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Gradient]:
        """Do the same for outputs z before `fused_activation`."""
        return _mean(*self.terms(z, t, logits=True))

    def forward_weighted(
        self, y: Array, t: Array, weights: Array, context: Context, *, logits: bool
    ) -> tuple[float, Gradient]:
        """Return the mean of terms times weights, and the function of its gradient."""
        terms, slopes = self.terms(y, t, logits=logits)
        shares = weights * (1 / terms.size)

        def backward() -> Array:
            dy = slopes()
            return dy * of_rows(shares, dy)

        return weighted_sum(terms, shares), backward

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        """Return the mean of the terms of each example."""
        losses = self.terms(y, t, logits=logits)[0]
        return means_of_rows(losses.reshape(len(losses), -1))


def weighted_sum(terms: Array, shares: Array) -> float:
    """Return the sum of terms, each times the share of its row, also if it nearly overflows."""
    sums = terms if terms.ndim == 1 else np.sum(terms.reshape(len(terms), -1), axis=1)
    found = float(np.dot(shares, sums))
    if math.isfinite(found):
        return found
    return mean(terms * of_rows(shares, terms)) * terms.size


def _mean(terms: Array, slopes: Gradient) -> tuple[float, Gradient]:
    return mean(terms), lambda: slopes() * (1 / terms.size)
