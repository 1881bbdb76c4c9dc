"""The initializers: the first values of weights and biases."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.interfaces.component import NonNegative
from nnreg.interfaces.initializer import Initializer, fans


@dataclass(frozen=True)
class Zeros(Initializer):
    """Zeros.

    value = 0
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.zeros(shape)


@dataclass(frozen=True)
class Ones(Initializer):
    """Ones.

    value = 1
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.ones(shape)


@dataclass(frozen=True)
class Constant(Initializer):
    """The same value everywhere.

    value = `value`

    Options:
        value: the value
    """

    value: float = 0.0

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return np.full(shape, self.value)


@dataclass(frozen=True)
class Normal(Initializer):
    """Normal distribution.

    value ~ N(mean, std²)

    Options:
        mean: mean
        std: standard deviation, >= 0
    """

    mean: float = 0.0
    std: NonNegative = 0.05

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.normal(self.mean, self.std, shape)


@dataclass(frozen=True)
class Uniform(Initializer):
    """Uniform distribution.

    value ~ U[low, high)

    Options:
        low: smallest value, not above `high`
        high: upper bound, excluded
    """

    low: float = -0.05
    high: float = 0.05

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low}) must not be above high ({self.high})")

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return rng.uniform(self.low, self.high, shape)


def _normal(variance: float, shape: Shape, rng: np.random.Generator) -> Array:
    return rng.normal(0.0, math.sqrt(variance), shape)


def _uniform(variance: float, shape: Shape, rng: np.random.Generator) -> Array:
    limit = math.sqrt(3 * variance)
    return rng.uniform(-limit, limit, shape)


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal distribution scaled by the numbers of inputs and outputs.

    variance = 2 / (fan_in + fan_out)

    Glorot and Bengio 2010.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _normal(2 / sum(fans(shape)), shape, rng)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform distribution scaled by the numbers of inputs and outputs.

    variance = 2 / (fan_in + fan_out)

    Glorot and Bengio 2010.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(2 / sum(fans(shape)), shape, rng)


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal distribution scaled by the number of inputs, for layers with relu.

    variance = 2 / fan_in

    He et al. 2015.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _normal(2 / fans(shape)[0], shape, rng)


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform distribution scaled by the number of inputs, for layers with relu.

    variance = 2 / fan_in

    He et al. 2015.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(2 / fans(shape)[0], shape, rng)


@dataclass(frozen=True)
class LecunNormal(Initializer):
    """Normal distribution scaled by the number of inputs, for layers with selu.

    variance = 1 / fan_in

    LeCun et al. 1998.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _normal(1 / fans(shape)[0], shape, rng)


@dataclass(frozen=True)
class LecunUniform(Initializer):
    """Uniform distribution scaled by the number of inputs.

    variance = 1 / fan_in

    LeCun et al. 1998.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return _uniform(1 / fans(shape)[0], shape, rng)
