"""The activations. Each is finite, with a finite gradient, at inputs of ±1e4 in float32."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Interval

from nnreg._types import Array
from nnreg.interfaces.activation import Activation, Backward, BiasBackward
from nnreg.interfaces.context import Context


@dataclass(frozen=True)
class Identity(Activation):
    """No nonlinearity.

    y = x
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return x, lambda dy: dy


@dataclass(frozen=True)
class Relu(Activation):
    """Rectified linear unit.

    y = max(x, 0)

    The derivative at 0 is 0. Nair and Hinton 2010.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return np.maximum(x, 0), lambda dy: dy * (x > 0)

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        y, backward_fn = self.forward_bias_inplace(x, None, context)
        return y, lambda dy: backward_fn(dy, None)

    def forward_bias_inplace(
        self, x: Array, bias: Array | None, context: Context
    ) -> tuple[Array, BiasBackward]:
        """Overwrite x; backward needs only the sign of y, which is that of x + bias."""
        context.kernels.relu(x, bias, context.workspace)

        def backward(dy: Array, dbias: Array | None) -> Array:
            dx = context.empty(x.shape)
            context.kernels.relu_backward(dy, x, dx, dbias, context.workspace)
            return dx

        return x, backward


@dataclass(frozen=True)
class LeakyRelu(Activation):
    """Rectified linear unit with a slope for negative inputs.

    y = x for x > 0, otherwise slope · x

    Maas et al. 2013.

    Options:
        slope: slope for negative x, in [0, 1]
    """

    slope: Annotated[float, Interval(ge=0, le=1)] = 0.01
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope))
        return x * slope, lambda dy: dy * slope


@dataclass(frozen=True)
class Sigmoid(Activation):
    """Logistic function.

    y = 1 / (1 + exp(-x))

    Computed as (1 + tanh(x/2)) / 2, which cannot overflow.
    """

    range = (0.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = 0.5 + 0.5 * np.tanh(0.5 * x)
        return y, lambda dy: dy * (y * (1 - y))

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        y = np.multiply(x, 0.5, out=x)
        np.tanh(y, out=y)
        np.multiply(y, 0.5, out=y)
        np.add(y, 0.5, out=y)

        def backward(dy: Array) -> Array:
            slope = np.subtract(1, y, out=context.empty(y.shape))
            np.multiply(slope, y, out=slope)
            return np.multiply(slope, dy, out=slope)

        return y, backward


@dataclass(frozen=True)
class Tanh(Activation):
    """Hyperbolic tangent.

    y = tanh(x)
    """

    range = (-1.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = np.tanh(x)
        return y, lambda dy: dy * (1 - y * y)

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        y = np.tanh(x, out=x)

        def backward(dy: Array) -> Array:
            slope = np.multiply(y, y, out=context.empty(y.shape))
            np.subtract(1, slope, out=slope)
            return np.multiply(slope, dy, out=slope)

        return y, backward


@dataclass(frozen=True)
class Softmax(Activation):
    """Probabilities over the last axis.

    y_i = exp(x_i) / Σ_j exp(x_j)

    Bridle 1990.
    """

    range = (0.0, 1.0)
    sums_to_one = True

    def forward(self, x: Array) -> tuple[Array, Backward]:
        e = np.exp(x - np.max(x, axis=-1, keepdims=True))
        y = e / np.sum(e, axis=-1, keepdims=True)
        return y, lambda dy: y * (dy - np.sum(dy * y, axis=-1, keepdims=True))

    def forward_inplace(self, x: Array, context: Context) -> tuple[Array, Backward]:
        """Overwrite x."""
        rows = x.reshape(-1, x.shape[-1])
        context.kernels.softmax(rows, context.workspace)

        def backward(dy: Array) -> Array:
            dx = context.empty(rows.shape)
            context.kernels.softmax_backward(dy.reshape(rows.shape), rows, dx, context.workspace)
            return dx.reshape(x.shape)

        return x, backward


@dataclass(frozen=True)
class Elu(Activation):
    """Exponential linear unit.

    y = x for x > 0, otherwise alpha · (exp(x) - 1)

    Clevert et al. 2015.

    Options:
        alpha: the negative of the limit for x → -∞, in (0, 10]
    """

    alpha: Annotated[float, Interval(gt=0, le=10)] = 1.0
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        negative = self.alpha * np.expm1(np.minimum(x, 0))
        y = np.where(x > 0, x, negative)
        return y, lambda dy: dy * np.where(x > 0, x.dtype.type(1), negative + self.alpha)


@dataclass(frozen=True)
class Selu(Activation):
    """Exponential linear unit with the constants that keep mean 0 and variance 1.

    y = scale · elu(x, alpha)

    alpha is 1.6733 and scale 1.0507. Klambauer et al. 2017.
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        alpha, scale = 1.6732632423543772, 1.0507009873554805
        y, backward = Elu(alpha).forward(x)
        return scale * y, lambda dy: scale * backward(dy)


@dataclass(frozen=True)
class Gelu(Activation):
    """Gaussian error linear unit.

    y = x · Φ(x), Φ the distribution function of the standard normal

    By default Φ(x) ≈ (1 + tanh(√(2/π) · (x + 0.044715 x³))) / 2. Hendrycks and Gimpel 2016.

    Options:
        exact: compute Φ by the error function, which NumPy lacks and which is therefore slow
    """

    exact: bool = False
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        if self.exact:
            erf: Array = np.frompyfunc(math.erf, 1, 1)(x / math.sqrt(2))  # type: ignore[assignment]
            cdf = 0.5 + 0.5 * erf.astype(x.dtype)
            slope = np.exp(-0.5 * np.square(np.clip(x, -40, 40))) / math.sqrt(2 * math.pi)
            return x * cdf, lambda dy: dy * (cdf + x * slope)
        c, k = math.sqrt(2 / math.pi), 0.044715
        th = np.tanh(c * x * (1 + k * (x * x)))
        cdf = 0.5 + 0.5 * th
        slope = (0.5 * c) * (1 - th * th) * (1 + (3 * k) * (x * x))
        return x * cdf, lambda dy: dy * (cdf + x * slope)


@dataclass(frozen=True)
class Silu(Activation):
    """Sigmoid linear unit, also called swish.

    y = x · sigmoid(x)

    Elfwing et al. 2017.
    """

    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        s = 0.5 + 0.5 * np.tanh(0.5 * x)
        y = x * s
        return y, lambda dy: dy * (s + y * (1 - s))


@dataclass(frozen=True)
class Softplus(Activation):
    """Smooth rectified linear unit.

    y = log(1 + exp(x))

    Computed as max(x, 0) + log(1 + exp(-|x|)), which cannot overflow.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        y = np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
        return y, lambda dy: dy * (0.5 + 0.5 * np.tanh(0.5 * x))


@dataclass(frozen=True)
class Softsign(Activation):
    """Function with the range of tanh and slower saturation.

    y = x / (1 + |x|)

    Turian et al. 2009.
    """

    range = (-1.0, 1.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        d = 1 + np.abs(x)
        return x / d, lambda dy: dy / (d * d)
