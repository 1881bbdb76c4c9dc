"""Losses of the overlap of two sets, such as of the pixels that belong to an object."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.losses.one_class import PositiveLoss
from nnreg.interfaces.component import NonNegative
from nnreg.interfaces.term_loss import Gradient

EPSILON = 1e-7
"""Keeps a quotient of two zeros 0, as in Keras."""


@dataclass(frozen=True)
class Tversky(PositiveLoss):
    """Tversky's index of the positives of an example, subtracted from 1.

    loss = mean(1 - (c + smooth) / (c + alpha Σ (1 - t) y + beta Σ t (1 - y) + smooth)), c = Σ t y

    The sums are over all values of an example, so that examples can have weights; Keras's are over
    the whole batch unless axis says otherwise. alpha is for false positives, as in the paper; in
    Keras it multiplies false negatives. Salehi et al. 2017.

    Options:
        alpha: weight of false positives, >= 0
        beta: weight of false negatives, >= 0
        smooth: with a positive number, an example without positives has the loss 0 if none is
            predicted, and not 1, >= 0
        positive: name of the positive one of two classes; null for the second in order
    """

    alpha: NonNegative = 0.5
    beta: NonNegative = 0.5
    smooth: NonNegative = 0.0
    positive: str | None = None
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        return _missing(y, t, (self.alpha, self.beta), self.smooth, EPSILON)


@dataclass(frozen=True)
class Dice(PositiveLoss):
    """Dice's coefficient of the positives of an example, subtracted from 1.

    loss = mean(1 - (2 Σ t y + smooth) / (Σ t + Σ y + smooth))

    The sums are over all values of an example, so that examples can have weights; Keras's are over
    the whole batch unless axis says otherwise. Without `smooth`, an example that has no positives,
    such as an image without an object, adds a loss of 1 whatever is predicted. Milletari et al.
    2016, without squares.

    Options:
        smooth: with a positive number, an example without positives has the loss 0 if none is
            predicted, and not 1, >= 0
        positive: name of the positive one of two classes; null for the second in order
    """

    smooth: NonNegative = 0.0
    positive: str | None = None
    classification = True
    input_range = (0.0, 1.0)
    target_range = (0.0, 1.0)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        return _missing(y, t, (0.5, 0.5), self.smooth / 2, EPSILON / 2)


def _missing(
    y: Array, t: Array, weights: tuple[float, float], smooth: float, epsilon: float
) -> tuple[Array, Gradient]:
    """Return 1 minus Tversky's index of each example, and the derivative of their sum."""
    alpha, beta = weights
    flat, target = y.reshape(len(y), -1), t.reshape(len(t), -1)
    common = np.sum(target * flat, axis=1, keepdims=True) + smooth
    each = alpha * (1 - target) * flat + beta * target * (1 - flat)
    whole = common + np.sum(each, axis=1, keepdims=True) + epsilon

    def slopes() -> Array:
        of_whole = target + alpha * (1 - target) - beta * target
        dy: Array = (of_whole * (common / whole) - target) / whole
        return dy.reshape(y.shape)

    return (1 - common / whole)[:, 0], slopes
