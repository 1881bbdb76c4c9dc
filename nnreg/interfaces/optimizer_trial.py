"""The state of an update outside of training, on a loss with a known gradient."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from nnreg._types import Array
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.optimizer import Optimizer, UpdateState


def trial_state(
    optimizer: Optimizer,
    parameters: Array,
    gradient: Array,
    vectors: Mapping[str, Array],
    workspace: Workspace,
    count: int = 1,
) -> UpdateState:
    """Return the state of an update of `parameters` by `gradient`.

    The parameters are those of one layer with two units. `evaluate` minimizes the quadratic
    function that has this gradient at the start, and second derivatives of 1.
    """
    if optimizer.elementwise:
        return UpdateState(count, vectors, workspace)
    start, rows = parameters.copy(), parameters.shape[0] // 3
    shapes = {
        "layers/0/weight": (rows, 2),
        "layers/0/bias": (parameters.shape[0] - 2 * rows,),
    }
    rng = np.random.default_rng(count)

    def evaluate() -> tuple[float, Array]:
        change = parameters - start
        loss = np.sum(gradient * change) + np.sum(change * change) / 2
        return float(loss), gradient + change

    return UpdateState(count, vectors, workspace, shapes, evaluate, lambda: rng)
