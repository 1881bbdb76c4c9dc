"""Losses of numbers of events."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.component import Positive
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class Poisson(TermLoss):
    """Negative log-likelihood of counts t of a Poisson distribution with the rate y.

    loss = mean(y - t log(y + epsilon))

    The term log t! is omitted. For an activation such as exponential or softplus. PyTorch's default
    is the logarithm of the rate as output (log_input), and 1e-8 as epsilon.

    Options:
        epsilon: added to rates, which may be 0, > 0
    """

    epsilon: Positive = 1e-7
    input_range = (0.0, math.inf)
    target_range = (0.0, math.inf)

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        rate = y + self.epsilon
        return y - t * np.log(rate), lambda: 1 - t / rate
