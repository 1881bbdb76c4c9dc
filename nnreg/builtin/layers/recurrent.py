"""Recurrent layers with one state: `(batch, time, features)`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Tanh
from nnreg.builtin.activations.functions import logistic
from nnreg.builtin.initializers import GlorotUniform, Zeros
from nnreg.builtin.layers.recurrence import Recurrent, StepsBackward
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Count
from nnreg.interfaces.context import Context
from nnreg.interfaces.initializer import Initializer
from nnreg.interfaces.layer import LayerBuilder
from nnreg.kernels.numpy.recurrent import CLEARED_EVERY, vanished


@dataclass(frozen=True)
class SimpleRnn(Recurrent):
    """Recurrent layer without gates.

    h ← activation(x · weight + h · recurrent + bias)

    Input `(time, in_features)`, output `(units,)`, or `(time, units)` with `sequences`. The last h
    is that of the last step of each sequence, 0 if it has none. Elman 1990.

    Options:
        units: length of h
        sequences: return h of every step instead of the last
        activation: applied at each step
        initializer: first values of weight
        recurrent_initializer: first values of recurrent
        backwards: read each sequence from its last step to its first; unlike in Keras, the h of a
            step keeps its place

    Parameters:
        weight: (in_features, units)
        recurrent: (units, units)
        bias: (units,)
    """

    units: Count
    sequences: bool = False
    activation: Activation = Tanh()
    initializer: Initializer = GlorotUniform()
    recurrent_initializer: Initializer = GlorotUniform()
    backwards: bool = False
    gates = 1
    values_per_unit = 2  # the sum and h

    @property
    def output_range(self) -> tuple[float, float]:
        """Bounds of the activation, and the initial h of a sequence without steps."""
        low, high = self.activation.range
        return min(low, 0.0), max(high, 0.0)

    def declare(self, builder: LayerBuilder) -> None:
        builder.param("bias", (self.units,), Zeros())

    def infer_step(self, carried: Sequence[Any], x: Any, context: Context) -> Sequence[Any]:
        (h,) = carried
        params = context.params
        z = x @ params["weight"] + h @ params["recurrent"] + params["bias"]
        return [self.activation.infer(z)]

    def steps(self, weights: Array, below: Array, context: Context) -> StepsBackward:
        time, batch, n = len(below) - 1, below.shape[-1], self.units
        sums = context.empty((time, n, batch))
        backward_fns = []
        for s in range(time):
            z = np.matmul(weights.T, below[s], out=sums[s])
            h, backward_fn = self.activation.forward(z.T)
            below[s + 1, :n] = h.T
            backward_fns.append(backward_fn)

        def backward(dh: Array, above: Array | None) -> Array:
            dsums, spare = context.empty((n, time, batch)), context.empty((n, batch))
            for s in reversed(range(time)):
                if above is not None:
                    np.add(dh, above[s], out=dh)
                dz = backward_fns[s](dh.T).T
                dsums[:, s] = dz
                np.matmul(weights[:n], dz, out=dh)
                if s % CLEARED_EVERY == 0 and vanished(s, above, (dh, spare)):
                    break
            self.write_gradients(below, dsums, context, s)
            return dsums

        return backward


@dataclass(frozen=True)
class Gru(Recurrent):
    """Gated recurrent unit, with the reset gate after the matrix product or before it.

    r, z = σ(x · weight + h · recurrent + bias); h ← (1 - z) · n + z · h, where n is
    tanh(x · weight + bias + r · (h · recurrent + recurrent_bias)) with `reset_after`, otherwise
    tanh(x · weight + bias + (r · h) · recurrent)

    Input `(time, in_features)`, output `(units,)`, or `(time, units)` with `sequences`. The last h
    is that of the last step of each sequence, 0 if it has none. Cho et al. 2014; `reset_after` as
    in PyTorch and cuDNN, which Keras has by default too. PyTorch has two biases for r and z, which
    it adds; Keras has the columns of z before those of r.

    Options:
        units: length of h
        sequences: return h of every step instead of the last
        reset_after: apply r after the product with recurrent, not before it
        initializer: first values of weight
        recurrent_initializer: first values of recurrent
        backwards: read each sequence from its last step to its first; unlike in Keras, the h of a
            step keeps its place

    Parameters:
        weight: (in_features, 3 · units), for r, z and n
        recurrent: (units, 3 · units)
        bias: (3 · units,)
        recurrent_bias: (units,), for n, if `reset_after`
    """

    units: Count
    sequences: bool = False
    reset_after: bool = True
    initializer: Initializer = GlorotUniform()
    recurrent_initializer: Initializer = GlorotUniform()
    backwards: bool = False
    output_range = (-1.0, 1.0)
    gates = 3
    values_per_unit = 5  # gates, h, and what is inside n

    @classmethod
    def examples(cls) -> list[tuple[Gru, Shape]]:
        return [(cls(2), (3, 2)), (cls(2, sequences=True, reset_after=False), (2, 3))]

    def declare(self, builder: LayerBuilder) -> None:
        builder.param("bias", (3 * self.units,), Zeros())
        if self.reset_after:
            builder.param("recurrent_bias", (self.units,), Zeros())

    def infer_step(self, carried: Sequence[Any], x: Any, context: Context) -> Sequence[Any]:
        (h,) = carried
        params, n = context.params, self.units
        below, recurrent = x @ params["weight"] + params["bias"], params["recurrent"]
        gates = logistic(below[:, : 2 * n] + h @ recurrent[:, : 2 * n])
        r, z = gates[:, :n], gates[:, n:]
        if self.reset_after:
            inner = r * (h @ recurrent[:, 2 * n :] + params["recurrent_bias"])
        else:
            inner = (r * h) @ recurrent[:, 2 * n :]
        new = np.tanh(below[:, 2 * n :] + inner)
        return [(1 - z) * new + z * h]

    def steps(self, weights: Array, below: Array, context: Context) -> StepsBackward:
        time, batch, n = len(below) - 1, below.shape[-1], self.units
        for_gates, recurrent, weight = self._split(weights)
        gates = context.empty((time, 3 * n, batch))
        inner = context.empty((time, n, batch))  # h · recurrent + recurrent_bias, or r · h
        added = context.empty((n, batch))
        for s in range(time):
            h, h_next = below[s, :n], below[s + 1, :n]
            r, z, new = gates[s, :n], gates[s, n : 2 * n], gates[s, 2 * n :]
            _logistic(np.matmul(for_gates.T, below[s], out=gates[s, : 2 * n]))
            np.matmul(weight.T, below[s, n:], out=new)
            if self.reset_after:
                np.matmul(recurrent.T, h, out=inner[s])
                np.add(inner[s], context.params["recurrent_bias"][:, None], out=inner[s])
                np.multiply(r, inner[s], out=added)
            else:
                np.matmul(recurrent.T, np.multiply(r, h, out=inner[s]), out=added)
            np.tanh(np.add(new, added, out=new), out=new)
            np.subtract(h, new, out=h_next)
            np.multiply(h_next, z, out=h_next)
            np.add(h_next, new, out=h_next)

        return self._steps_backward(weights, below, gates, inner, context)

    def _split(self, weights: Array) -> tuple[Array, Array, Array]:
        """Return the columns of r and z, and for those of n the rows of h, and of x and bias."""
        n = self.units
        return weights[:, : 2 * n], weights[:n, 2 * n :], weights[n:, 2 * n :]

    def _steps_backward(
        self, weights: Array, below: Array, gates: Array, inner: Array, context: Context
    ) -> StepsBackward:
        """Return what `steps` does, for r, z and n in `gates`, `(time, 3 · units, batch)`."""
        time, batch, n = len(below) - 1, below.shape[-1], self.units
        for_gates, recurrent, _ = self._split(weights)

        def backward(dh: Array, above: Array | None) -> Array:
            dgates = context.empty((3 * n, time, batch))
            drecurrent, product = context.empty((n, n)), context.empty((n, n))
            dbias = context.empty((n, batch))
            dz, slope = context.empty((3 * n, batch)), context.empty((2 * n, batch))
            kept, dinner = context.empty((n, batch)), context.empty((n, batch))
            dr, dupdate, dnew = dz[:n], dz[n : 2 * n], dz[2 * n :]
            drecurrent[...] = dbias[...] = 0
            for s in reversed(range(time)):
                if above is not None:
                    np.add(dh, above[s], out=dh)
                h, r, z, new = below[s, :n], gates[s, :n], gates[s, n : 2 * n], gates[s, 2 * n :]
                np.multiply(dh, z, out=kept)  # what h of the step before gets of dh by itself
                np.multiply(np.subtract(h, new, out=dupdate), dh, out=dupdate)
                np.subtract(1, np.multiply(new, new, out=dnew), out=dnew)
                np.multiply(dnew, np.subtract(dh, kept, out=dh), out=dnew)
                if self.reset_after:
                    np.multiply(dnew, inner[s], out=dr)
                    np.multiply(dnew, r, out=dinner)
                    np.add(dbias, dinner, out=dbias)
                    np.matmul(h, dinner.T, out=product)
                    np.add(kept, np.matmul(recurrent, dinner, out=dh), out=kept)
                else:
                    np.matmul(recurrent, dnew, out=dinner)
                    np.multiply(dinner, h, out=dr)
                    np.matmul(inner[s], dnew.T, out=product)
                    np.add(kept, np.multiply(dinner, r, out=dinner), out=kept)
                np.add(drecurrent, product, out=drecurrent)
                np.subtract(1, gates[s, : 2 * n], out=slope)
                np.multiply(slope, gates[s, : 2 * n], out=slope)
                np.multiply(dz[: 2 * n], slope, out=dz[: 2 * n])
                dgates[:, s] = dz
                np.add(kept, np.matmul(for_gates[:n], dz[: 2 * n], out=dh), out=dh)
                if s % CLEARED_EVERY == 0 and vanished(s, above, (dh, kept)):
                    break
            self.write_gradients(below, dgates, context, s)
            # the columns of n are multiplied by r · h, or their product by r
            context.gradients["recurrent"][:, 2 * n :] = drecurrent
            if self.reset_after:
                np.sum(dbias, axis=1, out=context.gradients["recurrent_bias"])
            return dgates

        return backward


def _logistic(x: Array) -> None:
    """Replace x by 1 / (1 + exp(-x))."""
    np.multiply(x, 0.5, out=x)
    np.tanh(x, out=x)
    np.multiply(x, 0.5, out=x)
    np.add(x, 0.5, out=x)
