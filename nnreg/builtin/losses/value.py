"""An output that is a loss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.term_loss import Gradient, TermLoss


@dataclass(frozen=True)
class Value(TermLoss):
    """An output that is itself a loss, such as one that a layer computes.

    loss = mean(y)

    It takes no target.
    """

    takes_target = False
    predicts_target = False

    def terms(self, y: Array, t: Array, *, logits: bool) -> tuple[Array, Gradient]:
        return y, lambda: np.ones_like(y)
