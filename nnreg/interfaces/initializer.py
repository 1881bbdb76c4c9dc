"""The base class of initializers, and the fan-in and fan-out of a shape."""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.component import Component


class Initializer(Component):
    """The first values of a parameter."""

    kind = "initializer"

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        """Return a float64 array of this shape, drawn from `rng` only.

        Weights are `(..., inputs, outputs)`: see `fans`.
        """
        raise NotImplementedError


def fans(shape: Shape) -> tuple[int, int]:
    """Return how many inputs feed one output and how many outputs one input feeds."""
    receptive = math.prod(shape[:-2])
    fan_in = shape[-2] if len(shape) > 1 else shape[0] if shape else 1
    fan_out = shape[-1] if shape else 1
    return receptive * fan_in, receptive * fan_out
