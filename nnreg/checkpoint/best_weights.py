"""The weights of the best epoch, which are often those that a checkpoint has anyway.

After an epoch that is the best so far, they are the current ones or their averages: a quarter of a
checkpoint with the two vectors of Adam, which is then not stored twice.
"""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.checkpoint.manifest import BestWeights
from nnreg.model.model import Model


def where_best(model: Model) -> BestWeights:
    """Return where the weights and the state of the best epoch are stored, by their bits."""
    state = model.training_state
    if 0 < state.best_epoch == state.epoch and state.epoch_state is None:
        places: tuple[BestWeights, ...] = ("parameters", "average")
        for place in places[: 2 if state.ema_steps else 1]:
            pairs = zip(values_of(model, place), (state.best_vector, state.best_state), strict=True)
            if all(best is not None and _same_bits(one, best) for one, best in pairs):
                return place
    return "best"


def values_of(model: Model, place: BestWeights) -> tuple[Array, Array]:
    """Return the parameters and the state, or their averages, each as a vector."""
    if place == "average" and model.training_state.ema is not None:
        return model.training_state.ema
    return model.network.vector, model.network.state_vector


def _same_bits(one: Array, other: Array) -> bool:
    """Return True if two vectors of one type have the same bits, also of zeros and NaN."""
    integers = np.dtype(f"i{one.itemsize}")
    return np.array_equal(one.view(integers), other.view(integers))
