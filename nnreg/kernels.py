"""The inner loops that a compiler can do better than NumPy, here in NumPy.

A plugin may offer others, as a subclass, through the hook `nnreg_kernels`; layers and optimizers
call them by these names and do not know which they got. All arrays are contiguous and of one
floating type; results must agree with these within 1e-5 relative in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from nnreg.component import Array, Component

Pair: TypeAlias = tuple[int, int]

NARROW = 64
"""Rows up to this wide are reduced faster along the other axis, of a transposed copy."""


@dataclass(frozen=True)
class Kernels(Component):
    """Plain NumPy."""

    kind = "kernels"

    def sum_rows(self, x: Array, out: Array) -> None:
        """Sum `(rows, features)` over the rows, as a product, several times as fast as np.sum."""
        np.matmul(np.ones(x.shape[0], x.dtype), x, out=out)

    def row_max(self, x: Array) -> Array:
        """Return the largest value of each row of `(rows, features)`, as `(rows, 1)`."""
        top: Array
        if x.shape[1] > NARROW:
            top = np.maximum.reduce(x, axis=1)
        else:
            top = np.maximum.reduce(np.copy(x.T, order="C"), axis=0)
        return top[:, None]

    def relu(self, x: Array, bias: Array | None) -> None:
        """Turn x into max(x + bias, 0) in place."""
        if bias is not None:
            np.add(x, bias, out=x)
        np.maximum(x, 0, out=x)

    def relu_backward(self, dy: Array, y: Array, dx: Array, dbias: Array | None) -> None:
        """Write dy where y is positive and 0 elsewhere to dx, and its sum over rows to dbias."""
        np.greater(y, 0, out=dx)
        np.multiply(dx, dy, out=dx)
        if dbias is not None:
            self.sum_rows(dx, dbias)

    def softmax(self, x: Array) -> None:
        """Turn each row of `(rows, features)` into its softmax in place."""
        np.subtract(x, self.row_max(x), out=x)
        np.exp(x, out=x)
        total = np.matmul(x, np.ones(x.shape[1], x.dtype))
        np.multiply(x, np.divide(1, total)[:, None], out=x)

    def softmax_backward(self, dy: Array, y: Array, dx: Array) -> None:
        """Write y (dy - Σ dy y) to dx, row by row."""
        np.multiply(dy, y, out=dx)
        total = np.matmul(dx, np.ones(dx.shape[1], dx.dtype))
        np.subtract(dy, total[:, None], out=dx)
        np.multiply(dx, y, out=dx)

    def softmax_cross_entropy(self, z: Array, labels: Array, dz: Array) -> float:
        """Return mean(log Σ exp(z) - z[label]) over rows, and write its gradient to dz."""
        rows, classes = z.shape
        np.subtract(z, self.row_max(z), out=dz)
        place = np.arange(0, rows * classes, classes) + labels
        flat = dz.reshape(-1)
        at_label = np.sum(flat[place])
        np.exp(dz, out=dz)
        total = np.matmul(dz, np.ones(classes, dz.dtype))
        loss: float = (float(np.sum(np.log(total))) - float(at_label)) / rows
        np.multiply(dz, np.divide(1 / rows, total)[:, None], out=dz)
        flat[place] -= 1 / rows
        return loss

    def adam(
        self,
        parameters: Array,
        gradient: Array,
        m: Array,
        v: Array,
        scratch: Array,
        *,
        rate: float,
        beta1: float,
        beta2: float,
        epsilon: float,
    ) -> None:
        """Update m and v, then parameters by - rate · m / (√v + epsilon)."""
        np.multiply(m, beta1, out=m)
        np.multiply(gradient, 1 - beta1, out=scratch)
        np.add(m, scratch, out=m)
        np.multiply(v, beta2, out=v)
        np.multiply(gradient, gradient, out=scratch)
        np.multiply(scratch, 1 - beta2, out=scratch)
        np.add(v, scratch, out=v)
        np.sqrt(v, out=scratch)
        np.add(scratch, epsilon, out=scratch)
        np.divide(m, scratch, out=scratch)
        np.multiply(scratch, rate, out=scratch)
        np.subtract(parameters, scratch, out=parameters)

    def im2col(self, images: Array, columns: Array, stride: Pair) -> None:
        """Copy every window of `(batch, height, width, channels)`.

        `columns` is `(batch, out height, out width, kernel height, kernel width, channels)`.
        """
        _, oh, ow, kh, kw, _ = columns.shape
        sh, sw = stride
        for i in range(kh):
            for j in range(kw):
                columns[:, :, :, i, j] = images[:, i : i + oh * sh : sh, j : j + ow * sw : sw]

    def col2im(self, columns: Array, images: Array, stride: Pair) -> None:
        """Sum windows back into the images that they were copied from."""
        _, oh, ow, kh, kw, _ = columns.shape
        sh, sw = stride
        images[...] = 0
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
        self, dy: Array, x: Array, y: Array, dx: Array, size: Pair, stride: Pair
    ) -> None:
        """Give each window's gradient to the first of its largest values."""
        dx[...] = 0
        left, share = np.copy(dy), np.empty_like(dy)
        for window in _windows(y, size, stride):
            np.equal(x[window], y, out=share)
            np.multiply(share, left, out=share)
            np.subtract(left, share, out=left)
            part = dx[window]
            np.add(part, share, out=part)

    def lstm_step(self, z: Array, c: Array, c_next: Array, tanh_c: Array, h_next: Array) -> None:
        """Turn the sums z `(batch, 4 units)` into gates i, f, g, o in place, then step.

        c_next = f c + i g, tanh_c = tanh(c_next), h_next = o tanh_c. With σ(z) as
        (1 + tanh(z/2)) / 2, one tanh serves all four gates.
        """
        n = c.shape[1]
        sigmoids = (z[:, : 2 * n], z[:, 3 * n :])
        for gate in sigmoids:
            np.multiply(gate, 0.5, out=gate)
        np.tanh(z, out=z)
        for gate in sigmoids:
            np.multiply(gate, 0.5, out=gate)
            np.add(gate, 0.5, out=gate)
        i, f, g, o = (z[:, k * n : (k + 1) * n] for k in range(4))
        np.multiply(i, g, out=tanh_c)
        np.multiply(f, c, out=c_next)
        np.add(c_next, tanh_c, out=c_next)
        np.tanh(c_next, out=tanh_c)
        np.multiply(o, tanh_c, out=h_next)

    def lstm_step_backward(
        self, dh: Array, dc: Array, gates: Array, c: Array, tanh_c: Array, dz: Array
    ) -> None:
        """Write ∂loss/∂z of a step to dz, and turn dc into that of the step before."""
        n = c.shape[1]
        i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
        di, df, dg, do = (dz[:, k * n : (k + 1) * n] for k in range(4))
        np.add(dc, dh * o * (1 - tanh_c * tanh_c), out=dc)
        np.multiply(dc, g * i * (1 - i), out=di)
        np.multiply(dc, c * f * (1 - f), out=df)
        np.multiply(dc, i * (1 - g * g), out=dg)
        np.multiply(dh, tanh_c * o * (1 - o), out=do)
        np.multiply(dc, f, out=dc)

    def add_rows(self, rows: Array, index: Array, out: Array) -> None:
        """Add each of `rows` `(count, features)` to the row of `out` that `index` names."""
        np.add.at(out, index, rows)


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
