"""Activations with parameters, as a plugin would define them."""

from dataclasses import dataclass

import numpy as np

from nnreg import TrainableActivation
from nnreg.builtin.initializers import Constant


@dataclass(frozen=True)
class PRelu(TrainableActivation):
    """Rectified linear unit with a trainable slope for negative inputs.

    y = x for x > 0, otherwise slope · x

    He et al. 2015.

    Options:
        initial: first value of the slopes

    Parameters:
        slope: (features,)
    """

    initial: float = 0.25

    def build(self, shape, builder):
        builder.param("slope", shape[-1:], Constant(self.initial), regularized=True)
        return shape

    def forward(self, x, context):
        slope = context.params["slope"]

        def backward(dy):
            negative = (dy * np.minimum(x, 0)).reshape(-1, slope.size)
            np.sum(negative, axis=0, out=context.gradients["slope"])
            return dy * np.where(x > 0, x.dtype.type(1), slope)

        return np.maximum(x, 0) + slope * np.minimum(x, 0), backward


@dataclass(frozen=True)
class TrainableSwish(TrainableActivation):
    """Swish whose steepness is trained.

    y = x · sigmoid(beta · x)

    Ramachandran et al. 2017.

    Parameters:
        beta: ()
    """

    def build(self, shape, builder):
        builder.param("beta", (), Constant(1.0))
        return shape

    def forward(self, x, context):
        beta = context.params["beta"]
        s = 0.5 + 0.5 * np.tanh(0.5 * beta * x)

        def backward(dy):
            slope = dy * s * (1 - s) * x
            np.sum(slope * x, out=context.gradients["beta"])
            return dy * s + beta * slope

        return x * s, backward
