"""The updates of the most used optimizers, each in one pass over memory.

Factors are Python's floats, which are converted here: a call with numbers of NumPy takes three
times as long.
"""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import inlined_in_order


# Without "reassoc": √(1 - beta2) g must be multiplied before it is squared, as g² may overflow.
@inlined_in_order
def adam(
    p: Array,
    g: Array,
    m: Array,
    v: Array,
    beta1: float,
    rest1: float,
    beta2: float,
    root2: float,
    epsilon: float,
    rate: float,
) -> None:
    """Make a step of Adam; NumPy makes twelve passes."""
    kind = p.dtype.type
    beta1, rest1, beta2, root2 = kind(beta1), kind(rest1), kind(beta2), kind(root2)
    epsilon, rate = kind(epsilon), kind(rate)
    for k in range(p.size):
        scaled = root2 * g[k]
        m[k] = beta1 * m[k] + rest1 * g[k]
        v[k] = beta2 * v[k] + scaled * scaled
        p[k] -= rate * m[k] / (np.sqrt(v[k]) + epsilon)


@inlined_in_order
def rms_prop(
    p: Array, g: Array, s: Array, rho: float, root: float, epsilon: float, rate: float
) -> None:
    """Make a step of RMSProp; `root` is √(1 - rho), as g² may overflow."""
    kind = p.dtype.type
    rho, root, epsilon, rate = kind(rho), kind(root), kind(epsilon), kind(rate)
    for k in range(p.size):
        scaled = root * g[k]
        s[k] = rho * s[k] + scaled * scaled
        p[k] -= rate * (g[k] / (np.sqrt(s[k]) + epsilon))


@inlined_in_order
def momentum(p: Array, g: Array, v: Array, decay: float, rate: float) -> None:
    """Make a step of gradient descent with momentum."""
    decay, rate = p.dtype.type(decay), p.dtype.type(rate)
    for k in range(p.size):
        v[k] = decay * v[k] + g[k]
        p[k] -= rate * v[k]


@inlined_in_order
def nesterov(p: Array, g: Array, v: Array, decay: float, rate: float) -> None:
    """Make a step of gradient descent with Nesterov's momentum."""
    decay, rate = p.dtype.type(decay), p.dtype.type(rate)
    for k in range(p.size):
        v[k] = decay * v[k] + g[k]
        p[k] -= rate * (decay * v[k] + g[k])
