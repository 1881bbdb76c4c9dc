"""The network with the weights to evaluate, to save as the best, and to predict with."""

from __future__ import annotations

import numpy as np

from nnreg._types import Array
from nnreg.errors import Problem, SpecError
from nnreg.interfaces.optimizer import Optimizer, UpdateState
from nnreg.interfaces.returned import Caller
from nnreg.network.network import Network
from nnreg.training.settings import Train
from nnreg.training.state import TrainingState
from nnreg.training.update import trained_shapes, update_spans


def inference_network(network: Network, optimizer: Optimizer, state: TrainingState) -> Network:
    """Return the network with averaged weights, or with those that the optimizer gives.

    Parameters that the optimizer has not yet updated keep their values. Without either, it is the
    network itself.
    """
    if state.ema_steps and state.ema is not None:
        return network.with_values(*state.ema)
    if not (optimizer.overrides_evaluation_parameters() and state.step):
        return network
    vector = network.vector.copy()
    spans, kinds = update_spans(network, optimizer, state.unfrozen, {})
    groups = [[span] for span in spans] if optimizer.elementwise else [spans]
    shapes = {} if optimizer.elementwise else trained_shapes(network)
    caller, workspace = Caller(optimizer), network.workspace(reuse=False)
    for group in groups:
        count = state.step - kinds[group[0].start][0]
        if not count:
            continue
        vectors = {name: _joined(values, group) for name, values in state.optimizer_state.items()}
        step, values = UpdateState(count, vectors, workspace, shapes), _joined(vector, group)
        method = "evaluation_parameters"
        found = caller.call(method, values, step)
        found = caller.array(method, found, values.shape, network.dtype)
        ends = np.cumsum([span.stop - span.start for span in group])
        for span, part in zip(group, np.split(found, ends[:-1]), strict=True):
            vector[span] = part
    return network.with_values(vector, network.state_vector)


def _joined(vector: Array, spans: list[slice]) -> Array:
    """Return a copy of these parts of a vector."""
    return np.concatenate([vector[span] for span in spans])


def refuse_two_averages(optimizer: Optimizer, settings: Train) -> None:
    """Raise `SpecError` if both the optimizer and `train.ema` give the weights to evaluate."""
    if settings.ema is not None and optimizer.overrides_evaluation_parameters():
        problem = (
            "the optimizer has weights of its own for validation and predictions, and 'ema' would "
            "average those that it trains; remove 'ema'"
        )
        raise SpecError([Problem("$.train.ema", problem)])
