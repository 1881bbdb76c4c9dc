"""Activations with parameters, with one mistake each."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg import TrainableActivation
from nnreg.builtin.initializers import Constant


@dataclass(frozen=True)
class Gain(TrainableActivation):
    """y = tanh(gain · x), with a gain for each feature

    Options:
        initial: first value of the gains

    Parameters:
        gain: (features,)
    """

    initial: Annotated[float, Interval(ge=0.5, le=2)] = 1.0
    range = (-1.0, 1.0)
    sums_to_one = False

    def build(self, shape, builder):
        builder.param("gain", shape[-1:], Constant(self.initial))
        return shape

    def forward(self, x, context):
        gain, y = context.params["gain"], np.tanh(context.params["gain"] * x)

        def backward(dy):
            dz = dy * (1 - y * y)
            np.sum((dz * x).reshape(-1, gain.size), axis=0, out=context.gradients["gain"])
            return gain * dz

        return y, backward


@dataclass(frozen=True)
class HalfGradient(Gain):
    """y = tanh(gain · x), with half of the gradient of the gains"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)

        def half(dy):
            dx = backward(dy)
            context.gradients["gain"][...] *= 0.5
            return dx

        return y, half


@dataclass(frozen=True)
class Adding(Gain):
    """y = tanh(gain · x), whose gradient is added to the previous one"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)

        def adding(dy):
            before = context.gradients["gain"].copy()
            dx = backward(dy)
            context.gradients["gain"][...] += np.where(np.isnan(before), 0, before)
            return dx

        return y, adding


@dataclass(frozen=True)
class OtherInplace(Gain):
    """y = tanh(gain · x), but without the gain in place"""

    def forward_inplace(self, x, context):
        y, backward = super().forward(x.copy(), context)
        return y, lambda dy: backward(0.9 * dy)


@dataclass(frozen=True)
class WrongRange(Gain):
    """y = tanh(gain · x), said to be positive"""

    range = (0.0, 1.0)


@dataclass(frozen=True)
class Distribution(Gain):
    """y = tanh(gain · x), said to be probabilities"""

    sums_to_one = True


@dataclass(frozen=True)
class WrongAtZero(Gain):
    """y = gain · |x|, with another gradient at 0"""

    range = (-np.inf, np.inf)

    def forward(self, x, context):
        gain = context.params["gain"]

        def backward(dy):
            np.sum((dy * abs(x)).reshape(-1, gain.size), axis=0, out=context.gradients["gain"])
            return gain * dy * np.where(x == 0, x.dtype.type(5), np.sign(x))

        return gain * abs(x), backward


BROKEN = {
    "gradient": [HalfGradient],
    "written": [Adding],
    "buffered": [OtherInplace],
    "declared range": [WrongRange],
    "sums to one": [Distribution],
    "kinks": [WrongAtZero],
}
