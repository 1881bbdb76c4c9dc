"""What losses have in common: a mean of terms, and their targets as rows of probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean, means_of_rows
from nnreg.interfaces.loss import Loss

Gradient: TypeAlias = Callable[[], Array]


class TermLoss(Loss):
    """A loss that is the mean of terms, of which every example has equally many.

    The first axis of the terms is that of the examples; others are for each step or output.
    """

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        """Return the terms, and a function that returns the derivative of their sum."""
        raise NotImplementedError

    def forward(self, y: Array, t: Array) -> tuple[float, Gradient]:
        return _mean(*self.terms(y, t, logits=False))

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Gradient]:
        return _mean(*self.terms(z, t, logits=True))

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        return by_example(self.terms(y, t, logits=logits)[0])


def _mean(terms: Array, slopes: Gradient) -> tuple[float, Gradient]:
    return mean(terms), lambda: slopes() * (1 / terms.size)


def by_example(losses: Array) -> Array:
    """Return the mean over all axes but the first, the examples."""
    return means_of_rows(losses.reshape(len(losses), -1))


def rows_of(t: Array, y: Array) -> Array:
    """Return targets as rows of probabilities, one-hot if they are class numbers."""
    if t.ndim == y.ndim:
        return t
    rows: Array = np.equal(np.expand_dims(t, -1), np.arange(y.shape[-1])).astype(y.dtype)
    return rows


def smooth(t: Array, smoothing: float, classes: int) -> Array:
    """Return probabilities with the fraction `smoothing` spread over all classes."""
    return t * (1 - smoothing) + smoothing / classes if smoothing else t


def blocks(y: Array, count: int) -> list[Array]:
    """Return views of outputs divided into `count` parts along the last axis."""
    size = y.shape[-1] // count
    return [y[..., k * size : (k + 1) * size] for k in range(count)]
