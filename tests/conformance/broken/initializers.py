"""Initializers with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Initializer


@dataclass(frozen=True)
class FlatKernels(Initializer):
    """Normal, ignoring the receptive field"""

    def draw(self, shape, rng):
        return rng.normal(size=shape[-2:])


@dataclass(frozen=True)
class OwnGenerator(Initializer):
    """Normal, from its own generator"""

    def draw(self, shape, rng):
        return np.random.default_rng().normal(size=shape)


@dataclass(frozen=True)
class NoShape(Initializer):
    """Zeros, of no shape"""

    def check_shape(self, shape):
        raise ValueError("it has none")

    def draw(self, shape, rng):
        return np.zeros(shape)


BROKEN = {"shapes": [FlatKernels, NoShape], "repeatable": [OwnGenerator]}
