"""Layers for sequences: `(batch, time, features)`, or `(batch, time)` of integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg.builtin.initializers import GlorotUniform, Uniform
from nnreg.errors import DataError, ShapeError
from nnreg.interfaces import (
    Array,
    Context,
    Count,
    Initializer,
    Layer,
    LayerBackward,
    Plan,
    Shape,
)


@dataclass(frozen=True)
class Embedding(Layer):
    """Looks up a row for each integer: `(batch, ...)` of 0 to vocabulary - 1 to `(..., units)`.

    Parameter: weight `(vocabulary, units)`, whose first values `initializer` draws.
    """

    vocabulary: Count
    units: Count
    initializer: Initializer = Uniform()
    integer_input = True
    independent = True

    def build(self, shape: Shape, plan: Plan) -> Shape:
        plan.param("weight", (self.vocabulary, self.units), self.initializer, regularized=True)
        return (*shape, self.units)

    def check_input(self, x: Array) -> None:
        if not np.all((x >= 0) & (x < self.vocabulary) & (x == np.floor(x))):
            raise DataError(
                f"embedding takes integers from 0 to {self.vocabulary - 1}, but the input has "
                f"values from {np.min(x)} to {np.max(x)}; raise 'vocabulary' or mend the data"
            )

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        index = x.astype(np.intp)

        def backward(dy: Array) -> None:
            gradient = context.gradients["weight"]
            gradient[...] = 0
            rows = dy.reshape(-1, self.units)
            context.kernels.add_rows(rows, index.reshape(-1), gradient)

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
    """A long short-term memory. Hochreiter and Schmidhuber 1997, with forget gates: Gers 2000.

    Takes `(time, features)`; gives the last output `(units,)` or, with `sequences`, all of them
    `(time, units)`. With i, f, o = σ(·) and g = tanh(·) of x · weight + h · recurrent + bias, in
    the order i, f, g, o: c ← f c + i g; h ← o tanh(c). Parameters: weight `(features, 4 units)`,
    recurrent `(units, 4 units)`, whose first values `initializer` and `recurrent_initializer` draw;
    bias `(4 units,)`, 1 at first for the forget gates.
    """

    units: Count
    sequences: bool = False
    initializer: Initializer = GlorotUniform()
    recurrent_initializer: Initializer = GlorotUniform()
    independent = True

    def build(self, shape: Shape, plan: Plan) -> Shape:
        if len(shape) != 2 or shape[0] == 0:
            raise ShapeError(shape, "(batch, time, features)")
        gates = 4 * self.units
        plan.steps = shape[0]
        plan.hidden = shape[0] * 7 * self.units  # gates, h, c and tanh(c) of each step
        plan.param("weight", (shape[1], gates), self.initializer, regularized=True)
        plan.param("recurrent", (self.units, gates), self.recurrent_initializer, regularized=True)
        plan.param("bias", (gates,), _LstmBias())
        return (shape[0], self.units) if self.sequences else (self.units,)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        params, n = context.params, self.units
        batch, time, features = x.shape
        by_time = context.empty((time, batch, features))
        by_time[...] = np.swapaxes(x, 0, 1)
        steps = by_time.reshape(time * batch, features)
        gates = np.matmul(steps, params["weight"], out=context.empty((time * batch, 4 * n)))
        np.add(gates, params["bias"], out=gates)
        gates = gates.reshape(time, batch, 4 * n)
        h = context.empty((time + 1, batch, n))
        c = context.empty((time + 1, batch, n))
        tanh_c = context.empty((time, batch, n))
        h[0], c[0] = 0, 0
        recurrent = context.empty((batch, 4 * n))
        for s in range(time):
            np.matmul(h[s], params["recurrent"], out=recurrent)
            np.add(gates[s], recurrent, out=gates[s])
            context.kernels.lstm_step(gates[s], c[s], c[s + 1], tanh_c[s], h[s + 1])

        def backward(dy: Array) -> Array | None:
            transposed = context.empty((4 * n, n))
            transposed[...] = params["recurrent"].T  # once, for the many products with it
            dgates = context.empty(gates.shape)
            dh = context.empty((batch, n))
            dc = context.empty((batch, n))
            dc[...] = 0
            dh[...] = 0 if self.sequences else dy
            for s in reversed(range(time)):
                if self.sequences:
                    np.add(dh, dy[:, s], out=dh)
                context.kernels.lstm_step_backward(
                    dh, dc, gates[s], c[s], tanh_c[s], dgates[s], context.workspace
                )
                np.matmul(dgates[s], transposed, out=dh)
            flat = dgates.reshape(time * batch, 4 * n)
            np.matmul(steps.T, flat, out=context.gradients["weight"])
            before = h[:-1].reshape(time * batch, n)
            np.matmul(before.T, flat, out=context.gradients["recurrent"])
            context.kernels.sum_rows(flat, context.gradients["bias"], context.workspace)
            if not context.needs_input_gradient:
                return None
            dx = np.matmul(flat, params["weight"].T, out=context.empty(steps.shape))
            return np.swapaxes(dx.reshape(time, batch, features), 0, 1)

        y = np.swapaxes(h[1:], 0, 1) if self.sequences else h[time]
        return y, backward
