"""The update of Adam."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.compile import compiled_in_order


# Without "reassoc": √(1 - beta2) g must be multiplied before it is squared, as g² may overflow.
@compiled_in_order
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
    """Make a step of Adam in one pass over memory instead of twelve."""
    for k in range(p.size):
        scaled = root2 * g[k]
        m[k] = beta1 * m[k] + rest1 * g[k]
        v[k] = beta2 * v[k] + scaled * scaled
        p[k] -= rate * m[k] / (np.sqrt(v[k]) + epsilon)
