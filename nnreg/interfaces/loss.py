"""The base class of losses."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.activation import Activation
from nnreg.interfaces.component import Component
from nnreg.interfaces.context import Context


class Loss(Component):
    """How wrong the outputs are, as a mean over the batch and the outputs.

    Examples are independent: the loss of a batch is the mean over those of its rows, so that each
    may be given a weight.
    """

    kind = "loss"
    takes_labels: ClassVar[bool] = False
    """Whether targets may be class numbers of shape `(batch,)` instead of one-hot rows."""
    classification: ClassVar[bool] = False
    """Whether a single column of targets is read as classes even when it holds numbers."""
    input_range: ClassVar[tuple[float, float]] = (-math.inf, math.inf)
    """Bounds that the outputs must lie within."""
    fused_activation: ClassVar[type[Activation] | None] = None
    """The last activation with which this loss is computed as one, from the logits."""

    def forward(self, y: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Return the loss of outputs `y` against targets `t`, and a function giving ∂loss/∂y."""
        raise NotImplementedError

    def forward_logits(self, z: Array, t: Array) -> tuple[float, Callable[[], Array]]:
        """Do the same for outputs z before `fused_activation`, giving ∂loss/∂z.

        Called where the network ends in that activation, so that neither is computed alone.
        """
        raise NotImplementedError

    def forward_with_workspace(
        self, y: Array, t: Array, context: Context, *, logits: bool
    ) -> tuple[float, Callable[[], Array]]:
        """Do either, free to take arrays from `context`. The trainer calls this one."""
        return self.forward_logits(y, t) if logits else self.forward(y, t)

    def per_example(self, y: Array, t: Array, *, logits: bool) -> Array:
        """Return the loss of each example alone, `(batch,)`; called where examples have weights.

        Override it to save a call for each example.
        """
        forward = self.forward_logits if logits else self.forward
        rows = [slice(row, row + 1) for row in range(len(y))]
        return np.array([forward(y[row], t[row])[0] for row in rows])
