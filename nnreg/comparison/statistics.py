"""The statistics of a comparison: intervals, tests, and the number of runs that a test needs.

They are functions of numbers alone.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.normal_distribution import normal_quantile
from nnreg._utils.student_t import t_quantile, two_sided_probability

LEVEL = 0.95
"""The level of all intervals."""

RESAMPLES = 10_000
"""The samples that the bootstrap draws."""

BOOTSTRAP_SEED = 0
"""The seed that they are drawn with, so that a comparison is the same each time."""

ROUNDING = 1e-12
"""The deviation, relative to the mean, that rounding alone may cause."""

MAX_NEEDED = 100
"""The largest number of differences that `differences_needed` returns."""


@dataclass(frozen=True)
class Test:
    """A mean, its interval, and the probability of one at least as far from 0 if it were 0."""

    mean: float
    low: float
    high: float
    p: float


def bootstrap_interval(values: Sequence[float], resamples: int = RESAMPLES) -> tuple[float, float]:
    """Return the interval of the mean by the BCa bootstrap: bias-corrected and accelerated.

    `values` are two or more finite numbers. Efron 1987. The interval of few values is too narrow:
    of five from a normal distribution, it has the true mean in about 82 % of cases, not 95 %.
    """
    x = np.asarray(values, np.float64)
    mean, deviations = float(x.mean()), x - x.mean()
    if not deviations.any():
        return mean, mean
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means = x[rng.integers(0, len(x), (resamples, len(x)))].mean(axis=1)
    below = float(np.mean(means < mean) + np.mean(means <= mean)) / 2
    # the mean less those without one value each is deviations / (n - 1), whose factor cancels
    acceleration = float((deviations**3).sum() / (6 * (deviations**2).sum() ** 1.5))
    bias = float(normal_quantile(np.array(below)))
    ends = bias + normal_quantile(np.array([(1 - LEVEL) / 2, (1 + LEVEL) / 2]))
    fractions = [_normal_below(bias + end / (1 - acceleration * end)) for end in ends.tolist()]
    low, high = np.quantile(means, fractions).tolist()
    return low, high


def _normal_below(x: float) -> float:
    """Return the probability that a standard normal number is below x."""
    return math.erfc(-x / math.sqrt(2)) / 2


def paired_test(differences: Sequence[float], overlap: float = 0.0) -> Test:
    """Return the t-test of the mean of differences between two results under the same conditions.

    `differences` are two or more. If each was measured on other rows of the same data, they are not
    independent, because the training rows overlap: `overlap` is then the number of evaluated rows
    divided by that of training rows, and the variance of the mean is (1/n + overlap) s² instead of
    s²/n, the corrected resampled t-test (Nadeau and Bengio 2003).

    Equal differences, as those of an accuracy on few rows, say nothing about noise: `p` is then 1.
    """
    count = len(differences)
    variance = (1 / count + overlap) * statistics.variance(differences)
    return _t_test(statistics.fmean(differences), variance, count - 1)


def unpaired_test(first: Sequence[float], second: Sequence[float], overlap: float = 0.0) -> Test:
    """Return the t-test of the difference of two means, first - second (Welch 1947).

    Both have two or more values; `overlap` is as in `paired_test`.
    """
    parts = [(1 / len(x) + overlap) * statistics.variance(x) for x in (first, second)]
    squares = sum(part**2 / (len(x) - 1) for part, x in zip(parts, (first, second), strict=True))
    degrees = sum(parts) ** 2 / squares if squares else len(first) + len(second) - 2
    return _t_test(statistics.fmean(first) - statistics.fmean(second), sum(parts), degrees)


def _t_test(mean: float, variance: float, degrees: float) -> Test:
    error = math.sqrt(variance)
    if error <= ROUNDING * abs(mean):
        return Test(mean, mean, mean, 1.0)
    reach = t_quantile((1 + LEVEL) / 2, degrees) * error
    return Test(mean, mean - reach, mean + reach, two_sided_probability(mean / error, degrees))


def holm(probabilities: Sequence[float]) -> list[float]:
    """Return the p-values of several tests, adjusted for their number (Holm 1979)."""
    count, largest, adjusted = len(probabilities), 0.0, [0.0] * len(probabilities)
    for rank, index in enumerate(np.argsort(probabilities, kind="stable").tolist()):
        largest = max(largest, min(1.0, (count - rank) * probabilities[index]))
        adjusted[index] = largest
    return adjusted


def differences_needed(differences: Sequence[float], overlap: float = 0.0) -> int | None:
    """Return how many differences make the interval of `paired_test` exclude 0.

    It is assumed that their mean and standard deviation stay as they are. None if no number up to
    `MAX_NEEDED` does; with an `overlap`, the interval has a width that more splits do not reduce.
    """
    mean, deviation = abs(statistics.fmean(differences)), statistics.stdev(differences)

    def is_enough(count: int) -> bool:
        error = math.sqrt(1 / count + overlap) * deviation
        return not error or two_sided_probability(mean / error, count - 1) < 1 - LEVEL

    found = 2 + bisect.bisect_left(range(2, MAX_NEEDED + 1), True, key=is_enough)
    return found if found <= MAX_NEEDED else None


def variance_explained(values: Array, groups: Array) -> tuple[float, float]:
    """Return the fraction of the variance of `values` between `groups`, and that without chance.

    `values` are `(runs,)` and `groups` their group numbers `(runs,)`. The first is η² = sum of
    squares between the groups / total sum of squares. Many groups explain much by chance alone;
    ε² = 1 - (1 - η²) (n - 1) / (n - groups), at least 0, is corrected for that (Kelley 1935). It is
    0 if each value has a group of its own, which says nothing.
    """
    total = float(np.square(values - values.mean()).sum())
    names, members = np.unique(groups, return_inverse=True)
    counts = np.bincount(members)
    means = np.bincount(members, values) / counts
    within = float(np.square(values - means[members]).sum())
    if not total:
        return 0.0, 0.0
    explained, free = 1 - within / total, len(values) - len(names)
    if not free:
        return explained, 0.0
    return explained, max(0.0, 1 - within / total * (len(values) - 1) / free)
