"""Steps along the gradient, its momentum, or the sign of either."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.builtin.optimizers.moments import add_to_mean
from nnreg.interfaces.component import NonNegative, Positive, ProperFraction
from nnreg.interfaces.optimizer import Optimizer, UpdateState


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
    momentum: ProperFraction = 0.0
    nesterov: bool = False

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        if self.momentum:
            state.kernels.momentum(
                parameters,
                gradient,
                state.vectors["velocity"],
                state.workspace,
                rate=self.learning_rate,
                momentum=self.momentum,
                nesterov=self.nesterov,
            )
        else:
            change = np.multiply(gradient, self.learning_rate, out=state.empty(parameters))
            np.subtract(parameters, change, out=parameters)


@dataclass(frozen=True)
class Lion(Optimizer):
    """Steps of one size along the sign of a momentum.

    p ← p - learning_rate · (sign(beta1 · m + (1 - beta1) · g) + weight_decay · p);
    m ← beta2 · m + (1 - beta2) · g

    The weight decay is decoupled. The steps are larger than Adam's: the paper divides the learning
    rate by 3 to 10, and multiplies the weight decay by as much. Chen et al. 2023.

    Options:
        learning_rate: step size, > 0
        beta1: part of m in the direction, in [0, 1)
        beta2: decay of the mean m of the gradient, in [0, 1)
        weight_decay: fraction by which parameters shrink per step, times learning_rate, >= 0
    """

    state_names = ("m",)
    elementwise = True
    learning_rate: Positive = 0.0001
    beta1: ProperFraction = 0.9
    beta2: ProperFraction = 0.99
    weight_decay: NonNegative = 0.0

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        m, change, scratch = state.vectors["m"], state.empty(gradient), state.empty(gradient)
        np.multiply(m, self.beta1, out=change)
        np.multiply(gradient, 1 - self.beta1, out=scratch)
        np.add(change, scratch, out=change)
        np.sign(change, out=scratch)  # in place it takes ten times as long
        np.multiply(scratch, self.learning_rate, out=change)
        if self.weight_decay:
            np.multiply(parameters, 1 - self.learning_rate * self.weight_decay, out=parameters)
        np.subtract(parameters, change, out=parameters)
        add_to_mean(m, gradient, self.beta2, scratch)
