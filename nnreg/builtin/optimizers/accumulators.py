"""Steps scaled by sums or means of the squared gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.builtin.optimizers.moments import add_to_mean_square, divide_by_root
from nnreg.interfaces.component import NonNegative, Positive, ProperFraction
from nnreg.interfaces.optimizer import Optimizer, UpdateState


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """Steps scaled by a running mean of the squared gradient.

    s ← rho · s + (1 - rho) · g²; p ← p - learning_rate · g / (√s + epsilon)

    PyTorch has the defaults 0.01 and 0.99; Keras adds epsilon, 1e-7, inside the root. Tieleman and
    Hinton 2012.

    Options:
        learning_rate: step size, > 0
        rho: decay of the mean s of the squared gradient, in [0, 1)
        epsilon: added to the divisor, > 0
    """

    state_names = ("square",)
    non_negative = ("square",)
    elementwise = True
    learning_rate: Positive = 0.001
    rho: ProperFraction = 0.9
    epsilon: Positive = 1e-8

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        state.kernels.rms_prop(
            parameters,
            gradient,
            state.vectors["square"],
            state.workspace,
            rate=self.learning_rate,
            rho=self.rho,
            epsilon=self.epsilon,
        )


@dataclass(frozen=True)
class Adagrad(Optimizer):
    """Steps scaled by the sum of all squared gradients.

    s ← s + g²; p ← p - learning_rate · g / (√s + epsilon)

    s starts at `initial_accumulator_value`. Keras begins at 0.1 by default, and adds epsilon inside
    the root. Duchi et al. 2011.

    Options:
        learning_rate: step size, > 0
        initial_accumulator_value: s before the first step, >= 0
        epsilon: added to the divisor, > 0
    """

    state_names = ("sum",)
    non_negative = ("sum",)
    elementwise = True
    learning_rate: Positive = 0.01
    initial_accumulator_value: NonNegative = 0.0
    epsilon: Positive = 1e-10

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        total, scratch = state.vectors["sum"], state.empty(parameters)
        if state.count == 1:
            total[...] = self.initial_accumulator_value
        np.multiply(gradient, gradient, out=scratch)
        np.add(total, scratch, out=total)
        divide_by_root(gradient, total, self.epsilon, scratch)
        np.multiply(scratch, self.learning_rate, out=scratch)
        np.subtract(parameters, scratch, out=parameters)


@dataclass(frozen=True)
class Adadelta(Optimizer):
    """Steps scaled by running means of the squared gradient and of the squared steps.

    s ← rho · s + (1 - rho) · g²; d = g · √(u + epsilon) / √(s + epsilon);
    u ← rho · u + (1 - rho) · d²; p ← p - learning_rate · d

    Keras has the learning rate 0.001 by default. Zeiler 2012.

    Options:
        learning_rate: step size, > 0
        rho: decay of both means, in [0, 1)
        epsilon: added inside both roots, > 0
    """

    state_names = ("square", "change_square")
    non_negative = ("square", "change_square")
    elementwise = True
    learning_rate: Positive = 1.0
    rho: ProperFraction = 0.9
    epsilon: Positive = 1e-6

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        square, steps = state.vectors["square"], state.vectors["change_square"]
        change, scratch = state.empty(parameters), state.empty(parameters)
        add_to_mean_square(square, gradient, self.rho, scratch)
        np.add(square, self.epsilon, out=scratch)
        np.add(steps, self.epsilon, out=change)
        np.divide(change, scratch, out=change)
        np.sqrt(change, out=change)
        np.multiply(change, gradient, out=change)
        add_to_mean_square(steps, change, self.rho, scratch)
        np.multiply(change, self.learning_rate, out=change)
        np.subtract(parameters, change, out=parameters)


@dataclass(frozen=True)
class Ftrl(Optimizer):
    """Follow the regularized leader: weights from the sum of all gradients, many exactly 0.

    n' = n + g²; z ← z + g - (n'^k - n^k) / learning_rate · p; n ← n';
    p = (clip(z, -l1, l1) - z) / ((n^k + beta) / learning_rate + 2 · l2)

    k is -learning_rate_power, and n starts at `initial_accumulator_value`. It is meant for weights
    that start at zero, as in a linear model: as in Keras, the first step also shrinks the initial
    weights. McMahan et al. 2013.

    Options:
        learning_rate: step size, > 0
        learning_rate_power: exponent by which steps shrink as n grows, in [-1, 0]
        initial_accumulator_value: n before the first step, > 0
        l1: weights whose z is smaller are 0, >= 0
        l2: penalty that shrinks the weights, >= 0
        beta: added to n^k, >= 0
    """

    state_names = ("accumulator", "linear")
    non_negative = ("accumulator",)
    elementwise = True
    learning_rate: Positive = 0.001
    learning_rate_power: Annotated[float, Interval(ge=-1, le=0)] = -0.5
    initial_accumulator_value: Positive = 0.1
    l1: NonNegative = 0.0
    l2: NonNegative = 0.0
    beta: NonNegative = 0.0

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        total, linear = state.vectors["accumulator"], state.vectors["linear"]
        power, before, scratch = (state.empty(parameters) for _ in range(3))
        if state.count == 1:
            total[...] = self.initial_accumulator_value
        self._power(total, out=before)
        np.multiply(gradient, gradient, out=scratch)
        np.add(total, scratch, out=total)
        self._power(total, out=power)
        np.subtract(power, before, out=scratch)
        np.multiply(scratch, parameters, out=scratch)
        np.divide(scratch, self.learning_rate, out=scratch)
        np.add(linear, gradient, out=linear)
        np.subtract(linear, scratch, out=linear)
        np.add(power, self.beta, out=power)
        np.divide(power, self.learning_rate, out=power)
        np.add(power, 2 * self.l2, out=power)
        np.clip(linear, -self.l1, self.l1, out=scratch)
        np.subtract(scratch, linear, out=scratch)
        np.divide(scratch, power, out=parameters)

    def _power(self, values: Array, out: Array) -> None:
        if self.learning_rate_power == -0.5:  # a root is ten times as fast
            np.sqrt(values, out=out)
        else:
            np.power(values, -self.learning_rate_power, out=out)
