"""Values below the smallest normal number of their type, which slow down arithmetic many times."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array

SMALLEST = {np.dtype(kind): float(np.finfo(kind).tiny) * 2**26 for kind in (np.float32, np.float64)}
"""What is smaller counts as tiny: 8e-31 in float32, 1.5e-300 in float64. A value that decays by a
third at a time is then found before it is denormal, if tiny ones are looked for every 32 times."""


def zero_tiny(values: Array, scratch: Array) -> None:
    """Replace, in place, values that are denormal or close to that by 0; overwrite `scratch`.

    Arithmetic with denormal numbers takes some 100 times as long on many processors.
    """
    np.abs(values, out=scratch)
    np.greater_equal(scratch, SMALLEST[values.dtype], out=scratch)
    # a product, as a copy with a mask takes ten times as long if the mask has no order
    np.multiply(values, scratch, out=values)
