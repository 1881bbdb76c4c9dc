"""Metrics with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Metric
from tests.conformance.broken.drift import DRIFT


@dataclass(frozen=True)
class Inverse(Metric):
    """1 / mean(|y - t|), infinite for perfect predictions"""

    def compute(self, y, t):
        return float(1 / np.mean(np.abs(y - t)))


@dataclass(frozen=True)
class Distance(Metric):
    """mean(|y - t|)"""

    higher_is_better = False

    def compute(self, y, t):
        return float(np.mean(np.abs(y - t)))


@dataclass(frozen=True)
class WrongDirection(Distance):
    """mean(|y - t|)"""

    higher_is_better = True


@dataclass(frozen=True)
class Ordered(Distance):
    """mean(k |y_k - t_k|)"""

    def compute(self, y, t):
        weights = np.arange(1, len(y) + 1)[:, None]
        return super().compute(y * weights, t * weights)


@dataclass(frozen=True)
class WritingMetric(Metric):
    """mean(|y - t|)"""

    higher_is_better = False

    def compute(self, y, t):
        y -= t
        return float(np.mean(np.abs(y)))


@dataclass(frozen=True)
class NonDeterministicMetric(Distance):
    """mean(|y - t|)"""

    def compute(self, y, t):
        return super().compute(y, t) + next(DRIFT)


@dataclass(frozen=True)
class SameForAllScores(Metric):
    """0.5, whatever the scores"""

    classification = True
    of_scores = True

    def compute(self, y, t):
        return 0.5


BROKEN = {
    "a number": [Inverse],
    "direction": [WrongDirection, SameForAllScores],
    "order": [Ordered],
    "inputs unchanged": [WritingMetric],
    "repeatable": [NonDeterministicMetric],
}
