"""A network's metrics, compared with those of the best constant, or of a seasonal forecast."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import number
from nnreg._utils.statistics import mean_and_deviation
from nnreg.data.naive import season_of, seasonal_naive
from nnreg.data.split import SPLITS
from nnreg.data.targets import NumericTarget
from nnreg.data.window_table import WindowTable
from nnreg.interfaces.metric import LabelMetric, Metric
from nnreg.model.outputs import Output
from nnreg.ranks.group import ALONE, Ranks
from nnreg.runs.prepare import PreparedRun
from nnreg.tables.padded import Padded, points_like, points_of
from nnreg.training.ensemble import predict_examples
from nnreg.training.evaluation import metric_value


def evaluate_with_baseline(
    prepared: PreparedRun, *, reproducible: bool | None = None, ranks: Ranks = ALONE
) -> dict[str, Any]:
    """Return the metrics of each split, those of the constant baseline, and a comparison.

    Baseline and comparison are those of the reported split: test, else validation, else train. Of
    several outputs, the comparison is that of the first, and `verdicts` has all by name. They are
    absent where no output predicts a target.
    """
    metrics = prepared.evaluate(reproducible=reproducible, ranks=ranks)
    split, examples = prepared.reported
    baseline, verdicts = dict[str, float](), dict[str, dict[str, Any]]()
    for name, output in prepared.model.outputs.items():
        if not output.predicts or output.evaluation is None:
            continue
        constants = _constants(prepared, output)
        raw = points_of(output.of(examples.raw_targets))
        for own, metric in output.evaluation.named_metrics.items():
            baseline[_full_name(output, own)] = constants.metric(metric, raw)
        verdicts[name] = _verdict(prepared, output, constants, metrics[split])
    if not verdicts:
        return {**metrics}
    several = {} if "" in verdicts else {"verdicts": verdicts}
    first = next(iter(verdicts.values()))
    return {**metrics, "baseline": baseline, "verdict": first, **several}


def results_of(summary: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the metrics of each split and of the baseline in a summary, as in `model.results`."""
    found = {name: summary.get(name) for name in (*SPLITS, "baseline")}
    return {name: dict(metrics) for name, metrics in found.items() if isinstance(metrics, Mapping)}


def verdict_on(prepared: PreparedRun, output: Output, y: Array) -> dict[str, Any]:
    """Return the comparison of numbers `y`, predicted for the reported split, with a constant."""
    own, metric = _deciding_metric(output)
    value = _value(metric, output, y, output.of(prepared.reported[1].raw_targets))
    values = {_full_name(output, own): value}
    return _verdict(prepared, output, _constants(prepared, output), values)


def _value(metric: Metric, output: Output, y: Array, targets: Array | Padded) -> float:
    """Return the value of a metric, which is not one of scores, of the outputs `y` of a network."""
    assert output.evaluation is not None  # that of a compared output
    with np.errstate(over="ignore", invalid="ignore"):
        predictions = output.evaluation.predictions(points_like(y, targets), targets)
        return metric_value(metric, predictions, points_of(targets))


def _full_name(output: Output, metric: str) -> str:
    """Return the name of a metric of an output in the records."""
    return f"{output.name}_{metric}" if output.name else metric


@dataclass(frozen=True)
class _Constants:
    """The best constant prediction and its name; of scores, the class frequencies of training.

    `train` are the raw targets of training. Of time series, it is a prediction that `varies`, one
    for each row of the reported split.
    """

    prediction: Array
    guess: str
    train: Array
    classes: Sequence[str] | None
    varies: bool = False

    def metric(self, metric: Metric, targets: Array) -> float:
        """Return the value of a metric of the constant for these raw targets."""
        constant = self.prediction
        if metric.of_scores and self.classes is not None:
            labels = self.train.reshape(-1)
            constant = np.bincount(labels, minlength=len(self.classes)) / len(labels)
        shape = (*targets.shape, *constant.shape) if metric.of_scores else targets.shape
        return metric_value(metric, np.broadcast_to(constant, shape), targets)


def _constants(prepared: PreparedRun, output: Output) -> _Constants:
    train = points_of(output.of(prepared.train.raw_targets))
    table, columns = prepared.tables[prepared.reported[0]], prepared.model.raw_rows.columns
    if isinstance(table, WindowTable) and isinstance(output.target, NumericTarget):
        assert columns.windows is not None  # there is a table of them
        season = season_of(table, columns.windows)
        naive = seasonal_naive(table, columns.windows, output.target.names)
        naive = np.where(np.isnan(naive), mean_and_deviation(train)[0], naive)
        guess = "the last value" if season == 1 else f"seasonal naive, season {season}"
        return _Constants(naive, guess, train, None, varies=True)
    return _Constants(*best_constant(output, train), train, output.classes)


def _verdict(
    prepared: PreparedRun, output: Output, constants: _Constants, metrics: Mapping[str, float]
) -> dict[str, Any]:
    """Compare by the first metric of an output, or by a common one if it has none."""
    split, examples = prepared.reported
    own, metric = _deciding_metric(output)
    targets, name = output.of(examples.raw_targets), _full_name(output, own)
    raw = points_of(targets)
    if name in metrics:
        value = metrics[name]
    else:
        name = f"{output.name} {own}".strip()
        y = output.of(predict_examples(prepared.model.network_for(len(examples)), examples))
        value = _value(metric, output, y, targets)
    baseline = constants.metric(metric, raw)
    better = value > baseline if metric.higher_is_better else value < baseline
    return {
        "part": split,
        "guess": constants.guess,
        **_guess(metric),
        "metric": name,
        "value": value,
        "guess_value": baseline,
        "better": bool(better),
        "alike": bool(np.all(raw == constants.prediction)),
        **({"varies": True} if constants.varies else {}),
    }


def _guess(metric: Metric) -> dict[str, str]:
    """Return the name of the constant that a metric of scores or of labels compares with."""
    if isinstance(metric, LabelMetric):
        scores = metric.metric.of_scores
        return {
            "guess": "the frequencies of the labels" if scores else "the majority of each label"
        }
    return {"guess": "the class frequencies"} if metric.of_scores else {}


def describe(comparison: Mapping[str, Any]) -> str:
    """Format a comparison: `test accuracy 0.97, baseline (always Adelie) 0.43: better`.

    If all targets are identical, no network can be better than a constant.
    """
    value, baseline = comparison["value"], comparison["guess_value"]
    split = {"train": "training"}.get(comparison["part"], comparison["part"])
    text = f"{split} {comparison['metric']} {number(value)}"
    if comparison["alike"]:
        return f"{text}; {identical(comparison)}"
    result = "better" if comparison["better"] else "no better" if value == baseline else "worse"
    if math.isnan(value) or math.isnan(baseline):
        result = "cannot be compared"
    return f"{text}, baseline ({guess_of(comparison)}) {number(baseline)}: {result}"


def guess_of(comparison: Mapping[str, Any]) -> str:
    """Return the prediction of the baseline: `always the mean`, or `seasonal naive, season 7`."""
    guess = comparison["guess"]
    return f"{guess}" if comparison.get("varies") else f"always {guess}"


def identical(comparison: Mapping[str, Any]) -> str:
    """Return what is identical, so that no network can be better than the baseline."""
    return "the baseline is exact" if comparison.get("varies") else "all targets are identical"


def _deciding_metric(output: Output) -> tuple[str, Metric]:
    """Return the metric to compare by, and its name."""
    for name, metric in (output.evaluation.named_metrics if output.evaluation else {}).items():
        return name, metric
    from nnreg.builtin.metrics import Accuracy, MeanAbsoluteErrorMetric  # few runs need it

    if output.classes is not None:
        return "accuracy", Accuracy()
    return "mean absolute error", MeanAbsoluteErrorMetric()


def best_constant(output: Output, targets: Array) -> tuple[Array, str]:
    """Return the best constant prediction for the training targets of an output, and its name."""
    if output.classes is None:
        return mean_and_deviation(targets)[0], "the mean"
    majority = int(np.bincount(targets.reshape(-1)).argmax())
    return np.array(majority), output.classes[majority]
