"""Mean, standard deviation and norm that are right for every finite input.

The textbook formulas are not: the mean of a constant column can differ from it in the last digit,
which then looks like a deviation, and squares overflow at the square root of the largest number.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from nnreg._types import Array

SAFE = 1e150
"""Values up to this magnitude have squares whose sums stay below the largest float64."""


def mean_and_deviation(values: Array) -> tuple[Array, Array]:
    """Return the mean and standard deviation of each column, as float64 arrays `values.shape[1:]`.

    `values` is `(rows, ...)` with one row or more, all finite; the deviation is that of the
    population (divided by the number of rows). The mean of a constant column is its value and its
    deviation 0, exactly. Rounding errors do not grow with the number of rows: the mean of the
    remainders is taken out twice, the corrected two-pass algorithm (Chan et al. 1983).
    """
    x = np.asarray(values, np.float64)
    exponent = _exponent(x)
    x = np.ldexp(x, -exponent) if exponent else x
    first = x[0]
    rest = x - first
    shift = np.mean(rest, axis=0)
    rest -= shift
    correction = np.mean(rest, axis=0)
    rest -= correction
    deviation = np.sqrt(np.mean(np.square(rest, out=rest), axis=0))
    mean = first + (shift + correction)
    return np.ldexp(mean, exponent), np.ldexp(deviation, exponent)


def _exponent(x: Array) -> int:
    """Return the power of two to divide by before differences and squares are taken, mostly 0."""
    largest = float(np.max(np.abs(x), initial=0.0))
    return 0 if largest == 0 or 1 / SAFE < largest < SAFE else math.frexp(largest)[1] + 1


def mean_and_deviation_of_chunks(chunks: Iterable[Array]) -> tuple[Array, Array]:
    """Return what `mean_and_deviation` returns of all rows, given as chunks `(rows, ...)`.

    Raises ValueError if there is no row.
    """
    count, mean, deviation = 0, np.array(0.0), np.array(0.0)
    for chunk in chunks:
        if not len(chunk):
            continue
        mean_here, deviation_here = mean_and_deviation(chunk)
        total = count + len(chunk)
        known, new = count / total, len(chunk) / total
        # halves, since a difference may overflow; the formulas are those of Chan et al. 1983
        half = (mean_here / 2 - mean / 2) if count else np.zeros_like(mean_here)
        within = np.hypot(deviation * math.sqrt(known), deviation_here * math.sqrt(new))
        deviation = np.hypot(within, half * (2 * math.sqrt(known * new)))
        mean = mean + half * new + half * new if count else mean_here
        count = total
    if not count:
        raise ValueError("there are no rows")
    return mean, deviation


def norm(vector: Array) -> float:
    """Return the Euclidean norm of a vector of floats; inf or nan if a value is.

    One product where its result is in the range of the type; scaled by the largest value otherwise.
    """
    limits = np.finfo(vector.dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        squares = float(np.dot(vector, vector))
    if float(limits.tiny) / float(limits.eps) * vector.size < squares <= float(limits.max):
        return math.sqrt(squares)
    largest = float(np.max(np.abs(vector), initial=0.0))
    if largest == 0 or not math.isfinite(largest):
        return largest
    scaled = vector.astype(np.float64) / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))
