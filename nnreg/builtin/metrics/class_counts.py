"""The numbers of examples of each class, from which metrics of classes are computed."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array


def class_counts(y: Array, t: Array) -> tuple[Array, Array, Array]:
    """Return how many examples of each class, by its number, are right, predicted and actual."""
    y, t = np.ravel(y).astype(np.intp), np.ravel(t).astype(np.intp)
    size = max(2, int(np.max(y, initial=0)) + 1, int(np.max(t, initial=0)) + 1)
    right, predicted, actual = (
        np.bincount(numbers, minlength=size).astype(float) for numbers in (t[y == t], y, t)
    )
    return right, predicted, actual
