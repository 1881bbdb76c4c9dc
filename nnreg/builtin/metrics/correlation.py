"""Correlations of predictions with targets, and ranks."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation
from nnreg.interfaces.metric import Metric


@dataclass(frozen=True)
class Pearson(Metric):
    """Linear correlation of predictions with targets, from -1 to 1.

    pearson = mean((y - mean(y)) · (t - mean(t))) / (std(y) · std(t)), averaged over columns

    Predictions that are all equal count as 0, since they say nothing of the targets. A column of
    targets that are all equal is left out; NaN if all columns are. Pearson 1895.
    """

    def compute(self, y: Array, t: Array) -> float:
        y2, t2 = y.reshape(len(y), -1), t.reshape(len(t), -1)
        if not np.isfinite(y2).all():
            return math.nan
        return _correlation(y2, t2)


@dataclass(frozen=True)
class Spearman(Metric):
    """Correlation of the ranks of predictions with those of targets, from -1 to 1.

    spearman = pearson(rank(y), rank(t)), averaged over columns

    Equal values share the mean of their ranks. Predictions that are all equal count as 0. A column
    of targets that are all equal is left out; NaN if all columns are. Spearman 1904.
    """

    def compute(self, y: Array, t: Array) -> float:
        y2, t2 = y.reshape(len(y), -1), t.reshape(len(t), -1)
        if not np.isfinite(y2).all():
            return math.nan
        return _correlation(np.apply_along_axis(ranks, 0, y2), np.apply_along_axis(ranks, 0, t2))


def ranks(values: Array) -> Array:
    """Return the ranks of a vector from 1, of which equal values share the mean."""
    _, ties, counts = np.unique(values, return_inverse=True, return_counts=True)
    found: Array = (np.cumsum(counts) - (counts - 1) / 2)[ties]
    return found


def _correlation(y: Array, t: Array) -> float:
    """Return the mean of the correlations of the columns of finite values that are defined."""
    (mean_y, std_y), (mean_t, std_t) = mean_and_deviation(y), mean_and_deviation(t)
    if not std_t.any():
        return math.nan
    left = (y - mean_y) / np.where(std_y > 0, std_y, 1)
    right = (t - mean_t) / np.where(std_t > 0, std_t, 1)
    found = np.mean(left * right, axis=0) * (std_y > 0)
    return float(np.mean(found[std_t > 0]))
