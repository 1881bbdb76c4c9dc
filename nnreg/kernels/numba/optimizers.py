"""The updates of the most used optimizers, each in one pass over memory."""

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
    for k in range(p.size):
        scaled = root * g[k]
        s[k] = rho * s[k] + scaled * scaled
        p[k] -= rate * (g[k] / (np.sqrt(s[k]) + epsilon))


@inlined_in_order
def momentum(p: Array, g: Array, v: Array, decay: float, rate: float) -> None:
    """Make a step of gradient descent with momentum."""
    for k in range(p.size):
        v[k] = decay * v[k] + g[k]
        p[k] -= rate * v[k]


@inlined_in_order
def nesterov(p: Array, g: Array, v: Array, decay: float, rate: float) -> None:
    """Make a step of gradient descent with Nesterov's momentum."""
    for k in range(p.size):
        v[k] = decay * v[k] + g[k]
        p[k] -= rate * (decay * v[k] + g[k])
