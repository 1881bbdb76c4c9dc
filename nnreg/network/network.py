"""Layers over flat vectors.

All trained values are one vector, all gradients another, and all untrained state a third; layers
see named views of them. An optimizer is then arithmetic on vectors, and a checkpoint a few of
them.
"""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Collection, Mapping
from contextlib import closing
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder, chain
from nnreg.network.parameters import (
    _params,
    _walk,
    _weight_uses,
    belongs_to,
    declared,
    nested,
    total_size,
    views,
)
from nnreg.tables.lazy import Column, iter_chunks

INITIAL_STREAM = 0
"""The random stream of first values: parameter i draws from SeedSequence([seed, stream, i])."""

CACHED_VALUES = 600_000
"""Values that a pass may make on its way through a network and find again in the cache."""

MIN_BATCH_ROWS, MAX_BATCH_ROWS = 32, 1024
"""How many rows are predicted at a time, at least and at most."""

Wrap: TypeAlias = Callable[[Array], Array]


class Network:
    """A plan whose children are the layers, with the values of their parameters and state.

    `output_activation`, when there is one, is the last activation, left out of the layers because
    the loss is computed from what comes before it. The layers named in `frozen`, and all in them,
    do in training what they do in prediction, and get no gradient.
    """

    def __init__(
        self,
        plan: LayerBuilder,
        input_shape: Shape,
        output_shape: Shape,
        *,
        output_activation: Activation | None = None,
        dtype: npt.DTypeLike = np.float32,
        kernels: Kernels | None = None,
        frozen: Collection[str] = (),
    ) -> None:
        self.plan = plan
        self.layers: Mapping[str, Layer] = {name: pair[0] for name, pair in plan.children.items()}
        """The top layers by name: `layers/0`, `layers/1`, …"""
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.output_activation = output_activation
        self.dtype = np.dtype(dtype)
        self.kernels = kernels or Kernels()
        self.params, self.state_params = declared(plan)
        self._frozen_layers = frozenset(frozen)
        self.frozen = frozenset(n for n in self.params if belongs_to(n, self._frozen_layers))
        """The names of the parameters that training leaves as they are."""
        self._learning = {
            name
            for name, (_, child) in plan.children.items()
            if any(param not in self.frozen for param, _ in _walk(child, _params, f"{name}/"))
        }
        self.vector = np.zeros(total_size(self.params), self.dtype)
        self.state_vector = np.zeros(total_size(self.state_params), self.dtype)
        self.parameters = views(self.vector, self.params)
        self.state = views(self.state_vector, self.state_params)
        self._inference = self.context(self.workspace(reuse=False))

    @property
    def integer_input(self) -> bool:
        """Whether the first layer takes integers."""
        return any(layer.integer_input for layer in list(self.layers.values())[:1])

    @property
    def trainable_slices(self) -> list[slice]:
        """The parts of the vector that are not frozen, in order, those side by side as one."""
        spans: list[slice] = []
        start = 0
        for name, param in self.params.items():
            stop = start + math.prod(param.shape)
            if name not in self.frozen:
                beside = spans and spans[-1].stop == start
                spans.append(slice(spans.pop().start if beside else start, stop))
            start = stop
        return spans

    def with_values(self, vector: Array, state_vector: Array) -> Network:
        """Return the same network over other values, which are not copied."""
        other = copy.copy(self)
        other.vector, other.state_vector = vector, state_vector
        other.parameters = views(vector, self.params)
        other.state = views(state_vector, self.state_params)
        other._inference = other.context(other.workspace(reuse=False))
        return other

    def workspace(self, *, reuse: bool) -> Workspace:
        """Return a workspace for passes through this network."""
        return Workspace(self.dtype, reuse=reuse, kernels=self.kernels)

    def largest_product(self, batch_size: int) -> float:
        """Return the floating-point operations of the largest matrix product of a forward pass.

        An estimate: each weight of a layer is used once for each place in the layer's output.
        """
        return max((2.0 * batch_size * uses for uses in _weight_uses(self.plan)), default=0.0)

    @property
    def independent(self) -> bool:
        """Whether what each example becomes depends on nothing but itself."""
        return all(layer.independent for layer, _ in nested(self.plan))

    @property
    def activations_per_example(self) -> int:
        """How many values an example becomes on its way through the layers."""
        return sum(plan.activation_count + math.prod(plan.output) for _, plan in nested(self.plan))

    @property
    def max_sequence_length(self) -> int:
        """The most steps, one after another, that a layer takes through time."""
        return max((plan.sequence_length for _, plan in nested(self.plan)), default=1)

    def initialize(self, seed: int) -> None:
        """Give every array its first values, each parameter from a random stream of its own."""
        for arrays, params in ((self.parameters, self.params), (self.state, self.state_params)):
            for index, (name, param) in enumerate(params.items()):
                stream = np.random.SeedSequence([seed, INITIAL_STREAM, index])
                rng = np.random.default_rng(stream)
                arrays[name][...] = param.initializer.draw(param.shape, rng)

    def context(
        self,
        workspace: Workspace,
        gradient: Array | None = None,
        *,
        training: bool = False,
        wrap: Wrap | None = None,
        input_gradient: bool = False,
    ) -> Context:
        """Return what one pass after another over the layers works with.

        `gradient` is the vector that backward fills; without it, only forward may run. What frozen
        parameters have in it stays as it is. `wrap` turns each view into the array type of another
        library. `input_gradient` asks for the gradient of the network's input too.
        """
        gradients = {} if gradient is None else views(gradient, self.params)
        if gradient is not None:
            gradients |= {name: np.zeros_like(gradients[name]) for name in self.frozen}
        arrays = tuple(
            {name: wrap(view) for name, view in group.items()} if wrap else group
            for group in (self.parameters, gradients, self.state)
        )
        frozen = self._frozen_layers if training else None
        root = _contexts(self.plan, "", arrays, workspace, frozen)
        trained = input_gradient
        for name, child in root.children.items():
            child.needs_input_gradient = trained
            trained = trained or name in self._learning
        return root

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Run all layers but the head; `x` is `(batch, *input_shape)`."""
        return chain(zip(self.layers.values(), context.children.values(), strict=True), x)

    def outputs(self, z: Array) -> Array:
        """Apply the head to what `forward` gave."""
        return z if self.output_activation is None else self.output_activation.forward(z)[0]

    def logits(self, x: Column) -> Array:
        """Return what the layers make of `x`, before the head. Safe in several threads."""
        rows = min(
            max(CACHED_VALUES // max(self.activations_per_example, 1), MIN_BATCH_ROWS),
            MAX_BATCH_ROWS,
        )
        with closing(iter_chunks(x, rows)) as batches:
            first = next(batches)
            if len(first) == len(x):
                return self.forward(first, self._inference)[0]
            workspace = self.workspace(reuse=True)
            context, place = self.context(workspace), 0
            y = np.empty((len(x), *self.output_shape), self.dtype)
            for batch in itertools.chain([first], batches):
                workspace.rewind()
                y[place : place + len(batch)] = self.forward(batch, context)[0]
                place += len(batch)
        return y

    def predict(self, x: Column) -> Array:
        """Return the outputs `(batch, *output_shape)`."""
        return self.outputs(self.logits(x))


def _contexts(
    plan: LayerBuilder, prefix: str, arrays: tuple[Mapping[str, Array], ...],
    workspace: Workspace, frozen: Collection[str] | None,
) -> Context:  # fmt: skip
    """Return the context of a plan; `frozen` are layers that do not train, None all of them."""
    parameters, gradients, state = arrays
    return Context(
        params={name: parameters[prefix + name] for name in plan.params},
        gradients={name: gradients[prefix + name] for name in plan.params if gradients},
        state={name: state[prefix + name] for name in plan.state},
        children={
            name: _contexts(
                child,
                f"{prefix}{name}/",
                arrays,
                workspace,
                None if frozen is None or prefix + name in frozen else frozen,
            )
            for name, (_, child) in plan.children.items()
        },
        workspace=workspace,
        training=frozen is not None,
    )
