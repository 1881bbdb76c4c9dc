"""Whether a network learned anything: its metrics beside those of one constant guess."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import number
from nnreg.builtin.metrics import Accuracy, MeanAbsoluteErrorMetric
from nnreg.interfaces.metric import Metric
from nnreg.model.model import Model
from nnreg.runs.prepare import PreparedRun
from nnreg.training.evaluation import Examples


def evaluate_with_baseline(prepared: PreparedRun) -> dict[str, Any]:
    """Return the figures of each part of the data, those of a constant guess, and the verdict.

    The guess and the verdict are of the part that says most: test, else validation, else train.
    """
    model = prepared.model
    measured = prepared.evaluate()
    part, examples = prepared.reported
    guess, words = best_constant(model, prepared.train)
    metrics = model.evaluation.named_metrics
    baseline = {name: _metric_of(guess, metric, examples) for name, metric in metrics.items()}
    compared = _comparison(model, examples, guess, measured[part])
    verdict = {"part": part, "guess": words, **compared}
    return {**measured, "baseline": baseline, "verdict": verdict}


def _comparison(
    model: Model, examples: Examples, guess: Array, measured: Mapping[str, float]
) -> dict[str, Any]:
    """Compare by the spec's first metric, or by one that people know where it has none."""
    name, metric = _deciding_metric(model)
    if name in measured:
        value = measured[name]
    else:
        y = model.evaluation.predictions(model.inference_network.predict(examples.x))
        value = metric.compute(y, examples.raw_targets)
    constant = _metric_of(guess, metric, examples)
    better = value > constant if metric.higher_is_better else value < constant
    return {
        "metric": name,
        "value": value,
        "guess_value": constant,
        "better": bool(better),
        "alike": bool(np.all(examples.raw_targets == guess)),
    }


def _metric_of(guess: Array, metric: Metric, examples: Examples) -> float:
    return metric.compute(np.broadcast_to(guess, examples.raw_targets.shape), examples.raw_targets)


def describe(verdict: Mapping[str, Any]) -> str:
    """Say it: `test accuracy 0.97, against 0.43 for always guessing Adelie: better`.

    Where all rows have the same answer, no network can do better than to guess it.
    """
    value, constant = verdict["value"], verdict["guess_value"]
    rows = {"train": "training", "validation": "validation", "test": "test"}[verdict["part"]]
    if verdict["alike"]:
        return f"{rows} {verdict['metric']} {number(value)}; the answer is the same in all rows"
    comparison = "better" if verdict["better"] else "no better" if value == constant else "worse"
    return (
        f"{rows} {verdict['metric']} {number(value)}, against {number(constant)} "
        f"for always guessing {verdict['guess']}: {comparison}"
    )


def _deciding_metric(model: Model) -> tuple[str, Metric]:
    """Return the metric that decides, and its name."""
    for name, metric in model.evaluation.named_metrics.items():
        return name, metric
    if model.classes is not None:
        return "accuracy", Accuracy()
    return "mean absolute error", MeanAbsoluteErrorMetric()


def best_constant(model: Model, train: Examples) -> tuple[Array, str]:
    """Return the best constant guess, and its name."""
    if model.classes is None:
        return train.raw_targets.mean(axis=0), "the mean"
    majority = int(np.bincount(train.raw_targets.reshape(-1)).argmax())
    return np.array(majority), model.classes[majority]
