"""Metrics of the differences between numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean, mean_and_deviation
from nnreg.interfaces.metric import Metric


@dataclass(frozen=True)
class MeanSquaredErrorMetric(Metric):
    """Mean squared error, in the squared units of the target.

    error = mean((y - t)²)
    """

    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        return mean(np.square(y - t))


@dataclass(frozen=True)
class RootMeanSquaredError(Metric):
    """Root of the mean squared error, in the units of the target.

    error = sqrt(mean((y - t)²))
    """

    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        errors = np.abs(y - t)
        largest = float(np.max(errors))
        if largest == 0 or not math.isfinite(largest):
            return largest
        return largest * math.sqrt(mean(np.square(errors / largest)))  # squares could overflow


@dataclass(frozen=True)
class MeanAbsoluteErrorMetric(Metric):
    """Mean absolute error, in the units of the target.

    error = mean(|y - t|)
    """

    higher_is_better = False

    def compute(self, y: Array, t: Array) -> float:
        return mean(np.abs(y - t))


@dataclass(frozen=True)
class R2(Metric):
    """Coefficient of determination: 1 is perfect, 0 is as good as predicting the mean.

    r2 = 1 - Σ(t - y)² / Σ(t - mean(t))², averaged over columns

    A column of targets that are all equal counts as 1 if predicted exactly and 0 if not.
    """

    def compute(self, y: Array, t: Array) -> float:
        y2, t2 = y.reshape(len(y), -1), t.reshape(len(t), -1)
        _, deviation = mean_and_deviation(t2)
        # in units of the deviation, whose square may be beyond the range of float64
        error = (t2 - y2) / np.where(deviation > 0, deviation, 1)
        inexact = np.any(error != 0, axis=0)
        unexplained = np.where(deviation > 0, np.sum(error * error, axis=0) / len(t2), inexact)
        return float(np.mean(1 - unexplained))
