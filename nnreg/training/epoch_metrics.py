"""The metrics at the end of an epoch, which one rank computes for all."""

from __future__ import annotations

import math

from nnreg._types import Array
from nnreg.network.network import Network
from nnreg.ranks.group import Ranks
from nnreg.training.divergence import explain
from nnreg.training.epoch import EpochTotals
from nnreg.training.evaluation import Evaluation, Examples
from nnreg.training.state import Record


def training_metrics(
    network: Network,
    evaluation: Evaluation,
    train: Examples,
    order: Array,
    totals: EpochTotals,
    ranks: Ranks,
) -> Record:
    """Return the metrics of the outputs of an epoch, which are in this order of the rows."""
    totals.gather_outputs(ranks)
    outputs = totals.outputs
    if outputs is None:
        return {}
    return ranks.of_first(lambda: evaluation.record(network, outputs, train.ordered(order)))


def validation_metrics(
    network: Network,
    evaluation: Evaluation,
    validation: Examples,
    epoch: int,
    batch: int,
    *,
    reproducible: bool,
    ranks: Ranks,
) -> Record:
    """Return the validation metrics after an epoch, whose last batch has this number.

    Raises `DivergedError` if the loss is not finite.
    """
    metrics = evaluation.evaluate(network, validation, reproducible=reproducible, ranks=ranks)
    if not math.isfinite(metrics["loss"]):
        context = network.context(network.workspace(reuse=False))
        explain(network, context, validation.x, epoch, batch, "the validation loss")
    return {f"val_{name}": value for name, value in metrics.items()}
