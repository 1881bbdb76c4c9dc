"""The updates of the most used optimizers."""

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

    def rms_prop(
        self,
        parameters: Array,
        gradient: Array,
        square: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        rho: float,
        epsilon: float,
    ) -> None:
        """Update s ← rho s + (1 - rho) g², then p ← p - rate · g / (√s + epsilon).

        g² alone could overflow: √(1 - rho) g is squared.
        """
        decay, new, floor, step = scratch.scalars(rho, math.sqrt(1 - rho), epsilon, rate)
        change = scratch.empty(parameters.shape)
        np.multiply(square, decay, square)
        np.multiply(gradient, new, change)
        np.multiply(change, change, change)
        np.add(square, change, square)
        np.sqrt(square, change)
        np.add(change, floor, change)
        np.divide(gradient, change, change)
        np.multiply(change, step, change)
        np.subtract(parameters, change, parameters)

    def momentum(
        self,
        parameters: Array,
        gradient: Array,
        velocity: Array,
        scratch: ScratchSpace,
        *,
        rate: float,
        momentum: float,
        nesterov: bool,
    ) -> None:
        """Update v ← momentum · v + g, then p ← p - rate · v.

        With `nesterov`, the step is along momentum · v + g instead of v.
        """
        kept, step = scratch.scalars(momentum, rate)
        change, direction = scratch.empty(parameters.shape), velocity
        np.multiply(velocity, kept, velocity)
        np.add(velocity, gradient, velocity)
        if nesterov:
            np.multiply(velocity, kept, change)
            direction = np.add(change, gradient, change)
        np.multiply(direction, step, change)
        np.subtract(parameters, change, parameters)
