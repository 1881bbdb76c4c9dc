"""The base class of initializers, and the fan-in and fan-out of a shape."""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.component import Component


class Initializer(Component):
    """The initial values of a parameter."""

    kind = "initializer"

    def check_shape(self, shape: Shape) -> None:
        """Raise `ValueError` with the reason if it has no values for a parameter of this shape."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Return a float64 array of this shape, drawn from `rng` only.

        The shape of weights is `(..., inputs, outputs)`; see `fans`.
        """
        raise NotImplementedError


def fans(shape: Shape) -> tuple[int, int]:
    """Return the fan-in, inputs per output, and the fan-out, outputs per input, of weights."""
    receptive = math.prod(shape[:-2])
    fan_in = shape[-2] if len(shape) > 1 else shape[0] if shape else 1
    fan_out = shape[-1] if shape else 1
    return receptive * fan_in, receptive * fan_out
