"""A layer and a loss that define only their formula."""

from dataclasses import dataclass

import numpy as np

from nnreg import Layer, Loss
from nnreg.builtin.initializers import GlorotUniform


@dataclass(frozen=True)
class Mixing(Layer):
    """y = tanh(x · weight)"""

    independent = True

    def build(self, shape, builder):
        builder.param("weight", (shape[-1], 4), GlorotUniform(), regularized=True)
        return (*shape[:-1], 4)

    def formula(self, x, params):
        return np.tanh(x @ params["weight"])


@dataclass(frozen=True)
class Quartic(Loss):
    """mean((y - t)⁴)"""

    def formula(self, y, t):
        return np.mean((y - t) ** 4)
