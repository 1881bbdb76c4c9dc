"""Metrics of how often predicted classes agree with the true ones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nnreg._types import Array
from nnreg.builtin.metrics.class_counts import class_counts
from nnreg.interfaces.metric import Metric


@dataclass(frozen=True)
class Accuracy(Metric):
    """Fraction of examples whose class is predicted; of labels, the fraction that is predicted.

    accuracy = mean(y = t)
    """

    classification = True

    def compute(self, y: Array, t: Array) -> float:
        return float(np.mean(y == t))


@dataclass(frozen=True)
class BalancedAccuracy(Metric):
    """Mean recall of the classes that occur in the targets, each counting the same.

    accuracy = mean over classes of (true positives / actual positives)

    Brodersen et al. 2010.

    Options:
        adjusted: whether chance is 0 and not 1 / classes; NaN if only one class occurs
    """

    classification = True
    adjusted: bool = False

    def compute(self, y: Array, t: Array) -> float:
        hits, _, actual = class_counts(y, t)
        present = actual > 0
        value = float(np.mean(hits[present] / actual[present]))
        if not self.adjusted:
            return value
        chance = 1 / np.sum(present)
        return math.nan if chance == 1 else float((value - chance) / (1 - chance))


@dataclass(frozen=True)
class Matthews(Metric):
    """Correlation of predicted and true classes: 1 is perfect, 0 as good as chance.

    mcc = (c·s - Σ p_k·t_k) / sqrt((s² - Σ p_k²) · (s² - Σ t_k²))

    c of s examples are right, p_k are predicted to be of class k, t_k are of class k. It is 0 if
    one class alone is predicted, or one alone occurs. Matthews 1975; several classes: Gorodkin
    2004.
    """

    classification = True

    def compute(self, y: Array, t: Array) -> float:
        hits, predicted, actual = class_counts(y, t)
        size, right = actual.sum(), hits.sum()
        spread = [size**2 - np.dot(counts, counts) for counts in (predicted, actual)]
        if min(spread) == 0:
            return 0.0
        covariance = right * size - np.dot(predicted, actual)
        return float(covariance / (math.sqrt(spread[0]) * math.sqrt(spread[1])))


@dataclass(frozen=True)
class CohenKappa(Metric):
    """Agreement of predicted and true classes beyond that of chance: 1 is perfect, 0 is chance.

    kappa = 1 - mean(d(y, t)) / mean over all pairs i, j of d(y_i, t_j)

    NaN if only one class occurs, and is predicted. Cohen 1960, 1968.

    Options:
        weights: the disagreement d: 1 for another class if null; "linear" is the difference of the
            positions of the two classes in their order, "quadratic" its square
    """

    classification = True
    weights: Literal["linear", "quadratic"] | None = None

    def compute(self, y: Array, t: Array) -> float:
        y, t = np.ravel(y).astype(np.intp), np.ravel(t).astype(np.intp)
        _, predicted, actual = class_counts(y, t)
        distance = np.abs(y - t).astype(float)
        if self.weights is None:
            distance = np.minimum(distance, 1)
        elif self.weights == "quadratic":
            distance *= distance
        by_chance = self._by_chance(predicted / len(y), actual / len(t))
        return float(1 - np.mean(distance) / by_chance) if by_chance > 0 else math.nan

    def _by_chance(self, p: Array, q: Array) -> float:
        """Return the mean distance of classes drawn from these frequencies of each class."""
        if self.weights is None:
            return float(1 - np.dot(p, q))
        if self.weights == "linear":  # the number of limits between classes that lie between them
            below, also_below = np.cumsum(p)[:-1], np.cumsum(q)[:-1]
            return float(np.sum(below * (1 - also_below) + also_below * (1 - below)))
        number = np.arange(len(p))
        means = [np.dot(number, one) for one in (p, q)]
        spread = [np.dot((number - m) ** 2, one) for m, one in zip(means, (p, q), strict=True)]
        return float(sum(spread) + (means[0] - means[1]) ** 2)
