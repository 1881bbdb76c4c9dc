"""How a run ended, and the summary that it then writes."""

from __future__ import annotations

from typing import Any

from nnreg.ranks.group import Ranks
from nnreg.registry.events import StopReason
from nnreg.registry.kernels import name_of
from nnreg.runs.baseline import evaluate_with_baseline, results_of
from nnreg.runs.prepare import PreparedRun
from nnreg.training.trainer import Trainer

STOPPED_BY_PLUGIN = "by_plugin"
FINISHED_OUTCOMES = ("epochs", "early_stopping", STOPPED_BY_PLUGIN)
"""The outcomes of a run that was neither interrupted nor failed; only such a run is evaluated."""


def outcome_of(prepared: PreparedRun, trainer: Trainer, reason: StopReason | None) -> str:
    """Return how a training ended that raised no exception; `reason` is that of a plugin."""
    model = prepared.model
    if model.training_state.epoch >= model.spec.train.epochs:
        return "epochs"
    if reason:
        return STOPPED_BY_PLUGIN
    return "early_stopping" if trainer.finished else "interrupted"


def summarize(
    prepared: PreparedRun,
    trainer: Trainer,
    ranks: Ranks,
    *,
    stopped: str,
    reason: StopReason | None,
    seconds: float,
) -> dict[str, Any]:
    """Return the summary of a run that `stopped` in this way, with its metrics if it finished.

    These are also written to the training state.
    """
    model, evaluation = prepared.model, prepared.model.evaluation
    results = dict[str, Any]()
    if stopped in FINISHED_OUTCOMES:
        results = evaluate_with_baseline(prepared, reproducible=trainer.reproducible, ranks=ranks)
        model.training_state.evaluated = results_of(results)
    return {
        "name": model.document.name,
        "stopped": stopped,
        **({"stopped_by": reason.plugin, "reason": reason.reason} if reason else {}),
        "epochs": model.training_state.epoch,
        "best_epoch": model.training_state.best_epoch,
        "parameters": model.network.vector.size,
        **trainer.division.record,
        "streamed": trainer.streaming,
        "kernels": name_of(trainer.network.kernels, model.document.registry),
        **results,
        "higher_is_better": [n for n in evaluation.names if evaluation.higher_is_better(n)],
        "seconds": round(seconds, 3),
    }
