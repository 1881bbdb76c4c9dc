"""Dense layers, and layers without parameters that go with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.random_masks import draw_mask
from nnreg.builtin.activations import Identity
from nnreg.builtin.activations.kernel_activation import KernelActivation
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.errors import ShapeError
from nnreg.interfaces.activation import Activation, Backward, BiasBackward
from nnreg.interfaces.component import ProperFraction, Units
from nnreg.interfaces.context import Context
from nnreg.interfaces.declarations import Param
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder
from nnreg.interfaces.masks import require_features
from nnreg.interfaces.trainable_activation import TrainableActivation


class ActivatedLayer(Layer):
    """A layer whose outputs are those of its option `activation`."""

    activation: Activation

    @property
    def output_range(self) -> tuple[float, float]:
        return self.activation.range

    def split_output_activation(self) -> tuple[Layer, Activation]:
        plain: Layer = replace(cast(Any, self), activation=Identity())  # a dataclass has the option
        return plain, self.activation


def activated(activation: Activation, x: Array, context: Context) -> tuple[Array, Backward]:
    """Apply the option `activation` of a layer to `x`, in arrays of the workspace if it can.

    The results are those of `Activation.forward`, bit-identical with NumPy's kernels.
    """
    if context.children:
        assert isinstance(activation, TrainableActivation)  # others are not built
        return activation.forward(x, context.children["activation"])
    if isinstance(activation, KernelActivation):
        return activation.forward_apart(x, context)
    if type(activation).forward_inplace is Activation.forward_inplace:  # it does not overwrite x
        return activation.forward_inplace(x, context)
    if activation.sums_to_one:  # in place, its sums have other last bits, and are slower
        return activation.forward(x)
    copied = context.empty(x.shape)
    copied[...] = x
    if x.ndim == 2:
        return activation.forward_inplace(copied, context)
    y, backward_fn = activation.forward_inplace(copied.reshape(-1, x.shape[-1]), context)
    return y.reshape(x.shape), lambda dy: backward_fn(dy.reshape(y.shape)).reshape(x.shape)


def infer_activation(activation: Activation, x: Any, context: Context) -> Any:
    """Apply the option `activation` of a layer, for `Layer.infer`."""
    if context.children:
        return cast(TrainableActivation, activation).infer(x, context.children["activation"])
    return activation.infer(x)


class WeightedLayer(ActivatedLayer):
    """A layer that multiplies by a weight, may add a bias, and applies its activation."""

    bias: bool
    initializer: Initializer
    bias_initializer: Initializer

    def _declare(self, builder: LayerBuilder, weight: Shape) -> None:
        """Declare the weight of this shape, whose last axis are the outputs, and what follows."""
        builder.param("weight", weight, self.initializer, regularized=True)
        if self.bias:
            builder.param("bias", weight[-1:], self.bias_initializer)
        builder.activation("activation", self.activation, weight[-1:])

    def _activated(self, z: Any, context: Context) -> Any:
        """Add the bias, if there is one, and apply the activation, for `infer`."""
        bias = context.params.get("bias")
        return infer_activation(self.activation, z if bias is None else z + bias, context)

    def _activate(
        self, z: Array, bias: Array | None, context: Context
    ) -> tuple[Array, BiasBackward]:
        """Add a bias to `(rows, outputs)` and apply the activation; `z` may be overwritten."""
        return self.activation.forward_bias_inplace(
            z,
            bias,
            context.children["activation"] if context.children else context,
        )


@dataclass(frozen=True)
class Dense(WeightedLayer):
    """Fully connected layer over the last axis.

    y = activation(x · weight + bias)

    Input `(..., in_features)`, output `(..., units)`. PyTorch's weight is (units, in_features).

    Options:
        units: number of outputs, or "classes" for one per class of the target
        activation: applied to the output
        bias: whether to add a bias
        initializer: first values of weight
        bias_initializer: first values of bias

    Parameters:
        weight: (in_features, units)
        bias: (units,), unless `bias` is false
    """

    units: Units
    activation: Activation = Identity()
    bias: bool = True
    initializer: Initializer = GlorotUniform()
    bias_initializer: Initializer = Zeros()
    independent = True
    divides_products = True
    keeps_integers = False
    keeps_mask = True

    def transposed(self, params: Mapping[str, Param]) -> Layer:
        return Dense(params["weight"].shape[0], bias=False)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        require_features(shape, builder)
        units = builder.size(self.units)
        self._declare(builder, (shape[-1], units))
        return (*shape[:-1], units)

    def infer(self, x: Any, context: Context) -> Any:
        return self._activated(x @ context.params["weight"], context)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        weight = context.params["weight"]
        features, units = weight.shape
        rows = x if x.ndim == 2 else x.reshape(-1, features)
        z = context.workspace.dot(rows, weight, out=context.empty((rows.shape[0], units)))
        y, backward_fn = self.activation.forward_bias_inplace(  # as `_activate`, without its call
            z,
            context.params.get("bias"),
            context.children["activation"] if context.children else context,
        )

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(
                dy if dy.ndim == 2 else dy.reshape(y.shape), context.gradients.get("bias")
            )
            context.workspace.dot(rows.T, dz, out=context.gradients["weight"])
            if not context.needs_input_gradient:
                return None
            dx = context.workspace.dot(dz, weight.T, out=context.empty(rows.shape))
            return dx if x.ndim == 2 else dx.reshape(x.shape)

        return y if x.ndim == 2 else y.reshape((*x.shape[:-1], units)), backward

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        weight, bias = context.params["weight"], context.params.get("bias")
        members, features, units = weight.shape
        rows = x if x.ndim == 3 else x.reshape(members, -1, features)
        shape = (*rows.shape[:2], units)
        z = np.matmul(rows, weight, out=context.empty(shape))
        if bias is not None:
            np.add(z, bias[:, None], out=z)
        flat = z.reshape(-1, units)
        y, backward_fn = self.activation.forward_bias_inplace(flat, None, context)

        def backward(dy: Array) -> Array | None:
            dz = backward_fn(dy.reshape(flat.shape), None).reshape(shape)
            if bias is not None:
                ones = context.workspace.ones(shape[1])
                np.matmul(ones, dz, out=context.gradients["bias"])
            np.matmul(rows.swapaxes(1, 2), dz, out=context.gradients["weight"])
            if not context.needs_input_gradient:
                return None
            dx = np.matmul(dz, weight.swapaxes(1, 2), out=context.empty(rows.shape))
            return dx.reshape(x.shape)

        return y.reshape(*x.shape[:-1], units), backward


@dataclass(frozen=True)
class ActivationLayer(ActivatedLayer):
    """An activation as a layer of its own.

    y = activation(x)

    Input of any shape, output of the same.

    Options:
        activation: applied to the input
    """

    activation: Activation = field()
    independent = True
    keeps_integers = False
    keeps_mask = True

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        require_features(shape, builder)  # the activation may be over the last axis
        builder.activation("activation", self.activation, shape)
        return shape

    def infer(self, x: Any, context: Context) -> Any:
        return infer_activation(self.activation, x, context)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        return activated(self.activation, x, context)

    forward_members = forward


@dataclass(frozen=True)
class Dropout(Layer):
    """Random zeros in training, with the other values scaled up; nothing otherwise.

    y = x · mask / (1 - rate), mask 0 with probability `rate` and 1 otherwise

    Input of any shape, output of the same. Srivastava et al. 2014.

    Options:
        rate: probability that a value is set to 0, in [0, 1)
    """

    rate: ProperFraction = 0.5
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def infer(self, x: Any, context: Context) -> Any:
        return x

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        if not context.training or self.rate == 0:
            return x, lambda dy: dy
        scale = context.empty(x.shape)
        draw_mask(context.rng, self.rate, 1 / (1 - self.rate), scale)
        y = np.multiply(x, scale, out=context.empty(x.shape))
        return y, lambda dy: np.multiply(dy, scale, out=context.empty(x.shape))

    forward_members = forward


@dataclass(frozen=True)
class Flatten(Layer):
    """All values of an example in one row.

    y = x, reshaped to `(batch, features)`

    Input of any shape, output `(features,)`.
    """

    independent = True
    keeps_integers = True
    output_range = (-math.inf, math.inf)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        return (math.prod(shape),)

    def infer(self, x: Any, context: Context) -> Any:
        return x.reshape(x.shape[0], math.prod(x.shape[1:]))

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        y = x.reshape(x.shape[0], math.prod(x.shape[1:]))
        return y, lambda dy: dy.reshape(x.shape)

    def forward_members(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        y = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
        return y, lambda dy: dy.reshape(x.shape)
