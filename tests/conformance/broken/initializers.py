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


BROKEN = {"shapes": [FlatKernels], "repeatable": [OwnGenerator]}
