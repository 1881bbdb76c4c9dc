"""The optimizers: in-place arithmetic on vectors, with scratch space for intermediate results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Gt, Interval

from nnreg._types import Array
from nnreg.interfaces.component import NonNegative
from nnreg.interfaces.optimizer import Optimizer, UpdateState

Fraction = Annotated[float, Interval(ge=0, lt=1)]


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Gradient descent, with momentum if set.

    v ← momentum · v + g; p ← p - learning_rate · v

    Nesterov's momentum: Sutskever et al. 2013.

    Options:
        learning_rate: step size, > 0
        momentum: factor by which the velocity v decays per step, in [0, 1)
        nesterov: step along g + momentum · v instead of v
    """

    state_names = ("velocity",)
    elementwise = True
    momentum: Fraction = 0.0
    nesterov: bool = False

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        change = state.empty(parameters)
        direction = gradient
        if self.momentum:
            velocity = state.vectors["velocity"]
            np.multiply(velocity, self.momentum, out=velocity)
            np.add(velocity, gradient, out=velocity)
            direction = velocity
            if self.nesterov:
                np.multiply(velocity, self.momentum, out=change)
                direction = np.add(change, gradient, out=change)
        np.multiply(direction, self.learning_rate, out=change)
        np.subtract(parameters, change, out=parameters)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    m ← beta1 · m + (1 - beta1) · g; v ← beta2 · v + (1 - beta2) · g²;
    p ← p - learning_rate · m̂ / (√v̂ + epsilon)

    m̂ and v̂ are m and v corrected for starting at zero. Kingma and Ba 2015.

    Options:
        learning_rate: step size, > 0
        beta1: decay of the mean m of the gradient, in [0, 1)
        beta2: decay of the mean v of the squared gradient, in [0, 1)
        epsilon: added to the divisor, > 0
    """

    state_names = ("m", "v")
    non_negative = ("v",)
    elementwise = True
    learning_rate: Annotated[float, Gt(0)] = 0.001
    beta1: Fraction = 0.9
    beta2: Fraction = 0.999
    epsilon: Annotated[float, Gt(0)] = 1e-8

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        """Fold the corrections of m and v into two scalars."""
        root = math.sqrt(1 - self.beta2**state.count)
        rate = self.learning_rate * root / (1 - self.beta1**state.count)
        state.kernels.adam(
            parameters,
            gradient,
            state.vectors["m"],
            state.vectors["v"],
            state.workspace,
            rate=rate,
            beta1=self.beta1,
            beta2=self.beta2,
            epsilon=self.epsilon * root,
        )


@dataclass(frozen=True)
class AdamW(Adam):
    """Adam with weight decay that is decoupled from the gradient.

    p ← (1 - learning_rate · weight_decay) · p, then a step of Adam

    Loshchilov and Hutter 2019.

    Options:
        weight_decay: fraction by which parameters shrink per step, times learning_rate, >= 0
    """

    weight_decay: NonNegative = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        np.multiply(parameters, 1 - self.learning_rate * self.weight_decay, out=parameters)
        super().update(parameters, gradient, state)


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """Steps scaled by a running mean of the squared gradient.

    s ← rho · s + (1 - rho) · g²; p ← p - learning_rate · g / (√s + epsilon)

    Tieleman and Hinton 2012.

    Options:
        learning_rate: step size, > 0
        rho: decay of the mean s of the squared gradient, in [0, 1)
        epsilon: added to the divisor, > 0
    """

    state_names = ("square",)
    non_negative = ("square",)
    elementwise = True
    learning_rate: Annotated[float, Gt(0)] = 0.001
    rho: Fraction = 0.9
    epsilon: Annotated[float, Gt(0)] = 1e-8

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        square = state.vectors["square"]
        scratch = state.empty(parameters)
        np.multiply(square, self.rho, out=square)
        np.multiply(gradient, math.sqrt(1 - self.rho), out=scratch)  # g² alone could overflow
        np.multiply(scratch, scratch, out=scratch)
        np.add(square, scratch, out=square)
        np.sqrt(square, out=scratch)
        np.add(scratch, self.epsilon, out=scratch)
        np.divide(gradient, scratch, out=scratch)
        np.multiply(scratch, self.learning_rate, out=scratch)
        np.subtract(parameters, scratch, out=parameters)
