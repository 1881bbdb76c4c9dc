"""The inner loops that a compiler can optimize better than NumPy, here in NumPy.

A plugin may register others, as a subclass, through the hook `nnreg_kernels`; layers and optimizers
use either. All arrays are contiguous and of one floating type; results must agree with these within
1e-5 relative in float32.

Small networks are bound by the number and the cost of calls: on their paths, the output array is
passed as the last positional argument instead of `out=`, which is faster.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg._utils.statistics import sum_rows
from nnreg.interfaces.component import Component
from nnreg.interfaces.windows import rows_of_windows, windows_of

Pair: TypeAlias = tuple[int, int]

MAX_NARROW_FEATURES = 64
"""Rows up to this wide are processed in a transposed copy: NumPy is slow on short inner loops."""

MAX_MERGED_FEATURES, MIN_MERGED_ROWS = 1024, 256
"""If there are at least this many narrow rows, they are merged into rows up to this wide."""

ROUNDS = 4
"""The rounds of `sum_by_index`; what remains after them is few indices that occur often."""


class ScratchSpace(Protocol):
    """A provider of temporary arrays for kernels, such as `nnreg.interfaces.Workspace`."""

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array whose values are arbitrary."""

    def ones(self, count: int) -> Array:
        """Return a vector of ones, which must not be modified."""

    def scalars(self, *values: float) -> Sequence[Array]:
        """Return these numbers as arrays without axes, which NumPy takes faster than numbers."""


@dataclass(frozen=True)
class Kernels(Component):
    """Plain NumPy."""

    kind = "kernels"
    few_calls: ClassVar[bool] = False
    """Whether there are so few calls that threads can run short steps in parallel; with the many
    calls of NumPy, threads would wait for each other."""

    def sum_rows(self, x: Array, out: Array, scratch: ScratchSpace) -> None:
        """Sum `(rows, features)` over the rows by matrix products, much faster than np.sum."""
        sum_rows(x, scratch.ones, out)

    def add_bias(self, x: Array, bias: Array, scratch: ScratchSpace) -> None:
        """Add bias `(features,)` to each row of x in place."""
        rows, features = x.shape
        merged = _rows_to_merge(rows, features)
        if merged == 1:
            np.add(x, bias, x)
            return
        repeated = scratch.empty((merged, features))
        repeated[...] = bias
        wide = x.reshape(rows // merged, merged * features)
        np.add(wide, repeated.reshape(-1), out=wide)

    def relu(self, x: Array, bias: Array | None, scratch: ScratchSpace) -> None:
        """Replace x by max(x + bias, 0) in place."""
        if bias is not None:
            self.add_bias(x, bias, scratch)
        np.maximum(x, 0, out=x)

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        """Write dy · (y > 0) to dx, and its sum over the rows to dbias."""
        np.greater(y, 0, dx)
        np.multiply(dx, dy, dx)
        if dbias is not None:
            self.sum_rows(dx, dbias, scratch)

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        """Replace each row of `(rows, features)` by its softmax in place."""
        columns = self._shifted(x, x, scratch)
        np.exp(columns, out=columns)
        np.divide(columns, self._column_sums(columns, scratch), out=x.T)

    def softmax_backward(self, dy: Array, y: Array, dx: Array, scratch: ScratchSpace) -> None:
        """Write y (dy - Σ dy y) to dx, row by row."""
        np.multiply(dy, y, out=dx)
        total = np.dot(dx, scratch.ones(dx.shape[1]), out=scratch.empty((len(dx),)))
        np.subtract(dy.T, total, out=dx.T)
        np.multiply(dx, y, out=dx)

    def softmax_cross_entropy(
        self, z: Array, labels: Array, dz: Array, scratch: ScratchSpace, *, smoothing: float = 0.0
    ) -> float:
        """Return mean(log Σ exp(z) - z[label]) over rows, and write its gradient to dz.

        With `smoothing` s, z[label] is replaced by (1 - s) z[label] + s mean(z).
        """
        rows, classes = z.shape
        columns = self._shifted(z, dz, scratch)
        narrow = classes <= MAX_NARROW_FEATURES
        flat = (columns if narrow else dz).reshape(-1)
        numbers = np.arange(rows)
        index = labels * rows + numbers if narrow else numbers * classes + labels
        ones, row_weight = scratch.ones(rows), 1 / rows
        at_label = np.dot(ones, flat[index])
        if smoothing:
            everywhere = float(np.sum(columns)) / classes
            at_label = (1 - smoothing) * float(at_label) + smoothing * everywhere
        np.exp(columns, columns)
        total = self._column_sums(columns, scratch)
        loss: float = (float(np.dot(ones, np.log(total))) - float(at_label)) * row_weight
        np.divide(row_weight, total, total)
        np.multiply(columns, total, columns)
        flat[index] -= (1 - smoothing) * row_weight
        if smoothing:
            np.subtract(columns, smoothing * row_weight / classes, columns)
        if narrow:
            dz.T[...] = columns
        return loss

    def _shifted(self, x: Array, out: Array, scratch: ScratchSpace) -> Array:
        """Return x - max(x) of each row as `(features, rows)`: in `out`, or a copy if narrow."""
        if x.shape[1] > MAX_NARROW_FEATURES:
            columns = out.T
            np.subtract(x.T, np.maximum.reduce(x, axis=1), out=columns)
            return columns
        columns = scratch.empty(x.T.shape)
        columns[...] = x.T
        top = np.maximum.reduce(columns, axis=0, out=scratch.empty((len(x),)))
        return np.subtract(columns, top, out=columns)

    def _column_sums(self, columns: Array, scratch: ScratchSpace) -> Array:
        return np.dot(scratch.ones(len(columns)), columns, out=scratch.empty(columns.shape[1:]))

    def adam(
        self,
        parameters: Array,
        gradient: Array,
        m: Array,
        v: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        """Update m ← beta1 m + (1 - beta1) g and v ← beta2 v + (1 - beta2) g², then p.

        p ← p - rate · m / (√v + epsilon). g² alone could overflow: √(1 - beta2) g is squared.
        """
        decay1, new1, decay2, new2, floor, step = scratch.scalars(
            beta1, 1 - beta1, beta2, math.sqrt(1 - beta2), epsilon, rate
        )
        change = scratch.empty(parameters.shape)
        np.multiply(m, decay1, m)
        np.multiply(gradient, new1, change)
        np.add(m, change, m)
        np.multiply(v, decay2, v)
        np.multiply(gradient, new2, change)
        np.multiply(change, change, change)
        np.add(v, change, v)
        np.sqrt(v, change)
        np.add(change, floor, change)
        np.divide(m, change, change)
        np.multiply(change, step, change)
        np.subtract(parameters, change, parameters)

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        """Copy every window of `(batch, height, width, channels)`.

        `columns` is `(batch, out height, out width, kernel height, kernel width, channels)`.
        """
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        if sw == 1 and channels > 1:
            for rows, windows in rows_of_windows(images, columns, sh):
                windows[...] = rows
            return
        for i in range(kh):
            for j in range(kw):
                columns[:, :, :, i, j] = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        """Add windows to the images that they were copied from."""
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        images[...] = 0
        if sw == 1 and channels > 1:
            for rows, windows in rows_of_windows(images, columns, sh):
                np.add(rows, windows, out=rows)
            return
        for i in range(kh):
            for j in range(kw):
                part = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]
                np.add(part, columns[:, :, :, i, j], out=part)

    def max_pool(self, x: Array, y: Array, size: Pair, stride: Pair) -> None:
        """Write the largest value of each window of `(batch, height, width, channels)`."""
        first, *others = windows_of(y, size, stride)
        y[...] = x[first]
        for window in others:
            np.maximum(y, x[window], out=y)

    def max_pool_backward(
        self,
        dy: Array,
        x: Array,
        y: Array,
        dx: Array,
        size: Pair,
        stride: Pair,
        scratch: ScratchSpace,
    ) -> None:
        """Assign the gradient of each window to the first of its largest values."""
        dx[...] = 0
        disjoint = size[0] <= stride[0] and size[1] <= stride[1]
        remaining, product = scratch.empty(y.shape), scratch.empty(y.shape)
        remaining[...] = dy
        for window in windows_of(y, size, stride):
            part = dx[window]
            np.equal(x[window], y, out=product)
            assigned = np.multiply(product, remaining, out=part if disjoint else product)
            np.subtract(remaining, assigned, out=remaining)
            if not disjoint:
                np.add(part, product, out=part)

    def layer_norm(
        self,
        x: Array,
        gamma: Array,
        beta: Array,
        y: Array,
        normal: Array,
        scale: Array,
        epsilon: float,
        scratch: ScratchSpace,
    ) -> None:
        """Normalize each row of `(rows, features)`: y = gamma · normal + beta.

        normal = (x - mean) · scale, and scale `(rows,)` = 1 / √(variance + epsilon).
        """
        squares = scratch.empty(x.shape)
        np.subtract(x, _row_means(x, scratch), out=normal)
        np.multiply(normal, normal, out=squares)
        column = _row_means(squares, scratch)
        np.add(column, epsilon, out=column)
        np.sqrt(column, out=column)
        np.divide(1, column, out=column)
        scale[...] = column[:, 0]
        np.multiply(normal, column, out=normal)
        np.multiply(normal, gamma, out=y)
        np.add(y, beta, out=y)

    def layer_norm_backward(
        self,
        dy: Array,
        gamma: Array,
        normal: Array,
        scale: Array,
        dx: Array,
        dgamma: Array,
        dbeta: Array,
        scratch: ScratchSpace,
    ) -> None:
        """Write the gradients of the inputs of `layer_norm`."""
        part = scratch.empty(dy.shape)
        self.sum_rows(dy, dbeta, scratch)
        np.multiply(dy, normal, out=part)
        self.sum_rows(part, dgamma, scratch)
        np.multiply(part, gamma, out=part)
        across = _row_means(part, scratch)
        np.multiply(dy, gamma, out=dx)
        np.subtract(dx, _row_means(dx, scratch), out=dx)
        np.subtract(dx, np.multiply(normal, across, out=part), out=dx)
        np.multiply(dx, scale[:, None], out=dx)

    def lstm_step(self, z: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
        """Replace the sums z `(4 units, batch)` by the gates i, f, g, o in place, then step.

        c_next = f c + i g, tanh_c = tanh(c_next), h_next = o tanh_c. With σ(z) as
        (1 + tanh(z/2)) / 2, one tanh serves all four gates.
        """
        n = len(c)
        i, f, g, o = z[:n], z[n : 2 * n], z[2 * n : 3 * n], z[3 * n :]
        sigmoids = (z[: 2 * n], o)
        for gate in sigmoids:
            np.multiply(gate, 0.5, out=gate)
        np.tanh(z, out=z)
        for gate in sigmoids:
            np.multiply(gate, 0.5, out=gate)
            np.add(gate, 0.5, out=gate)
        np.multiply(i, g, out=tanh_c)
        np.multiply(f, c, out=c_next)
        np.add(c_next, tanh_c, out=c_next)
        np.tanh(c_next, out=tanh_c)
        np.multiply(o, tanh_c, out=h_next)

    def lstm_step_backward(
        self,
        dh: Array,
        dc: Array,
        gates: Array,
        c: Array,
        tanh_c: Array,
        dz: Array,
        scratch: ScratchSpace,
    ) -> None:
        """Write ∂loss/∂z of a step to dz, and replace dc by that of the previous step."""
        n = len(c)
        i, f, g, o = gates[:n], gates[n : 2 * n], gates[2 * n : 3 * n], gates[3 * n :]
        di, df, dg, do = dz[:n], dz[n : 2 * n], dz[2 * n : 3 * n], dz[3 * n :]
        part = scratch.empty(c.shape)
        np.multiply(dh, o, out=do)
        np.multiply(tanh_c, tanh_c, out=part)
        np.multiply(part, do, out=part)
        np.add(dc, do, out=dc)
        np.subtract(dc, part, out=dc)
        np.subtract(1, gates[: 2 * n], out=dz[: 2 * n])
        np.multiply(dz[: 2 * n], gates[: 2 * n], out=dz[: 2 * n])
        for d, other in ((di, g), (df, c)):
            np.multiply(d, other, out=d)
            np.multiply(d, dc, out=d)
        np.multiply(g, g, out=dg)
        np.subtract(1, dg, out=dg)
        np.multiply(dg, i, out=dg)
        np.multiply(dg, dc, out=dg)
        np.subtract(1, o, out=part)
        np.multiply(do, part, out=do)
        np.multiply(do, tanh_c, out=do)
        np.multiply(dc, f, out=dc)

    def sum_by_index(self, rows: Array, index: Array, out: Array) -> None:
        """Write to out[i] the sum of all rows[k], `(count, features)`, with index[k] == i.

        Each round adds one row to every out[i] that still has rows, in one call. np.add.at, which
        adds row by row, is several times as slow; it adds what remains after the rounds.
        """
        out[...] = 0
        remaining, targets = np.arange(len(index), like=index), index
        last = np.empty_like(remaining, shape=(len(out),))
        for number in range(ROUNDS):
            last[targets] = remaining
            chosen = np.equal(np.take(last, targets), remaining)
            here = np.compress(chosen, targets)
            some = np.take(rows, np.compress(chosen, remaining), axis=0)
            if number:
                np.add(some, np.take(out, here, axis=0), out=some)
            out[here] = some
            remaining = np.compress(~chosen, remaining)
            targets = np.take(index, remaining)
            if not len(remaining):
                return
        np.add.at(out, targets, np.take(rows, remaining, axis=0))


def _row_means(x: Array, scratch: ScratchSpace) -> Array:
    """Return the mean of each row as `(rows, 1)`, by a matrix product: np.mean is slow here."""
    rows, features = x.shape
    mean = np.dot(x, scratch.ones(features), out=scratch.empty((rows,)))
    return np.divide(mean, features, out=mean)[:, None]


@functools.cache
def _rows_to_merge(rows: int, features: int) -> int:
    """Return how many rows to treat as one, because NumPy is slow on many short rows."""
    if rows < MIN_MERGED_ROWS or features >= MAX_NARROW_FEATURES:
        return 1
    return max(n for n in range(1, MAX_MERGED_FEATURES // features + 1) if rows % n == 0)
