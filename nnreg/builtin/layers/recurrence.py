"""What recurrent layers share: the arrays of their steps, masks, and the order of the steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar, TypeAlias

import numpy as np

from nnreg._types import Array, Shape
from nnreg.errors import ShapeError
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import Layer, LayerBackward, LayerBuilder

StepsBackward: TypeAlias = Callable[[Array, Array | None], Array]
"""Takes the gradient of the last h, and those of the h of each step or None; see `steps`."""


class Recurrent(Layer):
    """A layer whose state h is computed step by step, from the state before and the input.

    A subclass is a dataclass with these options; `gates` is the number of blocks of `units` columns
    in its weights, and `values_per_unit` how many intermediate values a unit has at each step.
    `steps` gets the blocks in `gate_order`, if there is one.

    It works on transposed arrays, `(…, batch)`, in which each gate is contiguous. Each step's x and
    a row of ones lie below h: h · recurrent + x · weight + bias is then one matrix product, and so
    are all their gradients.
    """

    gates: ClassVar[int]
    gate_order: ClassVar[tuple[int, ...]] = ()
    values_per_unit: ClassVar[int]
    units: int
    sequences: bool
    backwards: bool
    initializer: Initializer
    recurrent_initializer: Initializer
    independent = True
    keeps_integers = False

    @property
    def keeps_mask(self) -> bool:
        """True for the h of every step, False for the last, which has no time axis."""
        return self.sequences

    @property
    def state_size(self) -> int:
        """The length of h."""
        return self.units

    def declare(self, builder: LayerBuilder) -> None:
        """Declare the parameters that follow weight and recurrent."""
        raise NotImplementedError

    def steps(self, weights: Array, below: Array, context: Context) -> StepsBackward:
        """Write h of each step to `below[1:, :state_size]`, `(time, state_size, batch)`.

        `below` is `(time + 1, state_size + in_features + 1, batch)` with h, x and ones of each
        step, and `weights` are recurrent, weight and bias as one array. The returned function
        writes the gradients of the parameters; it returns that of the sums
        x · weight + bias, `(gates · units, time, batch)`.
        """
        raise NotImplementedError

    def build(self, shape: Shape, builder: LayerBuilder) -> Shape:
        if len(shape) != 2 or shape[0] == 0:
            raise ShapeError(shape, "(batch, time, features)")
        (time, features), n = shape, self.state_size
        columns = self.gates * self.units
        builder.sequence_length = time
        builder.activation_count = time * self.values_per_unit * self.units
        builder.param("weight", (features, columns), self.initializer, regularized=True)
        builder.param("recurrent", (n, columns), self.recurrent_initializer, regularized=True)
        self.declare(builder)
        return (time, n) if self.sequences else (n,)

    def forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        if not self.backwards:
            return self._forward(x, context)
        reverse = _reversal(x, context)
        y, backward_fn = self._forward(reverse(x), context)

        def backward(dy: Array) -> Array | None:
            dx = backward_fn(reverse(dy) if self.sequences else dy)
            return None if dx is None else reverse(dx)

        return reverse(y) if self.sequences else y, backward

    def _forward(self, x: Array, context: Context) -> tuple[Array, LayerBackward]:
        n, (batch, time, features) = self.state_size, x.shape
        weights = self._stacked(context)
        below = context.empty((time + 1, n + features + 1, batch))
        below[0, :n] = 0
        below[:-1, n:-1] = np.transpose(x, (1, 2, 0))
        below[:-1, -1] = 1
        steps_backward = self.steps(weights, below, context)
        mask = None if self.sequences else context.mask
        lengths = None if mask is None else np.sum(mask, axis=1)

        def backward(dy: Array) -> Array | None:
            above = self._gradients_of_steps(dy, time, lengths, context)
            dh = context.empty((n, batch))
            dh[...] = dy.T if above is None else 0
            dsums = steps_backward(dh, above)
            if not context.needs_input_gradient:
                return None
            flat = dsums.reshape(len(dsums), time * batch)
            dx = np.matmul(weights[n:-1], flat, out=context.empty((features, time * batch)))
            return context.copy(np.transpose(dx.reshape(features, time, batch)))

        if self.sequences:
            return context.copy(np.transpose(below[1:, :n], (2, 0, 1))), backward
        if lengths is None:
            return context.copy(below[time, :n].T), backward
        return below[lengths, :n, np.arange(batch, like=lengths)], backward

    def _gradients_of_steps(
        self, dy: Array, time: int, lengths: Array | None, context: Context
    ) -> Array | None:
        """Return the gradient of h of each step, `(time, n, batch)`; None for the last alone.

        That of the initial h, which is the output of a sequence of length 0, is left out.
        """
        n = self.state_size
        if self.sequences:
            above = context.empty((time, n, len(dy)))
            above[...] = np.transpose(dy, (1, 2, 0))
            return above
        if lengths is None:
            return None
        above = context.empty((time + 1, n, len(dy)))
        above.fill(0)
        above[lengths, :, np.arange(len(dy), like=lengths)] = dy
        return above[1:]

    def _stacked(self, context: Context) -> Array:
        """Return recurrent, weight and bias as one array, in this order."""
        params, n = context.params, self.state_size
        weights = context.empty((n + len(params["weight"]) + 1, self.gates * self.units))
        for block, given in self._blocks():
            weights[:n, block] = params["recurrent"][:, given]
            weights[n:-1, block] = params["weight"][:, given]
            weights[-1, block] = params["bias"][given]
        return weights

    def _blocks(self) -> Iterator[tuple[slice, slice]]:
        """Yield the columns of each gate in the weights of `steps` and in the parameters."""
        for place, gate in enumerate(self.gate_order):
            block, given = (slice(k * self.units, (k + 1) * self.units) for k in (place, gate))
            yield block, given
        if not self.gate_order:
            yield slice(None), slice(None)

    def write_gradients(self, below: Array, dsums: Array, context: Context, first: int = 0) -> None:
        """Write the gradients of recurrent, weight and bias from those of the sums of each step.

        Those of the steps before the `first` are 0; they need not be written before.
        """
        if first:
            if context.needs_input_gradient:
                dsums[:, :first] = 0
            below, dsums = below[first:], dsums[:, first:]
        n, gradient = self.state_size, context.empty((len(dsums), below.shape[1]))
        context.kernels.steps_gradient(below[:-1], dsums, gradient, context.workspace)
        for block, given in self._blocks():
            context.gradients["recurrent"][:, given] = gradient[block, :n].T
            context.gradients["weight"][:, given] = gradient[block, n:-1].T
            context.gradients["bias"][given] = gradient[block, -1]


def _reversal(x: Array, context: Context) -> Callable[[Array], Array]:
    """Return the function that reverses the steps of each sequence, not those of its padding.

    Applied twice, it changes nothing.
    """
    mask = context.mask
    if mask is None:
        return lambda values: context.copy(values[:, ::-1])
    steps = np.arange(x.shape[1], like=mask)
    rows = np.arange(len(x), like=mask)[:, None]
    lengths = np.sum(mask, axis=1)[:, None]
    order = np.where(mask, lengths - 1 - steps, steps)
    return lambda values: values[rows, order]
