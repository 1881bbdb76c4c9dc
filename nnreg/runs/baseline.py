"""A network's metrics, compared with those of the best constant prediction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import number
from nnreg._utils.statistics import mean_and_deviation
from nnreg.builtin.metrics import Accuracy, MeanAbsoluteErrorMetric
from nnreg.interfaces.metric import Metric
from nnreg.model.model import Model
from nnreg.runs.prepare import PreparedRun
from nnreg.training.evaluation import Examples, metric_value


def evaluate_with_baseline(prepared: PreparedRun) -> dict[str, Any]:
    """Return the metrics of each split, those of the constant baseline, and a comparison.

    Baseline and comparison are those of the reported split: test, else validation, else train. They
    are absent where the outputs do not predict the target.
    """
    model = prepared.model
    metrics = prepared.evaluate()
    if not model.spec.loss.predicts_target:
        return {**metrics}
    split, examples = prepared.reported
    constant, guess = best_constant(model, prepared.train)
    constants = _Constants(constant, prepared.train, model.classes)
    baseline = {
        name: constants.metric(metric, examples)
        for name, metric in model.evaluation.named_metrics.items()
    }
    comparison = _comparison(model, examples, constants, metrics[split])
    verdict = {"part": split, "guess": guess, **comparison}
    return {**metrics, "baseline": baseline, "verdict": verdict}


@dataclass(frozen=True)
class _Constants:
    """The best constant prediction; of scores, the frequency of each class in training."""

    prediction: Array
    train: Examples
    classes: Sequence[str] | None

    def metric(self, metric: Metric, examples: Examples) -> float:
        """Return the value of a metric of the constant for these examples."""
        targets, constant = examples.raw_targets, self.prediction
        if metric.of_scores and self.classes is not None:
            labels = self.train.raw_targets.reshape(-1)
            constant = np.bincount(labels, minlength=len(self.classes)) / len(labels)
        shape = (*targets.shape, *constant.shape) if metric.of_scores else targets.shape
        return metric_value(metric, np.broadcast_to(constant, shape), targets)


def _comparison(
    model: Model, examples: Examples, constants: _Constants, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Compare by the spec's first metric, or by a common one if it has none."""
    name, metric = _deciding_metric(model)
    if name in metrics:
        value = metrics[name]
    else:
        y = model.evaluation.predictions(model.inference_network.predict(examples.x))
        value = metric_value(metric, y, examples.raw_targets)
    baseline = constants.metric(metric, examples)
    better = value > baseline if metric.higher_is_better else value < baseline
    return {
        **({"guess": "the class frequencies"} if metric.of_scores else {}),
        "metric": name,
        "value": value,
        "guess_value": baseline,
        "better": bool(better),
        "alike": bool(np.all(examples.raw_targets == constants.prediction)),
    }


def describe(comparison: Mapping[str, Any]) -> str:
    """Format a comparison: `test accuracy 0.97, baseline (always Adelie) 0.43: better`.

    If all targets are identical, no network can be better than a constant.
    """
    value, baseline = comparison["value"], comparison["guess_value"]
    split = {"train": "training"}.get(comparison["part"], comparison["part"])
    text = f"{split} {comparison['metric']} {number(value)}"
    if comparison["alike"]:
        return f"{text}; all targets are identical"
    result = "better" if comparison["better"] else "no better" if value == baseline else "worse"
    if math.isnan(value) or math.isnan(baseline):
        result = "cannot be compared"
    return f"{text}, baseline (always {comparison['guess']}) {number(baseline)}: {result}"


def _deciding_metric(model: Model) -> tuple[str, Metric]:
    """Return the metric to compare by, and its name."""
    for name, metric in model.evaluation.named_metrics.items():
        return name, metric
    if model.classes is not None:
        return "accuracy", Accuracy()
    return "mean absolute error", MeanAbsoluteErrorMetric()


def best_constant(model: Model, train: Examples) -> tuple[Array, str]:
    """Return the best constant prediction, and its name."""
    if model.classes is None:
        return mean_and_deviation(train.raw_targets)[0], "the mean"
    majority = int(np.bincount(train.raw_targets.reshape(-1)).argmax())
    return np.array(majority), model.classes[majority]
