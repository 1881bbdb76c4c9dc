"""The quantiles of the standard normal distribution."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array

CENTER = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
     1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
     2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
     4.2313330701600911252e1, 1.0),
)  # fmt: skip
TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
     1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
     4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
     2.05319162663775882187e0, 1.0),
)  # fmt: skip
"""The coefficients of two ratios of polynomials, those of the highest power first: algorithm AS 241
of Wichura 1988, without its third ratio, of probabilities below 1e-11."""

CENTER_WIDTH = 0.425
"""The distance from 1/2 up to which probabilities are those of the first ratio."""


def normal_quantile(probability: Array) -> Array:
    """Return the number below which a standard normal one is with these probabilities.

    They are between 1e-10 and 1 - 1e-10; the error is a few units of the last digit.
    """
    from_center = probability - 0.5
    tail = np.minimum(probability, 1 - probability)
    near = from_center * _ratio(CENTER, CENTER_WIDTH**2 - np.square(from_center))
    far = np.copysign(_ratio(TAIL, np.sqrt(-np.log(tail)) - 1.6), from_center)
    return np.where(np.abs(from_center) <= CENTER_WIDTH, near, far)


def _ratio(coefficients: tuple[tuple[float, ...], tuple[float, ...]], x: Array) -> Array:
    numerator, denominator = coefficients
    found: Array = np.polyval(numerator, x) / np.polyval(denominator, x)
    return found
