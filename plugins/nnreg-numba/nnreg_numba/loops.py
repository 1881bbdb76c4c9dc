"""The loops, compiled on first use and cached on disk.

They are serial: Numba's threads and those of the matrix products would compete for the cores.
"""

from __future__ import annotations

import numba
import numpy as np

# Without "nnan" and "ninf": NaN and infinity must be propagated, or a run would not detect them.
compiled = numba.njit(
    cache=True, fastmath={"reassoc", "contract", "arcp", "nsz"}, error_model="numpy", nogil=True
)


BLOCK = 512
"""The values of each array that the loops of an LSTM process at a time, to fit into the cache."""


@compiled
def bias_relu(x, bias):
    """Replace x by max(x + bias, 0)."""
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            value = x[row, k] + bias[k]
            x[row, k] = x.dtype.type(0) if value < 0 else value


@compiled
def relu_backward(dy, y, dx, dbias):
    """Write dy · (y > 0) to dx, and its sum over the rows to dbias."""
    dbias[:] = 0
    for row in range(dy.shape[0]):
        for k in range(dy.shape[1]):
            value = dy[row, k] if y[row, k] > 0 else dy.dtype.type(0)
            dx[row, k] = value
            dbias[k] += value


# Without "reassoc": √(1 - beta2) g must be multiplied before it is squared, as g² may overflow.
@numba.njit(cache=True, fastmath={"contract", "arcp", "nsz"}, error_model="numpy", nogil=True)
def adam(p, g, m, v, beta1, rest1, beta2, root2, epsilon, rate):
    """Make a step of Adam in one pass over memory instead of twelve."""
    for k in range(p.size):
        scaled = root2 * g[k]
        m[k] = beta1 * m[k] + rest1 * g[k]
        v[k] = beta2 * v[k] + scaled * scaled
        p[k] -= rate * m[k] / (np.sqrt(v[k]) + epsilon)


@numba.njit(cache=True, fastmath=True, nogil=True)
def largest_of_rows(x, tops):
    """Write the largest value of each row; it is arbitrary for NaN, which remains in x itself.

    A separate pass: in one loop with the exponentials, neither would be vectorized.
    """
    for row in range(x.shape[0]):
        top = x[row, 0]
        for k in range(1, x.shape[1]):
            top = max(top, x[row, k])
        tops[row] = top


@compiled
def exp(x):
    """Return e^x in float32 within 2e-7 relative, for x <= 0; 0 for x < -87. It is vectorized.

    With n the integer nearest to x / log 2: 2^n, from its binary representation, times a polynomial
    of the remainder, with the coefficients of the Cephes library.
    """
    n = np.floor(x * np.float32(1.44269504088896341) + np.float32(0.5))
    r = x - n * np.float32(0.693359375)
    r = r - n * np.float32(-2.12194440e-4)
    p = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    p = p * r * r + r + np.float32(1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return np.float32(0) if x < -87 else p * power


@compiled
def exp_of_row(x, top):
    """Replace x by exp(x - top) and return the sum. In place, so that LLVM needs no alias check."""
    for k in range(x.size):
        x[k] = exp(x[k] - top)
    total = np.float32(0)
    for k in range(x.size):
        total += x[k]
    return total


@compiled
def softmax(x):
    """Replace each row by its softmax, in float32."""
    tops = np.empty(x.shape[0], np.float32)
    largest_of_rows(x, tops)
    for row in range(x.shape[0]):
        values = x[row]
        factor = np.float32(1) / exp_of_row(values, tops[row])
        for k in range(values.size):
            values[k] *= factor


@compiled
def softmax_backward(dy, y, dx):
    """Write y (dy - Σ dy y) to dx, row by row."""
    for row in range(y.shape[0]):
        total = y.dtype.type(0)
        for k in range(y.shape[1]):
            total += dy[row, k] * y[row, k]
        for k in range(y.shape[1]):
            dx[row, k] = y[row, k] * (dy[row, k] - total)


@compiled
def softmax_cross_entropy(z, labels, dz, smoothing):
    """Return the mean loss and write its gradient to dz, row by row, in float32."""
    rows, classes = z.shape
    tops = np.empty(rows, np.float32)
    largest_of_rows(z, tops)
    row_weight = np.float32(1 / rows)
    at_label, everywhere = 1 - smoothing, smoothing / classes
    loss = 0.0
    dz[:] = z
    for row in range(rows):
        total = exp_of_row(dz[row], tops[row])
        label = labels[row]
        loss += np.log(total) - at_label * (z[row, label] - tops[row])
        factor = row_weight / total
        for k in range(classes):
            dz[row, k] *= factor
        dz[row, label] -= np.float32(at_label) * row_weight
        if smoothing > 0:
            for k in range(classes):
                loss -= everywhere * (z[row, k] - tops[row])
                dz[row, k] -= np.float32(everywhere) * row_weight
    return loss / rows


@compiled
def layer_norm(x, gamma, beta, y, normal, scale, epsilon):
    """Normalize each row while it is in the cache."""
    rows, features = x.shape
    for row in range(rows):
        mean = x.dtype.type(0)
        for k in range(features):
            mean += x[row, k]
        mean /= features
        variance = x.dtype.type(0)
        for k in range(features):
            centered = x[row, k] - mean
            variance += centered * centered
        factor = x.dtype.type(1) / np.sqrt(x.dtype.type(variance / features + epsilon))
        scale[row] = factor
        for k in range(features):
            normal[row, k] = (x[row, k] - mean) * factor
        for k in range(features):
            y[row, k] = normal[row, k] * gamma[k] + beta[k]


@compiled
def layer_norm_backward(dy, gamma, normal, scale, dx, dgamma, dbeta):
    """Write the gradients of the inputs of `layer_norm`."""
    rows, features = dy.shape
    dgamma[:] = 0
    dbeta[:] = 0
    for row in range(rows):
        mean = dy.dtype.type(0)
        across = dy.dtype.type(0)
        for k in range(features):
            mean += dy[row, k] * gamma[k]
            across += dy[row, k] * gamma[k] * normal[row, k]
        mean /= features
        across /= features
        for k in range(features):
            dx[row, k] = (dy[row, k] * gamma[k] - mean - normal[row, k] * across) * scale[row]
        for k in range(features):
            dbeta[k] += dy[row, k]
        for k in range(features):
            dgamma[k] += dy[row, k] * normal[row, k]


@compiled
def im2col(images, columns, sh, sw):
    """Copy windows; kernel width times channels values are contiguous in both arrays."""
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
    """Add windows to the images that they were copied from."""
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
    """Write the largest value of each window to y."""
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
    """Assign the gradient of each window to the first of its largest values."""
    batch, oh, ow, channels = y.shape
    dx[:] = 0
    remaining = np.empty(channels, dy.dtype)
    for b in range(batch):
        for r in range(oh):
            for s in range(ow):
                for c in range(channels):
                    remaining[c] = dy[b, r, s, c]
                for i in range(kh):
                    for j in range(kw):
                        for c in range(channels):
                            is_max = x[b, r * sh + i, s * sw + j, c] == y[b, r, s, c]
                            assigned = remaining[c] if is_max else dy.dtype.type(0)
                            dx[b, r * sh + i, s * sw + j, c] += assigned
                            remaining[c] -= assigned


@compiled
def tanh(x):
    """Return the hyperbolic tangent in float32 within 4e-7, as a vectorized rational function.

    The coefficients are those of the Eigen library.
    """
    x = np.float32(-9) if x < -9 else np.float32(9) if x > 9 else x
    y = x * x
    p = np.float32(-2.76076847742355e-16) * y + np.float32(2.00018790482477e-13)
    p = p * y + np.float32(-8.60467152213735e-11)
    p = p * y + np.float32(5.12229709037114e-08)
    p = p * y + np.float32(1.48572235717979e-05)
    p = p * y + np.float32(6.37261928875436e-04)
    p = p * y + np.float32(4.89352455891786e-03)
    q = np.float32(1.19825839466702e-06) * y + np.float32(1.18534705686654e-04)
    q = q * y + np.float32(2.26843463243900e-03)
    q = q * y + np.float32(4.89352518554385e-03)
    return x * p / q


@compiled
def tanh_of_row(x):
    """Replace x by tanh(x)."""
    for k in range(x.size):
        x[k] = tanh(x[k])


@compiled
def sigmoid_of_row(x):
    """Replace x by (1 + tanh(x/2)) / 2."""
    half = np.float32(0.5)
    for k in range(x.size):
        x[k] = half + half * tanh(half * x[k])


@compiled
def lstm_step(z, c, c_next, tanh_c, h_next):
    """Make a step of an LSTM after its matrix product, in float32, in blocks.

    One loop per function, because a single loop over all arrays would not be vectorized.
    """
    size = c.size
    gates, before, after = z.reshape(-1), c.reshape(-1), c_next.reshape(-1)
    tanhs, outputs = tanh_c.reshape(-1), h_next.reshape(-1)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        i, f = gates[start:stop], gates[size + start : size + stop]
        g, o = gates[2 * size + start : 2 * size + stop], gates[3 * size + start : 3 * size + stop]
        b, a, t, h = before[start:stop], after[start:stop], tanhs[start:stop], outputs[start:stop]
        sigmoid_of_row(i)
        sigmoid_of_row(f)
        tanh_of_row(g)
        sigmoid_of_row(o)
        for k in range(i.size):
            a[k] = f[k] * b[k] + i[k] * g[k]
        for k in range(i.size):
            t[k] = a[k]
        tanh_of_row(t)
        for k in range(i.size):
            h[k] = o[k] * t[k]


@compiled
def lstm_step_backward(dh, dc, gates, c, tanh_c, dz):
    """Write ∂loss/∂z of a step to dz, and replace dc by that of the previous step."""
    size = c.size
    one = c.dtype.type(1)
    all_gates, all_dz, all_dh, all_dc = (
        gates.reshape(-1), dz.reshape(-1), dh.reshape(-1), dc.reshape(-1)
    )  # fmt: skip
    before, tanhs = c.reshape(-1), tanh_c.reshape(-1)
    for start in range(0, size, BLOCK):
        stop = min(start + BLOCK, size)
        i, di = all_gates[start:stop], all_dz[start:stop]
        f, df = all_gates[size + start : size + stop], all_dz[size + start : size + stop]
        g, dg = (
            all_gates[2 * size + start : 2 * size + stop],
            all_dz[2 * size + start : 2 * size + stop],
        )
        o, do = (
            all_gates[3 * size + start : 3 * size + stop],
            all_dz[3 * size + start : 3 * size + stop],
        )
        d, h, b, t = all_dc[start:stop], all_dh[start:stop], before[start:stop], tanhs[start:stop]
        for k in range(d.size):
            d[k] += h[k] * o[k] * (one - t[k] * t[k])
        for k in range(d.size):
            di[k] = d[k] * g[k] * i[k] * (one - i[k])
        for k in range(d.size):
            df[k] = d[k] * b[k] * f[k] * (one - f[k])
        for k in range(d.size):
            dg[k] = d[k] * i[k] * (one - g[k] * g[k])
        for k in range(d.size):
            do[k] = h[k] * t[k] * o[k] * (one - o[k])
        for k in range(d.size):
            d[k] *= f[k]


@compiled
def sum_by_index(rows, index, out):
    """Write to out[i] the sum of all rows[n] with index[n] == i."""
    out[:] = 0
    for n in range(index.size):
        for k in range(rows.shape[1]):
            out[index[n], k] += rows[n, k]
