"""The inner loops that a compiler can do better than NumPy, here in NumPy.

A plugin may offer others, as a subclass, through the hook `nnreg_kernels`; layers and optimizers
call them by these names and do not know which they got. All arrays are contiguous and of one
floating type; results must agree with these within 1e-5 relative in float32.

Small networks are bound by the number and the cost of calls: where they meet one, the array that is
written comes last without its name `out`, which is quicker.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.interfaces.component import Component

Pair: TypeAlias = tuple[int, int]

MAX_NARROW_FEATURES = 64
"""Rows up to this wide are worked on in a transposed copy: NumPy is slow on short inner loops."""

WIDE, MANY = 1024, 256
"""Narrow rows, where there are many, are added to as rows of up to this many values."""

ROUNDS = 4
"""After so many rounds of `sum_by_index`, what is left is few places named often."""


class ScratchSpace(Protocol):
    """Where kernels take arrays from; `nnreg.interfaces.Workspace` is one."""

    def empty(self, shape: Shape, dtype: npt.DTypeLike | None = None) -> Array:
        """Return an array whose values are arbitrary."""

    def ones(self, count: int) -> Array:
        """Return a vector of ones, which nobody may write to."""


@dataclass(frozen=True)
class Kernels(Component):
    """Plain NumPy."""

    kind = "kernels"
    few_calls: ClassVar[bool] = False
    """Whether calls are so few that threads can make short steps side by side. NumPy's are many,
    and threads would wait for each other between them."""

    def sum_rows(self, x: Array, out: Array, scratch: ScratchSpace) -> None:
        """Sum `(rows, features)` over the rows, as a product, several times as fast as np.sum."""
        np.dot(scratch.ones(x.shape[0]), x, out=out)

    def add_bias(self, x: Array, bias: Array, scratch: ScratchSpace) -> None:
        """Add bias `(features,)` to each row of x in place."""
        rows, features = x.shape
        times = _rows_per_call(rows, features)
        if times == 1:
            np.add(x, bias, x)
            return
        repeated = scratch.empty((times, features))
        repeated[...] = bias
        wide = x.reshape(rows // times, times * features)
        np.add(wide, repeated.reshape(-1), out=wide)

    def relu(self, x: Array, bias: Array | None, scratch: ScratchSpace) -> None:
        """Turn x into max(x + bias, 0) in place."""
        if bias is not None:
            self.add_bias(x, bias, scratch)
        np.maximum(x, 0, out=x)

    def relu_backward(
        self, dy: Array, y: Array, dx: Array, dbias: Array | None, scratch: ScratchSpace
    ) -> None:
        """Write dy where y is positive and 0 elsewhere to dx, and its sum over rows to dbias."""
        np.greater(y, 0, dx)
        np.multiply(dx, dy, dx)
        if dbias is not None:
            self.sum_rows(dx, dbias, scratch)

    def softmax(self, x: Array, scratch: ScratchSpace) -> None:
        """Turn each row of `(rows, features)` into its softmax in place."""
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

        With `smoothing` s, (1 - s) z[label] + s mean(z) takes the place of z[label].
        """
        rows, classes = z.shape
        columns = self._shifted(z, dz, scratch)
        narrow = classes <= MAX_NARROW_FEATURES
        flat = (columns if narrow else dz).reshape(-1)
        numbers = np.arange(rows)
        place = labels * rows + numbers if narrow else numbers * classes + labels
        ones, share = scratch.ones(rows), 1 / rows
        at_label = np.dot(ones, flat[place])
        if smoothing:
            everywhere = float(np.sum(columns)) / classes
            at_label = (1 - smoothing) * float(at_label) + smoothing * everywhere
        np.exp(columns, columns)
        total = self._column_sums(columns, scratch)
        loss: float = (float(np.dot(ones, np.log(total))) - float(at_label)) * share
        np.divide(share, total, total)
        np.multiply(columns, total, columns)
        flat[place] -= (1 - smoothing) * share
        if smoothing:
            np.subtract(columns, smoothing * share / classes, columns)
        if narrow:
            dz.T[...] = columns
        return loss

    def _shifted(self, x: Array, out: Array, scratch: ScratchSpace) -> Array:
        """Return x - max(x) by row, as `(features, rows)`: in `out`, or in a copy where narrow."""
        if x.shape[1] > MAX_NARROW_FEATURES:
            columns = out.T
            np.subtract(x.T, np.maximum.reduce(x, axis=1), out=columns)
            return columns
        columns = scratch.empty(x.T.shape)
        columns[...] = x.T
        top = np.maximum.reduce(columns, axis=0, out=scratch.empty((len(x),)))
        return np.subtract(columns, top, out=columns)

    def _column_sums(self, columns: Array, scratch: ScratchSpace) -> Array:
        count, rows = columns.shape
        return np.dot(scratch.ones(count), columns, out=scratch.empty((rows,)))

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
        """Update m ← beta1 m + g and v ← beta2 v + g², then p ← p - rate · m / (√v + epsilon)."""
        change = scratch.empty(parameters.shape)
        np.multiply(m, beta1, m)
        np.add(m, gradient, m)
        np.multiply(v, beta2, v)
        np.multiply(gradient, gradient, change)
        np.add(v, change, v)
        np.sqrt(v, change)
        np.add(change, epsilon, change)
        np.divide(m, change, change)
        np.multiply(change, rate, change)
        np.subtract(parameters, change, parameters)

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        """Copy every window of `(batch, height, width, channels)`.

        `columns` is `(batch, out height, out width, kernel height, kernel width, channels)`.
        """
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        if sw == 1 and channels > 1:
            for rows, windows in _rows_of_windows(images, columns, sh):
                windows[...] = rows
            return
        for i in range(kh):
            for j in range(kw):
                columns[:, :, :, i, j] = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        """Sum windows back into the images that they were copied from."""
        _, oh, ow, kh, kw, channels = columns.shape
        sh, sw = stride
        images[...] = 0
        if sw == 1 and channels > 1:
            for rows, windows in _rows_of_windows(images, columns, sh):
                np.add(rows, windows, out=rows)
            return
        for i in range(kh):
            for j in range(kw):
                part = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]
                np.add(part, columns[:, :, :, i, j], out=part)

    def max_pool(self, x: Array, y: Array, size: Pair, stride: Pair) -> None:
        """Write the largest value of each window of `(batch, height, width, channels)`."""
        first, *others = _windows(y, size, stride)
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
        """Give each window's gradient to the first of its largest values."""
        dx[...] = 0
        apart = size[0] <= stride[0] and size[1] <= stride[1]
        left, share = scratch.empty(y.shape), scratch.empty(y.shape)
        left[...] = dy
        for window in _windows(y, size, stride):
            part = dx[window]
            np.equal(x[window], y, out=share)
            given = np.multiply(share, left, out=part if apart else share)
            np.subtract(left, given, out=left)
            if not apart:
                np.add(part, share, out=part)

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
        """Write the gradients of what `layer_norm` took."""
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
        """Turn the sums z `(4 units, batch)` into gates i, f, g, o in place, then step.

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
        """Write ∂loss/∂z of a step to dz, and turn dc into that of the step before."""
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
        """Write to each row of `out` the sum of those of `rows` `(count, features)` it is named by.

        In rounds: each adds, at once, one row to every place that is named yet. np.add.at, which
        goes row by row, is several times as slow; it gets what is named more often than that.
        """
        out[...] = 0
        left, place = np.arange(len(index), like=index), index
        last = np.empty_like(left, shape=(len(out),))
        for turn in range(ROUNDS):
            last[place] = left
            chosen = np.equal(np.take(last, place), left)
            here = np.compress(chosen, place)
            some = np.take(rows, np.compress(chosen, left), axis=0)
            if turn:
                np.add(some, np.take(out, here, axis=0), out=some)
            out[here] = some
            left = np.compress(~chosen, left)
            place = np.take(index, left)
            if not len(left):
                return
        np.add.at(out, place, np.take(rows, left, axis=0))


def _row_means(x: Array, scratch: ScratchSpace) -> Array:
    """Return the mean of each row as `(rows, 1)`, by a product: sums over rows are slow."""
    rows, features = x.shape
    mean = np.dot(x, scratch.ones(features), out=scratch.empty((rows,)))
    return np.divide(mean, features, out=mean)[:, None]


@functools.cache
def _rows_per_call(rows: int, features: int) -> int:
    """Return how many rows to treat as one, where NumPy would be slow on so many short ones."""
    if rows < MANY or features >= MAX_NARROW_FEATURES:
        return 1
    return max(times for times in range(1, WIDE // features + 1) if rows % times == 0)


def _rows_of_windows(images: Array, columns: Array, step: int) -> Iterator[tuple[Array, Array]]:
    """Yield views of images and of columns that correspond, one row of the kernel at a time.

    The windows are in turns, each of windows side by side: kernel width times channels values in a
    row are then contiguous on both sides, and no two windows overlap.
    """
    batch, oh, ow, kh, kw, channels = columns.shape
    for i in range(kh):
        rows = images[:, i : i + oh * step : step]
        for turn in range(min(kw, ow)):
            windows = columns[:, :, turn::kw, i]
            count = windows.shape[2]
            side_by_side = rows[:, :, turn : turn + count * kw]
            yield side_by_side.reshape(batch, oh, count, kw, channels), windows


def _windows(y: Array, size: Pair, stride: Pair) -> list[tuple[slice, slice, slice]]:
    """Return, for each place in a window, the slices of all images that are at this place."""
    _, oh, ow, _ = y.shape
    return [
        (
            slice(None),
            slice(i, i + oh * stride[0], stride[0]),
            slice(j, j + ow * stride[1], stride[1]),
        )
        for i in range(size[0])
        for j in range(size[1])
    ]
