"""The card of a model in a notebook: its metrics, its loss by epoch, its layers."""

from __future__ import annotations

from collections.abc import Mapping

from nnreg._utils.formatting import counted
from nnreg.model.parts import ModelParts
from nnreg.model.summary import LAYER_COLUMNS
from nnreg.plotting.card import card, details, line
from nnreg.plotting.html import table
from nnreg.training.history import History

MAX_OPEN_LAYERS = 8
"""The most layers that are shown at once."""


def model_card(
    model: ModelParts, results: Mapping[str, Mapping[str, float]], history: History
) -> str:
    """Return the card of a model as HTML."""
    layers, network = model.layer_table(), model.network
    members = f"{network.members} members of " if network.members > 1 else ""
    parameters = counted(network.vector.size, "parameter")
    title = f"{members}{counted(len(layers), 'layer')}, {parameters}"
    listed = table(LAYER_COLUMNS, layers, "layers")
    directory = model.run_directory
    return card(
        model.document.name,
        line(_training(model)),
        metrics_table(results),
        history.curve(model.training_state.best_epoch or None),
        details(title, listed, opened=len(layers) <= MAX_OPEN_LAYERS),
        line("" if directory is None else f"run directory {directory}"),
    )


def metrics_table(results: Mapping[str, Mapping[str, float]]) -> str:
    """Return the table of the metrics of each split and of the baseline, or nothing."""
    names = list(dict.fromkeys(name for metrics in results.values() for name in metrics))
    rows = [[split, *(found.get(name, "") for name in names)] for split, found in results.items()]
    return table(["", *(n.replace("_", " ") for n in names)], rows, "metrics") if rows else ""


def _training(model: ModelParts) -> str:
    """Return how far a model is trained."""
    state = model.training_state
    if not state.step:
        return "not trained"
    epochs = counted(state.epoch, "epoch")
    if model.resumable or not state.best_epoch:
        return f"weights after {epochs}"
    return f"weights of epoch {state.best_epoch}, the best of {epochs}"
