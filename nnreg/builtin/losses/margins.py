"""Losses that are 0 where the right class leads by a margin. Outputs are not probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from nnreg._types import Array
from nnreg.builtin.losses.terms import rows_of
from nnreg.interfaces.component import Positive
from nnreg.interfaces.term_loss import Gradient, TermLoss


class _SignLoss(TermLoss):
    """A loss of targets -1 and 1, of which 0 is another name of -1."""

    classification = True
    scores_are_probabilities = False
    target_range = (-1.0, 1.0)

    def class_scores(self, y: Array) -> Array:
        return y if y.shape[-1] > 1 else np.concatenate([-y, y], axis=-1)


@dataclass(frozen=True)
class Hinge(_SignLoss):
    """Distance by which a sign is missed, with a margin of 1.

    loss = mean(max(1 - t y, 0)), t = -1 or 1

    A target of 0 is -1, as the first of two classes is; with an output for each class, t is 1 for
    that of the example. A single output above 0 predicts the second class. Keras replaces 0 by -1
    only where all targets of a batch are 0 or 1. Cortes and Vapnik 1995.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        sign = _signs(t, y)
        missing = np.maximum(1 - sign * y, 0)
        return missing, lambda: -sign * (missing > 0)


@dataclass(frozen=True)
class SquaredHinge(_SignLoss):
    """Squared distance by which a sign is missed, with a margin of 1.

    loss = mean(max(1 - t y, 0)²), t = -1 or 1

    Targets are those of hinge.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        sign = _signs(t, y)
        missing = np.maximum(1 - sign * y, 0)
        return missing * missing, lambda: -2 * sign * missing


@dataclass(frozen=True)
class CategoricalHinge(TermLoss):
    """Distance by which the output of the right class does not lead by 1.

    loss = mean(max(1 + max_k ((1 - t_k) y_k) - Σ_k t_k y_k, 0))

    Targets are class numbers `(batch,)` or rows `(batch, classes)`. As in Keras, the largest of the
    other outputs counts as 0 if all are negative. Crammer and Singer 2001.
    """

    takes_labels = True
    classification = True
    scores_are_probabilities = False
    target_range = (0.0, 1.0)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = rows_of(t, y)
        others = (1 - rows) * y
        largest = np.argmax(others, axis=-1)
        missing = np.max(others, axis=-1) - np.sum(rows * y, axis=-1) + 1

        def slopes() -> Array:
            rival = (1 - rows) * rows_of(largest, y)
            dy: Array = np.expand_dims(missing > 0, -1) * (rival - rows)
            return dy

        return np.maximum(missing, 0), slopes


@dataclass(frozen=True)
class MultiMargin(TermLoss):
    """Distances by which other outputs do not stay below that of the right class by a margin.

    loss = mean(Σ_{k≠t} max(margin - y_t + y_k, 0)^exponent / classes)

    Targets are class numbers `(batch,)` or rows `(batch, classes)`. As PyTorch's; what it calls
    weight are the weights of classes of the data. Weston and Watkins 1999.

    Options:
        margin: smallest lead without a loss, > 0
        exponent: power of what is missing to it; p in PyTorch
    """

    margin: Positive = 1.0
    exponent: Literal[1, 2] = 1
    takes_labels = True
    classification = True
    scores_are_probabilities = False
    target_range = (0.0, 1.0)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rows = rows_of(t, y)
        right = np.sum(rows * y, axis=-1, keepdims=True)
        missing = np.maximum(self.margin - right + y, 0)
        share = (1 - rows) * (1 / y.shape[-1])

        def slopes() -> Array:
            each = share * (2 * missing if self.exponent == 2 else missing > 0)
            dy: Array = each - rows * np.sum(each, axis=-1, keepdims=True)
            return dy

        return np.sum(share * missing**self.exponent, axis=-1), slopes


def _signs(t: Array, y: Array) -> Array:
    """Return targets with -1 for 0."""
    return np.where(t == 0, y.dtype.type(-1), t)
