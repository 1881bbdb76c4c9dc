"""Rectified linear units, and what else is linear between a few points."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations.kernel_activation import KernelActivation
from nnreg.builtin.initializers import Constant
from nnreg.interfaces.activation import Activation, Backward, BiasBackward
from nnreg.interfaces.component import Fraction
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import LayerBuilder
from nnreg.interfaces.trainable_activation import TrainableActivation


@dataclass(frozen=True)
class Relu(KernelActivation):
    """Rectified linear unit.

    y = max(x, 0)

    The derivative at 0 is 0. Nair and Hinton 2010.
    """

    range = (0.0, math.inf)
    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return "relu", 0.0

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
        return x, self.backward_from(x, context)

    @property
    def clips(self) -> bool:
        return type(self) is Relu  # a subclass may compute something else

    def backward_from(self, y: Array, context: Context) -> BiasBackward:
        def backward(dy: Array, dbias: Array | None) -> Array:
            dx = context.empty(y.shape)
            context.kernels.relu_backward(dy, y, dx, dbias, context.workspace)
            return dx

        return backward


@dataclass(frozen=True)
class LeakyRelu(KernelActivation):
    """Rectified linear unit with a slope for negative inputs.

    y = x for x > 0, otherwise slope · x

    PyTorch has this default of slope too; Keras has 0.2. Maas et al. 2013.

    Options:
        slope: slope for negative x, in [0, 1]
    """

    slope: Fraction = 0.01
    sums_to_one = False

    def _kernel(self) -> tuple[str, float]:
        return "leaky_relu", self.slope

    def forward(self, x: Array) -> tuple[Array, Backward]:
        slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(self.slope))
        return x * slope, lambda dy: dy * slope


@dataclass(frozen=True)
class Relu6(Activation):
    """Rectified linear unit with a largest value.

    y = min(max(x, 0), 6)

    The derivative at 0 and 6 is 0. Krizhevsky 2010.
    """

    range = (0.0, 6.0)
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        return np.clip(x, 0, 6), lambda dy: dy * ((x > 0) & (x < 6))


@dataclass(frozen=True)
class PRelu(TrainableActivation):
    """Rectified linear unit with a trained slope for negative inputs, one for each feature.

    y = x for x > 0, otherwise slope · x

    As PyTorch's with num_parameters=features, which begins with slopes of 0.25 too; Keras's begins
    with 0, and has a slope for each value of an example. train.weight_decay does not reach the
    slopes, as the paper recommends. He et al. 2015.

    Options:
        initializer: first values of slope

    Parameters:
        slope: (features,)
    """

    initializer: Initializer = Constant(0.25)
    keeps_mask = True
    sums_to_one = False

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        builder.param("slope", shape[-1:], self.initializer)
        return shape

    def infer(self, x: Any, context: Context) -> Any:  # type: ignore[override]
        return np.maximum(x, 0) + context.params["slope"] * np.minimum(x, 0)

    def forward(  # type: ignore[override]
        self, x: Array, context: Context
    ) -> tuple[Array, Backward]:
        slope, negative = context.params["slope"], np.minimum(x, 0)

        def backward(dy: Array) -> Array:
            products = (dy * negative).reshape(-1, slope.size)
            np.sum(products, axis=0, out=context.gradients["slope"])
            return dy * np.where(x > 0, x.dtype.type(1), slope)

        return np.maximum(x, 0) + slope * negative, backward


@dataclass(frozen=True)
class Threshold(Activation):
    """The input where it is large enough, otherwise a constant.

    y = x for x > threshold, otherwise value

    Keras and PyTorch have no defaults; these are those of the rectified unit of Konda et al. 2014.

    Options:
        threshold: largest x that is replaced
        value: its replacement; Keras calls it default_value
    """

    threshold: float = 1.0
    value: float = 0.0
    sums_to_one = False

    def forward(self, x: Array) -> tuple[Array, Backward]:
        kept = x > self.threshold
        return np.where(kept, x, x.dtype.type(self.value)), lambda dy: dy * kept
