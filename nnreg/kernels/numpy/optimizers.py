"""The update of Adam."""

from __future__ import annotations

import math

import numpy as np

from nnreg._types import Array
from nnreg.kernels.scratch import ScratchSpace


class OptimizerKernels:
    """Updates of a vector of parameters."""

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
