"""The initializers: the first values of weights and biases."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.threads import blas_threads
from nnreg.interfaces.component import NonNegative, Positive
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


@dataclass(frozen=True)
class TruncatedNormal(Initializer):
    """Normal distribution without the values beyond two standard deviations.

    value ~ N(mean, std²), drawn again where |value - mean| > 2 · std

    As in Keras; the standard deviation of what is left is 0.88 · std. PyTorch's `trunc_normal_` has
    bounds of its own.

    Options:
        mean: mean
        std: standard deviation before values are left out, >= 0
    """

    mean: float = 0.0
    std: NonNegative = 0.05

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        values = rng.standard_normal(shape)
        while len(outside := np.flatnonzero(np.abs(values) > 2)):
            values.flat[outside] = rng.standard_normal(len(outside))
        return self.mean + self.std * values


TRUNCATED_STD = 0.87962566103423978
"""The standard deviation of a standard normal distribution between -2 and 2."""


@dataclass(frozen=True)
class VarianceScaling(Initializer):
    """Distribution scaled by the numbers of inputs and outputs.

    variance = scale / n, n = fan_in, fan_out or their mean

    The fan-in is the number of inputs per output, times the values of a window in a convolution;
    the fan-out that of outputs per input. The variance is that of the values drawn, also of
    truncated ones. He et al. 2015.

    Options:
        scale: factor of the variance, > 0
        mode: "fan_in", "fan_out" or "fan_avg", the mean of both
        distribution: "normal", "truncated_normal" at two standard deviations, or "uniform"
    """

    scale: Positive = 1.0
    mode: Literal["fan_in", "fan_out", "fan_avg"] = "fan_in"
    distribution: Literal["normal", "truncated_normal", "uniform"] = "truncated_normal"

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        fan_in, fan_out = fans(shape)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / count
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return rng.uniform(-limit, limit, shape)
        std = math.sqrt(variance)
        if self.distribution == "normal":
            return rng.normal(0.0, std, shape)
        return TruncatedNormal(std=std / TRUNCATED_STD).draw(shape, rng)


@dataclass(frozen=True)
class GlorotNormal(Initializer):
    """Normal distribution scaled by the numbers of inputs and outputs.

    variance = 2 / (fan_in + fan_out)

    Keras draws from a truncated distribution of this variance. Glorot and Bengio 2010.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return VarianceScaling(1.0, "fan_avg", "normal").draw(shape, rng)


@dataclass(frozen=True)
class GlorotUniform(Initializer):
    """Uniform distribution scaled by the numbers of inputs and outputs.

    variance = 2 / (fan_in + fan_out)

    Glorot and Bengio 2010.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return VarianceScaling(1.0, "fan_avg", "uniform").draw(shape, rng)


@dataclass(frozen=True)
class HeNormal(Initializer):
    """Normal distribution scaled by the number of inputs, for layers with relu.

    variance = 2 / fan_in

    Keras draws from a truncated distribution of this variance. He et al. 2015.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return VarianceScaling(2.0, "fan_in", "normal").draw(shape, rng)


@dataclass(frozen=True)
class HeUniform(Initializer):
    """Uniform distribution scaled by the number of inputs, for layers with relu.

    variance = 2 / fan_in

    He et al. 2015.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return VarianceScaling(2.0, "fan_in", "uniform").draw(shape, rng)


@dataclass(frozen=True)
class LecunNormal(Initializer):
    """Normal distribution scaled by the number of inputs, for layers with selu.

    variance = 1 / fan_in

    Keras draws from a truncated distribution of this variance. LeCun et al. 1998.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return VarianceScaling(1.0, "fan_in", "normal").draw(shape, rng)


@dataclass(frozen=True)
class LecunUniform(Initializer):
    """Uniform distribution scaled by the number of inputs.

    variance = 1 / fan_in

    LeCun et al. 1998.
    """

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        return VarianceScaling(1.0, "fan_in", "uniform").draw(shape, rng)


@dataclass(frozen=True)
class Orthogonal(Initializer):
    """Random matrix whose rows or columns, whichever are fewer, are orthogonal unit vectors.

    value = gain · q, q the orthogonal factor of a matrix of normal values

    A kernel is a matrix of all its windows' inputs by its outputs. Every such matrix is equally
    likely. Saxe et al. 2014.

    Options:
        gain: length of the vectors
    """

    gain: float = 1.0

    def check_shape(self, shape: Shape) -> None:
        if len(shape) < 2:
            raise ValueError("it draws matrices and kernels")

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        rows, columns = math.prod(shape[:-1]), shape[-1]
        normal = rng.standard_normal((max(rows, columns), min(rows, columns)))
        with blas_threads(1):  # bit-identical on any number of threads
            q, r = np.linalg.qr(normal)
        q = np.where(np.diag(r) < 0, -q, q)  # otherwise some matrices would be more likely
        values: Array = self.gain * (q if rows >= columns else q.T).reshape(shape)
        return values


@dataclass(frozen=True)
class Identity(Initializer):
    """Identity matrix; zeros fill a matrix that is not square.

    value = gain where row = column, otherwise 0

    For recurrent weights, Le et al. 2015.

    Options:
        gain: value of the diagonal
    """

    gain: float = 1.0

    def check_shape(self, shape: Shape) -> None:
        if len(shape) != 2:
            raise ValueError("it is a matrix")

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        rows, columns = shape
        return self.gain * np.eye(rows, columns)
