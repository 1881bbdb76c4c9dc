"""Initializers with one mistake each."""

from dataclasses import dataclass

import numpy as np

from nnreg import Initializer


@dataclass(frozen=True)
class FlatKernels(Initializer):
    """Normal, the receptive field forgotten"""

    def draw(self, shape, rng):
        return rng.normal(size=shape[-2:])


@dataclass(frozen=True)
class OwnGenerator(Initializer):
    """Normal, from a generator of its own"""

    def draw(self, shape, rng):
        return np.random.default_rng().normal(size=shape)


BROKEN = {"shapes": [FlatKernels], "repeatable": [OwnGenerator]}
