"""Layers with one mistake each."""

from dataclasses import dataclass, field, replace

import numpy as np

from nnreg import (
    Activation,
    Layer,
    ShapeError,
)
from nnreg.builtin.activations import Identity, Tanh
from nnreg.builtin.initializers import Constant, Ones
from tests.conformance.broken.drift import DRIFT, KEPT


@dataclass(frozen=True)
class Scale(Layer):
    """y = scale · x"""

    independent = True

    def build(self, shape, builder):
        if not shape:
            raise ShapeError(shape, "(batch, ..., features)")
        builder.param("scale", shape[-1:], Ones())
        return shape

    def summed(self, product):
        return np.sum(product, axis=tuple(range(product.ndim - 1)))

    def write(self, gradient, product):
        gradient[...] = self.summed(product)

    def forward(self, x, context):
        scale = context.params["scale"]

        def backward(dy):
            self.write(context.gradients["scale"], dy * x)
            return dy * scale

        return x * scale, backward


@dataclass(frozen=True)
class Averages(Scale):
    """y = scale · x, but the gradient is a mean over the batch"""

    def write(self, gradient, product):
        gradient[...] = self.summed(product) / max(len(product), 1)


@dataclass(frozen=True)
class Adds(Scale):
    """y = scale · x, but the gradient is added to the previous one"""

    def write(self, gradient, product):
        gradient[...] = np.where(np.isnan(gradient), 0, gradient) + self.summed(product)


@dataclass(frozen=True)
class WritesHalf(Scale):
    """y = scale · x, with an unused parameter whose gradient, 0, is not written"""

    def build(self, shape, builder):
        builder.param("unused", (1,), Ones())
        return super().build(shape, builder)


@dataclass(frozen=True)
class OverflowingLayer(Scale):
    """y = scale · exp(x)"""

    def forward(self, x, context):
        e = np.exp(x)
        y, backward = super().forward(e, context)
        return y, lambda dy: backward(dy) * e


@dataclass(frozen=True)
class DoubleLayer(Scale):
    """y = scale · x, always in float64"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y * np.float64(1), backward


@dataclass(frozen=True)
class NoEmptyBatchLayer(Scale):
    """y = scale · x + 0 · max(x)"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y + 0 * np.max(x), backward


@dataclass(frozen=True)
class WritingLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)

        def overwrite(dy):
            dx = backward(dy)
            dy[...] = dx
            return dy

        return y, overwrite


@dataclass(frozen=True)
class NonDeterministicLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y + next(DRIFT), backward


@dataclass(frozen=True)
class StatefulLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        KEPT["backward"] = backward
        return y, lambda dy: KEPT["backward"](dy)


@dataclass(frozen=True)
class SkipsFirst(Scale):
    """y = scale · x, but no gradient is written if the input's is not needed"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        return y, lambda dy: backward(dy) if context.needs_input_gradient else None


@dataclass(frozen=True)
class FailsToRefuse(Scale):
    """y = scale · x"""

    def build(self, shape, builder):
        builder.param("scale", (shape[-1],), Ones())
        return shape


@dataclass(frozen=True)
class Centres(Scale):
    """y = scale · (x - mean over the batch)"""

    def centre(self, x):
        return x - np.sum(x, axis=0) / max(len(x), 1)

    def forward(self, x, context):
        y, backward = super().forward(self.centre(x), context)
        return y, lambda dy: self.centre(backward(dy))


@dataclass(frozen=True)
class ConvertingLayer(Scale):
    """y = scale · x"""

    def forward(self, x, context):
        return super().forward(np.asarray(x), context)


@dataclass(frozen=True)
class ScalesIntegers(Scale):
    """y = scale · x"""

    keeps_integers = True


@dataclass(frozen=True)
class OutOfRange(Scale):
    """y = scale · x"""

    output_range = (0.0, 1.0)


@dataclass(frozen=True)
class ActivationInside(Scale):
    """y = scale · activation(x), whose activation is not that of its outputs"""

    activation: Activation = field(default=Tanh())

    def split_output_activation(self):
        return replace(self, activation=Identity()), self.activation

    def forward(self, x, context):
        inside, inner = self.activation.forward(x)
        y, backward = super().forward(inside, context)
        return y, lambda dy: inner(backward(dy))


@dataclass(frozen=True)
class SequenceLayer(Scale):
    """y = scale · x for sequences of vectors"""

    keeps_mask = True

    def build(self, shape, builder):
        if len(shape) != 2:
            raise ShapeError(shape, "(batch, time, features)")
        return super().build(shape, builder)


@dataclass(frozen=True)
class LooksAhead(SequenceLayer):
    """y = scale · x, plus the sign of the second step at the first"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        y[:, 0] += np.sign(x[:, 1])
        return y, backward


@dataclass(frozen=True)
class MaskedGradient(SequenceLayer):
    """y = scale · x, whose gradient at masked steps is that of the sequence's sum"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        if context.mask is None:
            return y, backward
        masked = 1 - context.mask[..., None]
        return y, lambda dy: backward(dy) + masked * np.sum(dy, axis=1, keepdims=True)


@dataclass(frozen=True)
class DividesBySteps(SequenceLayer):
    """y = scale · x / steps, of which some are masked"""

    def forward(self, x, context):
        y, backward = super().forward(x / x.shape[1], context)
        return y, lambda dy: backward(dy) / x.shape[1]


@dataclass(frozen=True)
class DividesByLength(SequenceLayer):
    """y = scale · x / length, which may be 0"""

    def forward(self, x, context):
        y, backward = super().forward(x, context)
        if context.mask is None:
            return y, backward
        lengths = np.sum(context.mask, axis=1)[:, None, None]
        return y / lengths, lambda dy: backward(dy / lengths)


@dataclass(frozen=True)
class MeanOfShard(Layer):
    """y = x - mean(x) over the batch, with the mean of a shard"""

    combines_shards = True

    def forward(self, x, context):
        count = max(len(x), 1)
        return x - np.sum(x, axis=0) / count, lambda dy: dy - np.sum(dy, axis=0) / count


@dataclass(frozen=True)
class BuffersOfShards(Layer):
    """y = x, counting the examples of each shard"""

    combines_shards = True

    def build(self, shape, builder):
        builder.buffer("count", (), Constant(0.0))
        return shape

    def forward(self, x, context):
        if context.training:
            context.state["count"][...] += 1
        return x, lambda dy: dy


@dataclass(frozen=True)
class InfersTwice(Scale):
    """y = scale · x, but `infer` multiplies twice"""

    def infer(self, x, context):
        return x * context.params["scale"] * context.params["scale"]


@dataclass(frozen=True)
class InfersMaskTwice(SequenceLayer):
    """y = scale · x, but with a mask `infer` doubles it"""

    def infer(self, x, context):
        return x * context.params["scale"] * (1 if context.mask is None else 2)


BROKEN = {
    "gradient": [Averages],
    "returns": [WritesHalf],
    "written": [Adds],
    "extremes": [OverflowingLayer],
    "float32": [DoubleLayer],
    "shapes": [NoEmptyBatchLayer],
    "inputs unchanged": [WritingLayer],
    "repeatable": [NonDeterministicLayer],
    "reentrant": [StatefulLayer],
    "first": [SkipsFirst],
    "refuses": [FailsToRefuse],
    "independent": [Centres],
    "dispatch": [ConvertingLayer],
    "keeps integers": [ScalesIntegers],
    "output range": [OutOfRange],
    "output activation": [ActivationInside],
    "masked values": [LooksAhead],
    "masked gradient": [MaskedGradient],
    "padding": [DividesBySteps],
    "empty sequences": [DividesByLength],
    "shards": [MeanOfShard, BuffersOfShards],
    "inferred": [InfersTwice, InfersMaskTwice],
}
