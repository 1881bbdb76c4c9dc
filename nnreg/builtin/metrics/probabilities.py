"""Metrics of the probabilities of the classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.component import Count
from nnreg.interfaces.metric import Metric


@dataclass(frozen=True)
class LogLoss(Metric):
    """Mean negative logarithm of the probability of the class, the cross-entropy.

    loss = -mean(log(p_t))

    Probabilities are at least the epsilon of their type, as in scikit-learn, so that it is finite.
    """

    classification = True
    of_scores = True
    of_probabilities = True
    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        own = np.take_along_axis(y, t[..., None], axis=-1)
        epsilon = np.finfo(y.dtype).eps
        return float(-np.mean(np.log(np.clip(own, epsilon, 1 - epsilon)), dtype=np.float64))


@dataclass(frozen=True)
class Brier(Metric):
    """Mean squared difference between probabilities and classes.

    score = mean((p_1 - t)²) of two classes, mean(Σ (p_k - (t = k))²) of more

    Brier 1950; halved for two classes, as in scikit-learn.
    """

    classification = True
    of_scores = True
    of_probabilities = True
    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        error = np.array(y, np.float64)
        own = t[..., None]
        np.put_along_axis(error, own, np.take_along_axis(error, own, axis=-1) - 1, axis=-1)
        total = np.mean(np.sum(np.square(error), axis=-1))
        return float(total / 2 if y.shape[-1] == 2 else total)


@dataclass(frozen=True)
class CalibrationError(Metric):
    """Expected calibration error: how far confidence is from the fraction that is right.

    error = Σ n_b / n · |accuracy of bin b - mean confidence of bin b|

    The confidence, which is the probability of the predicted class, is divided into bins of equal
    width. Naeini et al. 2015, Guo et al. 2017.

    Options:
        bins: number of bins
    """

    classification = True
    of_scores = True
    of_probabilities = True
    higher_is_better = False
    bins: Count = 15

    def compute(self, y: Array, t: Array) -> float:
        confidence = np.max(y, axis=-1).reshape(-1).astype(np.float64)
        right = np.ravel(np.argmax(y, axis=-1) == t)
        found = bins_of(confidence, self.bins)
        return float(np.sum(np.abs(np.bincount(found, right - confidence))) / len(right))


def bins_of(confidence: Array, bins: int) -> Array:
    """Return the number of the bin of each confidence; a bin includes its upper end."""
    found: Array = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    return found
