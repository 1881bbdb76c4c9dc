"""Recurrent layers for sequences `(batch, time, features)`: long short-term memory."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import GlorotUniform
from nnreg.builtin.layers.recurrence import Recurrent, StepsBackward
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import LayerBuilder


@dataclass(frozen=True)
class _LstmBias(Initializer):
    """1 for the forget gates, 0 for the others. Jozefowicz et al. 2015."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        bias = np.zeros(shape)
        units = shape[0] // 4
        bias[units : 2 * units] = 1
        return bias


@dataclass(frozen=True)
class Lstm(Recurrent):
    """Long short-term memory with forget gates.

    i, f, g, o = x · weight + h · recurrent + bias;
    c ← σ(f) · c + σ(i) · tanh(g); h ← σ(o) · tanh(c)

    Input `(time, in_features)`, output `(units,)`, or `(time, units)` with `sequences`. The last h
    is that of the last step of each sequence, 0 if it has none. With `projection`, h is
    (σ(o) · tanh(c)) · projection_weight, and has that length. The bias of the forget gates starts
    at 1, as in Keras, which has no projection. PyTorch has two biases, which it adds. Hochreiter
    and Schmidhuber 1997; forget gates: Gers 2000; projection: Sak et al. 2014.

    Options:
        units: length of c, and of h without `projection`
        sequences: return h of every step instead of the last
        initializer: first values of weight and projection_weight
        recurrent_initializer: first values of recurrent
        backwards: read each sequence from its last step to its first; unlike in Keras, the h of a
            step keeps its place
        projection: length of h, if it is projected

    Parameters:
        weight: (in_features, 4 · units), for i, f, g and o
        recurrent: (units or projection, 4 · units)
        bias: (4 · units,)
        projection_weight: (units, projection), if `projection` is given
    """

    units: Count
    sequences: bool = False
    initializer: Initializer = GlorotUniform()
    recurrent_initializer: Initializer = GlorotUniform()
    backwards: bool = False
    projection: Count | None = None
    gates = 4
    gate_order = (3, 0, 1, 2)  # o, i, f and g
    values_per_unit = 7  # gates, h, c and tanh(c)

    @classmethod
    def examples(cls) -> list[tuple[Lstm, Shape]]:
        return [(cls(2), (3, 2)), (cls(2, sequences=True, projection=1), (2, 3))]

    @property
    def output_range(self) -> tuple[float, float]:
        """Bounds of o · tanh(c), which a projection does not have."""
        return (-1.0, 1.0) if self.projection is None else (-math.inf, math.inf)

    @property
    def state_size(self) -> int:
        return self.projection or self.units

    def declare(self, builder: LayerBuilder) -> None:
        builder.param("bias", (4 * self.units,), _LstmBias())
        if self.projection is None:
            builder.steps_kernel = "lstm_steps"
        else:
            shape = (self.units, self.projection)
            builder.param("projection_weight", shape, self.initializer, regularized=True)

    def steps(self, weights: Array, below: Array, context: Context) -> StepsBackward:
        time, batch, n = len(below) - 1, below.shape[-1], self.state_size
        units, projection = self.units, context.params.get("projection_weight")
        tanh_c = context.empty((time, units, batch))
        states = context.empty((time + 1, 5 * units, batch))
        states[0, 4 * units :] = 0
        cells = below[1:, :n] if projection is None else context.empty((time, units, batch))
        context.kernels.lstm_steps(
            weights, below, states, tanh_c, cells, projection, context.workspace
        )

        def backward(dh: Array, above: Array | None) -> Array:
            dc, dgates = context.empty((units, batch)), context.empty((4 * units, time, batch))
            dc[...] = 0
            dprojection = context.gradients.get("projection_weight")
            if dprojection is not None:
                dprojection[...] = 0
            first = context.kernels.lstm_steps_backward(
                weights[:n], above, dh, dc, states, tanh_c, dgates, projection, dprojection,
                context.workspace,
            )  # fmt: skip
            self.write_gradients(below, dgates, context, first)
            return dgates

        return backward
