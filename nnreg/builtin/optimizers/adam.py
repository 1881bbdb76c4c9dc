"""Adam and its variants: steps scaled by running means of the gradient and of its square."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.builtin.optimizers.moments import (
    add_to_mean,
    add_to_mean_square,
    corrections,
    divide_by_root,
)
from nnreg.interfaces.component import NonNegative, Positive, ProperFraction
from nnreg.interfaces.optimizer import Optimizer, UpdateState


@dataclass(frozen=True)
class Adam(Optimizer):
    """Steps scaled by running means of the gradient and of its square.

    m ← beta1 · m + (1 - beta1) · g; v ← beta2 · v + (1 - beta2) · g²;
    p ← p - learning_rate · m̂ / (√v̂ + epsilon)

    m̂ and v̂ are m and v corrected for starting at zero. Keras's default epsilon is 1e-7. Kingma and
    Ba 2015.

    Options:
        learning_rate: step size, > 0
        beta1: decay of the mean m of the gradient, in [0, 1)
        beta2: decay of the mean v of the squared gradient, in [0, 1)
        epsilon: added to the divisor, > 0
    """

    state_names = ("m", "v")
    non_negative = ("v",)
    elementwise = True
    learning_rate: Positive = 0.001
    beta1: ProperFraction = 0.9
    beta2: ProperFraction = 0.999
    epsilon: Positive = 1e-8

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

    Keras's default of weight_decay is 0.004. Loshchilov and Hutter 2019.

    Options:
        weight_decay: fraction by which parameters shrink per step, times learning_rate, >= 0
    """

    weight_decay: NonNegative = 0.01

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        np.multiply(parameters, 1 - self.learning_rate * self.weight_decay, out=parameters)
        super().update(parameters, gradient, state)


@dataclass(frozen=True)
class Adamax(Optimizer):
    """Adam whose steps are scaled by a decaying maximum of the gradient.

    m ← beta1 · m + (1 - beta1) · g; u ← max(beta2 · u, |g| + epsilon);
    p ← p - learning_rate · m / (1 - beta1^t) / u

    t is the number of the step. Kingma and Ba 2015, section 7; epsilon is PyTorch's, while Keras
    adds it to u in the divisor.

    Options:
        learning_rate: step size, > 0
        beta1: decay of the mean m of the gradient, in [0, 1)
        beta2: decay of the maximum u, in [0, 1)
        epsilon: added to |g|, > 0
    """

    state_names = ("m", "u")
    non_negative = ("u",)
    elementwise = True
    learning_rate: Positive = 0.002
    beta1: ProperFraction = 0.9
    beta2: ProperFraction = 0.999
    epsilon: Positive = 1e-8

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        m, u, change = state.vectors["m"], state.vectors["u"], state.empty(parameters)
        add_to_mean(m, gradient, self.beta1, change)
        np.multiply(u, self.beta2, out=u)
        np.abs(gradient, out=change)
        np.add(change, self.epsilon, out=change)
        np.maximum(u, change, out=u)
        np.divide(m, u, out=change)
        np.multiply(change, self.learning_rate / (1 - self.beta1**state.count), out=change)
        np.subtract(parameters, change, out=parameters)


@dataclass(frozen=True)
class NAdam(Adam):
    """Adam with Nesterov's momentum.

    p ← p - learning_rate · (μ' · m / (1 - Π · μ') + (1 - μ) · g / (1 - Π)) / (√v̂ + epsilon)

    m and v are those of Adam; μ = beta1 · (1 - 0.96^(t · momentum_decay) / 2) at step t, μ' that of
    the next step, Π the product of μ up to step t. Dozat 2016.

    Options:
        momentum_decay: rate at which μ rises to beta1, >= 0
    """

    learning_rate: Positive = 0.002
    momentum_decay: NonNegative = 0.004

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        m, v = state.vectors["m"], state.vectors["v"]
        change, scratch = state.empty(parameters), state.empty(parameters)
        add_to_mean(m, gradient, self.beta1, scratch)
        add_to_mean_square(v, gradient, self.beta2, scratch)
        momentum, following, product = self._momenta(state.count)
        rate, root = self.learning_rate, math.sqrt(1 - self.beta2**state.count)
        np.multiply(m, rate * root * following / (1 - product * following), out=change)
        np.multiply(gradient, rate * root * (1 - momentum) / (1 - product), out=scratch)
        np.add(change, scratch, out=change)
        divide_by_root(change, v, self.epsilon * root, scratch)
        np.subtract(parameters, scratch, out=parameters)

    def _momenta(self, count: int) -> tuple[float, float, float]:
        """Return μ, μ' and Π; factors that cannot change 1 - Π in float64 are left out."""
        last = min(count, math.ceil(math.log(1e-17) / math.log(self.beta1)) if self.beta1 else 1)
        steps = np.concatenate([np.arange(1, last + 1), [count, count + 1]])
        found = self.beta1 * (1 - 0.5 * 0.96 ** (steps * self.momentum_decay))
        return float(found[-2]), float(found[-1]), float(np.prod(found[:-2]))


@dataclass(frozen=True)
class RAdam(Adam):
    """Adam with a warmup that follows from the uncertainty of v.

    p ← p - learning_rate · r · m̂ / (√v̂ + epsilon), or p - learning_rate · m̂ while ρ <= 5

    r = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ)), ρ∞ = 2 / (1 - beta2) - 1 and
    ρ = ρ∞ - 2 t · beta2^t / (1 - beta2^t) at step t; m̂ and v̂ are those of Adam. As in PyTorch,
    epsilon is added to √v before the correction. Liu et al. 2020.
    """

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        m, v, change = state.vectors["m"], state.vectors["v"], state.empty(parameters)
        add_to_mean(m, gradient, self.beta1, change)
        add_to_mean_square(v, gradient, self.beta2, change)
        rate = self.learning_rate / (1 - self.beta1**state.count)
        rest = self.beta2**state.count
        longest = 2 / (1 - self.beta2) - 1
        length = longest - 2 * state.count * rest / (1 - rest)
        if length > 5:
            ratio = (length - 4) * (length - 2) * longest
            ratio /= (longest - 4) * (longest - 2) * length
            divide_by_root(m, v, self.epsilon, change)
            np.multiply(change, rate * math.sqrt((1 - rest) * ratio), out=change)
        else:
            np.multiply(m, rate, out=change)
        np.subtract(parameters, change, out=parameters)


@dataclass(frozen=True)
class ScheduleFreeAdamW(Optimizer):
    """AdamW whose weights are averaged, in place of a schedule.

    z ← z - learning_rate · (g / (√v̂ + epsilon) + weight_decay · y); x ← x + (z - x) / t;
    y = (1 - beta1) · z + beta1 · x

    The trained weights y are where the gradient is computed; x, the mean of all z, is validated,
    kept as the best and used for predictions. v̂ is that of Adam, t the number of the step. All
    steps have the same weight in x, as in Keras; the authors' code weighs them by the square of
    the learning rate, which is the same without a schedule. Defazio et al. 2024.

    Options:
        learning_rate: step size, > 0
        beta1: part of the mean x in the trained weights y, in (0, 1)
        beta2: decay of the mean v of the squared gradient, in [0, 1)
        epsilon: added to the divisor, > 0
        weight_decay: fraction by which weights shrink per step, times learning_rate, >= 0
    """

    state_names = ("z", "v")
    non_negative = ("v",)
    elementwise = True
    learning_rate: Positive = 0.0025
    beta1: Annotated[float, Interval(gt=0, lt=1)] = 0.9
    beta2: ProperFraction = 0.999
    epsilon: Positive = 1e-8
    weight_decay: NonNegative = 0.0

    def update(self, parameters: Array, gradient: Array, state: UpdateState) -> None:
        z, v = state.vectors["z"], state.vectors["v"]
        change, mean = state.empty(parameters), state.empty(parameters)
        if state.count == 1:
            z[...] = parameters
        add_to_mean_square(v, gradient, self.beta2, change)
        factor, floor = corrections(0.0, self.beta2, state.count)
        divide_by_root(gradient, v, self.epsilon * floor, change)
        np.multiply(change, self.learning_rate * factor, out=change)
        if self.weight_decay:
            np.multiply(parameters, self.learning_rate * self.weight_decay, out=mean)
            np.add(change, mean, out=change)
        self._mean(parameters, z, mean)
        np.subtract(z, change, out=z)
        np.subtract(z, mean, out=change)
        np.divide(change, state.count, out=change)
        np.add(mean, change, out=mean)
        np.multiply(mean, self.beta1, out=mean)
        np.multiply(z, 1 - self.beta1, out=change)
        np.add(mean, change, out=parameters)

    def evaluation_parameters(self, parameters: Array, state: UpdateState) -> Array:
        return self._mean(parameters, state.vectors["z"], state.empty(parameters))

    def _mean(self, y: Array, z: Array, out: Array) -> Array:
        """Return x, which follows from y and z."""
        np.multiply(z, 1 - self.beta1, out=out)
        np.subtract(y, out, out=out)
        return np.divide(out, self.beta1, out=out)
