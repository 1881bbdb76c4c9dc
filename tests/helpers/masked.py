"""Small layers that support masks, and networks of them over padded sequences."""

from dataclasses import dataclass

import numpy as np

from nnreg import Join, Layer, Padded
from nnreg.builtin.initializers import GlorotUniform
from nnreg.builtin.losses import MeanSquaredError
from nnreg.interfaces.join import one_shape
from nnreg.interfaces.layer import LayerBuilder
from nnreg.network.network import NamedOutput, Network
from nnreg.training.evaluation import Evaluation


@dataclass(frozen=True)
class PerStep(Layer):
    """y = tanh(x @ weight), at each step."""

    units: int = 3
    independent = True
    keeps_mask = True

    def build(self, shape, builder):
        builder.param("weight", (shape[-1], self.units), GlorotUniform(), regularized=True)
        return (*shape[:-1], self.units)

    def forward(self, x, context):
        weight = context.params["weight"]
        y = np.tanh(x @ weight)

        def backward(dy):
            dz = dy * (1 - y * y)
            rows = x.reshape(-1, x.shape[-1])
            context.gradients["weight"][...] = rows.T @ dz.reshape(-1, self.units)
            return dz @ weight.T

        return y, backward


@dataclass(frozen=True)
class MeanOfSteps(Layer):
    """The mean over real steps; 0 without any."""

    independent = True
    keeps_mask = False

    def build(self, shape, builder):
        return shape[1:]

    def forward(self, x, context):
        mask = np.ones(x.shape[:2], bool) if context.mask is None else context.mask
        share = (mask / np.maximum(mask.sum(1, keepdims=True), 1))[..., None].astype(x.dtype)
        return (x * share).sum(1), lambda dy: dy[:, None] * share


@dataclass(frozen=True)
class Unaware(Layer):
    """The identity of an author who does not know of masks."""

    independent = True

    def forward(self, x, context):
        return x, lambda dy: dy


@dataclass(frozen=True)
class Sum(Join):
    """The sum of inputs of one shape."""

    independent = True
    keeps_mask = True

    def build(self, shapes, builder):
        return shapes[0]

    def forward(self, xs, context):
        return sum(xs), lambda dy: [dy for _ in xs]


def sequences(count=9, steps=6, features=2, seed=0):
    """Return padded sequences of different lengths, of which one is empty and one complete."""
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, steps, count)
    lengths[0], lengths[1] = 0, steps
    return Padded(rng.normal(size=(count, steps, features)), lengths)


def with_values_at_masked_steps(padded, value=1e3):
    """Return the same sequences with other values after the end of each."""
    changed = padded[np.arange(len(padded))]
    changed.values[~changed.mask] = value
    return changed


def network_of(layers, shape=(6, 2), masked=("input",), outputs=None):
    """Return an initialized network, whose inputs of these names are padded."""
    plan = LayerBuilder("$.model", masked=masked)
    plan.masks = ("input" if "input" in masked else None,)
    found = plan.chain(layers, shape, outputs)
    named = {name: NamedOutput(one, None) for name, one in found.items()} if outputs else None
    network = Network(plan, shape, one_shape(found), named_outputs=named, dtype=np.float64)
    network.initialize(0)
    return network


def evaluation_of(masked=True, loss=None, **metrics):
    """Return the evaluation of one output."""
    loss = loss or MeanSquaredError()
    return Evaluation(loss, metrics, logits=False, unscale=lambda y: y, masked=masked)
