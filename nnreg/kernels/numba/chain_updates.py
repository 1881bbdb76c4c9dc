"""What a step does to the gradient and the parameters of a chain of dense layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.denormals import SMALLEST
from nnreg.kernels.numba.chain_codes import ADAM, ADAMW, MOMENTUM, RMSPROP, SGD
from nnreg.kernels.numba.compile import inlined, inlined_in_order
from nnreg.kernels.numba.optimizers import adam, momentum, nesterov, rms_prop

SMALLEST32, SMALLEST64 = (SMALLEST[np.dtype(kind)] for kind in (np.float32, np.float64))


@inlined
def _norm(g: Array) -> Any:
    """Return the norm of a vector whose squares may overflow; NaN if it has one."""
    largest = g.dtype.type(0)
    for k in range(g.size):
        largest = max(largest, abs(g[k]))
    if not largest > 0:
        return 0.0
    total, scale = 0.0, 1 / np.float64(largest)
    for k in range(g.size):
        scaled = g[k] * scale
        total += scaled * scaled
    return math.sqrt(total) * largest


@inlined
def penalize(w: Array, g: Array, l1: float, l2: float) -> None:
    """Add the gradient of l1 · Σ|w| + l2 · Σw² to that of a weight."""
    kind = w.dtype.type
    one, two, slope = kind(l1), kind(2 * l2), kind(0)
    for k in range(w.size):
        slope = one if w[k] > 0 else (-one if w[k] < 0 else w[k])
        g[k] += two * w[k] + slope


@inlined
def clip(g: Array, norm: float, value: float) -> None:
    """Scale a gradient down to a norm, then limit its values; without limits, these are 0."""
    if norm > 0:
        current = _norm(g)
        if current > norm:
            factor = norm / current
            for k in range(g.size):
                g[k] *= factor
    if value > 0:
        top = g.dtype.type(value)
        for k in range(g.size):
            g[k] = top if g[k] > top else (-top if g[k] < -top else g[k])


@inlined
def clear_tiny(state: Array) -> None:
    """Set what is denormal or close to that to 0, as `denormals.zero_tiny` does."""
    zero, least = state.dtype.type(0), state.dtype.type(SMALLEST64)
    if state.itemsize == 4:
        least = state.dtype.type(SMALLEST32)
    for k in range(state.size):
        state[k] = zero if abs(state[k]) < least else state[k]


@inlined_in_order
def update(
    p: Array,
    g: Array,
    first: Array,
    second: Array,
    code: int,
    options: Array,
    rate: float,
    count: int,
) -> None:
    """Make the `count`-th step of an optimizer, whose state are the vectors `first` and `second`.

    `options` are those of the optimizer in the order of its class.
    """
    kind = p.dtype.type
    if code in (ADAM, ADAMW):
        beta1, beta2, epsilon, decay = options[0], options[1], options[2], options[3]
        if code == ADAMW:
            kept = kind(1 - rate * decay)
            for k in range(p.size):
                p[k] *= kept
        root = math.sqrt(1 - beta2**count)
        step = kind(rate * root / (1 - beta1**count))
        decays = kind(beta1), kind(1 - beta1), kind(beta2), kind(math.sqrt(1 - beta2))
        adam(p, g, first, second, *decays, kind(epsilon * root), step)
    elif code == RMSPROP:
        root = kind(math.sqrt(1 - options[0]))
        rms_prop(p, g, first, kind(options[0]), root, kind(options[1]), kind(rate))
    elif code == SGD:
        step = kind(rate)
        for k in range(p.size):
            p[k] -= step * g[k]
    elif code == MOMENTUM:
        momentum(p, g, first, kind(options[0]), kind(rate))
    else:
        nesterov(p, g, first, kind(options[0]), kind(rate))
