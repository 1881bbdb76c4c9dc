"""The loops, compiled on first use and kept on disk.

They are serial: Numba's threads and those of the matrix products would fight for the cores.
"""

from __future__ import annotations

import numba
import numpy as np

# Not "nnan" and "ninf": NaN and infinity must come through, or a run would not notice them.
compiled = numba.njit(
    cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"}, error_model="numpy", nogil=True
)


@compiled
def bias_relu(x, bias):
    """X ← max(x + bias, 0)."""
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            value = x[row, k] + bias[k]
            x[row, k] = x.dtype.type(0) if value < 0 else value


@compiled
def relu_backward(dy, y, dx, dbias):
    """Dx ← dy where y > 0, otherwise 0; dbias ← Σ dx over rows."""
    dbias[:] = 0
    for row in range(dy.shape[0]):
        for k in range(dy.shape[1]):
            value = dy[row, k] if y[row, k] > 0 else dy.dtype.type(0)
            dx[row, k] = value
            dbias[k] += value


@compiled
def adam(p, g, m, v, rate, beta1, beta2, epsilon):
    """One pass over memory instead of twelve."""
    for k in range(p.size):
        m[k] = beta1 * m[k] + g[k]
        v[k] = beta2 * v[k] + g[k] * g[k]
        p[k] -= rate * m[k] / (np.sqrt(v[k]) + epsilon)


@compiled
def softmax_cross_entropy(z, labels, dz):
    """Return the mean loss and write its gradient to dz, row by row."""
    rows, classes = z.shape
    share = z.dtype.type(1 / rows)
    loss = 0.0
    for row in range(rows):
        top = z[row, 0]
        for k in range(1, classes):
            top = max(top, z[row, k])
        total = z.dtype.type(0)
        for k in range(classes):
            dz[row, k] = np.exp(z[row, k] - top)
            total += dz[row, k]
        label = labels[row]
        loss += np.log(total) - (z[row, label] - top)
        for k in range(classes):
            dz[row, k] *= share / total
        dz[row, label] -= share
    return loss / rows


@compiled
def im2col(images, columns, sh, sw):
    """Copy windows: runs of kernel width times channels are contiguous on both sides."""
    batch, oh, ow, kh, kw, channels = columns.shape
    width = images.shape[2]
    source = images.reshape(batch, images.shape[1], width * channels)
    target = columns.reshape(batch, oh, ow, kh, kw * channels)
    run = kw * channels
    for b in range(batch):
        for y in range(oh):
            for x in range(ow):
                start = x * sw * channels
                for i in range(kh):
                    for k in range(run):
                        target[b, y, x, i, k] = source[b, y * sh + i, start + k]


@compiled
def col2im(columns, images, sh, sw):
    """Sum windows back."""
    batch, oh, ow, kh, kw, channels = columns.shape
    width = images.shape[2]
    target = images.reshape(batch, images.shape[1], width * channels)
    source = columns.reshape(batch, oh, ow, kh, kw * channels)
    run = kw * channels
    images[:] = 0
    for b in range(batch):
        for y in range(oh):
            for x in range(ow):
                start = x * sw * channels
                for i in range(kh):
                    for k in range(run):
                        target[b, y * sh + i, start + k] += source[b, y, x, i, k]


@compiled
def max_pool(x, y, kh, kw, sh, sw):
    """The largest value of each window."""
    batch, oh, ow, channels = y.shape
    for b in range(batch):
        for r in range(oh):
            for s in range(ow):
                for c in range(channels):
                    y[b, r, s, c] = x[b, r * sh, s * sw, c]
                for i in range(kh):
                    for j in range(kw):
                        for c in range(channels):
                            value = x[b, r * sh + i, s * sw + j, c]
                            if value > y[b, r, s, c] or value != value:
                                y[b, r, s, c] = value


@compiled
def max_pool_backward(dy, x, y, dx, kh, kw, sh, sw):
    """Each window's gradient to the first of its largest values."""
    batch, oh, ow, channels = y.shape
    dx[:] = 0
    left = np.empty(channels, dy.dtype)
    for b in range(batch):
        for r in range(oh):
            for s in range(ow):
                for c in range(channels):
                    left[c] = dy[b, r, s, c]
                for i in range(kh):
                    for j in range(kw):
                        for c in range(channels):
                            hit = x[b, r * sh + i, s * sw + j, c] == y[b, r, s, c]
                            share = left[c] if hit else dy.dtype.type(0)
                            dx[b, r * sh + i, s * sw + j, c] += share
                            left[c] -= share


@compiled
def add_rows(rows, index, out):
    """out[index[n]] += rows[n]."""
    for n in range(index.size):
        for k in range(rows.shape[1]):
            out[index[n], k] += rows[n, k]
