"""The inputs of fingerprints. They never change: existing checkpoints have outputs for them."""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array, Shape

_GOLDEN = (2 * (np.arange(1009) * ((5**0.5 - 1) / 2) % 1) - 1)[1:]
_PATTERN = 4 * _GOLDEN * np.abs(_GOLDEN)
"""Multiples of the golden ratio are spread evenly; squaring moves more of them near zero."""


WORDS = ("red", "dark red", "blue", "7", "red", "2024-02-29", "blue", "green tea", "red", "Blue")
"""Texts for encoders, some of them more than once."""

DATES = ("2024-02-29", "1999-12-31", "2024-02-29", "2001-06-15", "1970-01-01", "2030-07-04")
"""Texts for encoders that take dates alone."""


def fixed_input(shape: Shape) -> Array:
    """Return distinct unordered float64 numbers in [-4, 4], half of them in [-1, 1]."""
    spread = np.resize(_PATTERN, math.prod(shape))
    return spread.reshape(shape)
