"""Layers for sequences: `(batch, time, features)`, or `(batch, time)` of integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.initializers import GlorotUniform, Uniform
from nnreg.builtin.layers.dense import Dense
from nnreg.errors import DataError, ShapeError
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.declarations import Param
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder


@dataclass(frozen=True)
class Embedding(Layer):
    """A trained vector for each integer.

    y = weight[x]

    Input of any shape, integers from 0 to vocabulary - 1; output `(..., units)`.

    Options:
        vocabulary: number of different integers
        units: length of the vectors
        initializer: first values of weight

    Parameters:
        weight: (vocabulary, units)
    """

    vocabulary: Count
    units: Count
    initializer: Initializer = Uniform()
    integer_input = True
    independent = True
    keeps_integers = False
    keeps_mask = True
    output_range = (-math.inf, math.inf)

    def transposed(self, params: Mapping[str, Param]) -> Layer:
        return Dense(self.vocabulary, bias=False)

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        builder.param("weight", (self.vocabulary, self.units), self.initializer, regularized=True)
        return (*shape, self.units)

    def check_input(self, x: Array) -> None:
        if not np.all((x >= 0) & (x < self.vocabulary) & (x == np.floor(x))):
            raise DataError(
                f"embedding takes integers from 0 to {self.vocabulary - 1}, but the input has "
                f"values from {np.min(x)} to {np.max(x)}; raise 'vocabulary' or fix the data"
            )

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        index = x.astype(np.intp)

        def backward(dy: Array) -> None:
            rows = dy.reshape(-1, self.units)
            gradient = context.gradients["weight"]
            context.kernels.sum_by_index(rows, index.reshape(-1), gradient)

        return np.take(context.params["weight"], index, axis=0), backward


@dataclass(frozen=True)
class _LstmBias(Initializer):
    """1 for the forget gates, 0 for the others. Jozefowicz et al. 2015."""

    def draw(self, shape: Shape, rng: np.random.Generator) -> Array:
        bias = np.zeros(shape)
        units = shape[0] // 4
        bias[units : 2 * units] = 1
        return bias


@dataclass(frozen=True)
class Lstm(Layer):
    """Long short-term memory with forget gates.

    i, f, g, o = x · weight + h · recurrent + bias;
    c ← σ(f) · c + σ(i) · tanh(g); h ← σ(o) · tanh(c)

    Input `(time, in_features)`, output `(units,)`, or `(time, units)` with `sequences`. The last h
    is that of the last step of each sequence, 0 if it has none. The bias of the forget gates starts
    at 1. Hochreiter and Schmidhuber 1997; forget gates: Gers 2000.

    Options:
        units: length of h and c
        sequences: return h of every step instead of the last
        initializer: first values of weight
        recurrent_initializer: first values of recurrent

    Parameters:
        weight: (in_features, 4 · units)
        recurrent: (units, 4 · units)
        bias: (4 · units,)
    """

    units: Count
    sequences: bool = False
    initializer: Initializer = GlorotUniform()
    recurrent_initializer: Initializer = GlorotUniform()
    independent = True
    keeps_integers = False
    output_range = (-1.0, 1.0)

    @property
    def keeps_mask(self) -> bool:
        """True for the h of every step, False for the last, which has no time axis."""
        return self.sequences

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 2 or shape[0] == 0:
            raise ShapeError(shape, "(batch, time, features)")
        gates = 4 * self.units
        builder.sequence_length = shape[0]
        builder.activation_count = shape[0] * 7 * self.units  # gates, h, c and tanh(c) of each step
        builder.param("weight", (shape[1], gates), self.initializer, regularized=True)
        builder.param(
            "recurrent", (self.units, gates), self.recurrent_initializer, regularized=True
        )
        builder.param("bias", (gates,), _LstmBias())
        return (shape[0], self.units) if self.sequences else (self.units,)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        """Work on transposed arrays, `(…, batch)`, in which each gate is contiguous.

        Each step's x and a row of ones lie below h: h · recurrent + x · weight + bias is then one
        matrix product, and so are all their gradients.
        """
        n, (batch, time, features) = self.units, x.shape
        weights = self._stacked(context)
        below = context.empty((time + 1, n + features + 1, batch))
        below[0, :n] = 0
        below[:-1, n:-1] = np.transpose(x, (1, 2, 0))
        below[:-1, -1] = 1
        gates = context.empty((time, 4 * n, batch))
        tanh_c = context.empty((time, n, batch))
        c = context.empty((time + 1, n, batch))
        c[0] = 0
        for s in range(time):
            z = np.matmul(weights.T, below[s], out=gates[s])
            context.kernels.lstm_step(z, c[s], c[s + 1], tanh_c[s], below[s + 1, :n])
        mask = None if self.sequences else context.mask
        lengths = None if mask is None else np.sum(mask, axis=1)

        def backward(dy: Array) -> Array | None:
            recurrent, weight = weights[:n], weights[n:-1]
            above = self._gradients_of_steps(dy, time, lengths, context)
            dz = context.empty((4 * n, batch))
            dgates = context.empty((4 * n, time, batch))
            dh, dc = context.empty((n, batch)), context.empty((n, batch))
            dh[...] = dy.T if above is None else 0
            dc[...] = 0
            for s in reversed(range(time)):
                if above is not None:
                    np.add(dh, above[s], out=dh)
                context.kernels.lstm_step_backward(
                    dh, dc, gates[s], c[s], tanh_c[s], dz, context.workspace
                )
                dgates[:, s] = dz
                np.matmul(recurrent, dz, out=dh)
            flat = dgates.reshape(4 * n, time * batch)
            self._write_gradients(below[:-1], flat, context)
            if not context.needs_input_gradient:
                return None
            dx = np.matmul(weight, flat, out=context.empty((features, time * batch)))
            return _rows_first(dx.reshape(features, time, batch), (2, 1, 0), context)

        if self.sequences:
            return _rows_first(below[1:, :n], (2, 0, 1), context), backward
        if lengths is None:
            return _rows_first(below[time, :n], (1, 0), context), backward
        return below[lengths, :n, np.arange(batch, like=lengths)], backward

    def _gradients_of_steps(
        self, dy: Array, time: int, lengths: Array | None, context: Context
    ) -> Array | None:
        """Return the gradient of h of each step, `(time, units, batch)`; None for the last alone.

        That of the initial h, which is the output of a sequence of length 0, is left out.
        """
        if self.sequences:
            above = context.empty((time, self.units, len(dy)))
            above[...] = np.transpose(dy, (1, 2, 0))
            return above
        if lengths is None:
            return None
        above = context.empty((time + 1, self.units, len(dy)))
        above.fill(0)
        above[lengths, :, np.arange(len(dy), like=lengths)] = dy
        return above[1:]

    def _stacked(self, context: Context) -> Array:
        """Return recurrent, weight and bias as one array, in this order."""
        params, n = context.params, self.units
        weights = context.empty((n + len(params["weight"]) + 1, 4 * n))
        weights[:n], weights[n:-1] = params["recurrent"], params["weight"]
        weights[-1] = params["bias"]
        return weights

    def _write_gradients(self, below: Array, dgates: Array, context: Context) -> None:
        time, inputs, batch = below.shape
        by_input = context.empty((inputs, time, batch))
        by_input[...] = np.swapaxes(below, 0, 1)
        flat = by_input.reshape(inputs, time * batch)
        gradient = np.matmul(flat, dgates.T, out=context.empty((inputs, 4 * self.units)))
        context.gradients["recurrent"][...] = gradient[: self.units]
        context.gradients["weight"][...] = gradient[self.units : -1]
        context.gradients["bias"][...] = gradient[-1]


def _rows_first(x: Array, axes: Shape, context: Context) -> Array:
    """Return a transposed copy that is contiguous."""
    y = context.empty(tuple(x.shape[axis] for axis in axes))
    y[...] = np.transpose(x, axes)
    return y
