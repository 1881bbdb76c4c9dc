"""Student's t distribution: the probability beyond a value, and the value of a probability."""

from __future__ import annotations

import functools
import math

MAX_TERMS = 10_000
"""Terms of the continued fraction; it needs about the square root of the degrees of freedom."""

TINY = 1e-300
"""What replaces a denominator of zero in Lentz's method."""


def two_sided_probability(t: float, degrees: float) -> float:
    """Return the probability that a t-distributed number is farther from 0 than `t`.

    `degrees` of freedom are positive and need not be integers. The relative error is below 1e-8 up
    to a million of them.
    """
    square = t * t
    total = degrees + square
    if math.isinf(square) or not square / total:
        return 0.0 if square else 1.0
    return _incomplete_beta(degrees / total, square / total, degrees / 2, 0.5)


@functools.lru_cache
def t_quantile(probability: float, degrees: float) -> float:
    """Return the number below which a t-distributed one is with this probability.

    It is found by bisection, so that it is as precise as `two_sided_probability`.
    """
    beyond = 2 * min(probability, 1 - probability)
    if beyond == 1:
        return 0.0
    low, high = 0.0, 1.0
    while two_sided_probability(high, degrees) > beyond:
        low, high = high, 2 * high
    while high - low > 1e-13 * high:
        middle = (low + high) / 2
        if two_sided_probability(middle, degrees) > beyond:
            low = middle
        else:
            high = middle
    return math.copysign(high, probability - 0.5)


def _incomplete_beta(x: float, y: float, a: float, b: float) -> float:
    """Return the regularized incomplete beta function of x, by its continued fraction.

    `y` is 1 - x, without its rounding. DLMF 8.17.22. It converges fast where `x` is below its mean;
    elsewhere I_x(a, b) = 1 - I_y(b, a).
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(y, x, b, a)
    log_factor = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    factor = math.exp(log_factor + a * math.log(x) + b * math.log(y)) / a
    c, d = 1.0, 1 / _not_zero(1 - (a + b) * x / (a + 1))
    fraction = d
    for m in range(1, MAX_TERMS):  # the modified method of Lentz, Thompson and Barnett 1986
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for term in (even, odd):
            d = 1 / _not_zero(1 + term * d)
            c = _not_zero(1 + term / c)
            fraction *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return factor * fraction


def _not_zero(value: float) -> float:
    return value or TINY
