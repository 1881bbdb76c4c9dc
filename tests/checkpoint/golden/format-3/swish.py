"""Swish, Ramachandran et al. 2017, for nnreg."""

from dataclasses import dataclass

import numpy as np

from nnreg import Activation, hookimpl


@dataclass(frozen=True)
class Swish(Activation):
    """y = x * sigmoid(beta * x)"""

    beta: float = 1.0

    def forward(self, x):
        s = 0.5 * (1 + np.tanh(0.5 * self.beta * x))
        y = x * s
        return y, lambda dy: dy * (s + self.beta * y * (1 - s))


@hookimpl
def nnreg_activations():
    return {"swish": Swish}
