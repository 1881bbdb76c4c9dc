"""Sections of a report about a network's predictions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation
from nnreg.plotting.svg import Drawing
from nnreg.reports.html import escape, figures, format_value, percent, table
from nnreg.reports.png import data_uri
from nnreg.reports.predictions import SplitPredictions

MAX_ERRORS, MAX_CLASSES, MAX_COLUMNS = 12, 25, 10
"""The most errors, classes and input columns that are shown, so that the page stays small."""

MAX_CLASSES_BESIDE = 12
"""The most classes of a confusion matrix that is small enough to have a table beside it."""

CLEARLY_BETTER = 0.95
"""A mean error below this fraction of the baseline's is better than the baseline."""

SPLIT_ROWS = {"train": "training rows", "validation": "validation rows", "test": "test rows"}


def compare_with_baseline(results: SplitPredictions) -> str:
    """Return the accuracy or error of the predictions beside that of the baseline, as HTML."""
    if results.classes is not None:
        return _compare_accuracy(results)
    errors, _ = mean_and_deviation(np.abs(results.predictions - results.true_values))
    baseline, _ = mean_and_deviation(np.abs(results.baseline - results.true_values))
    rows = _rows_text(results)
    if not baseline.any():
        error = format_value(float(np.mean(errors)))
        return f"Mean absolute error on {rows}: {error}; all targets are identical."
    ratio = float(np.mean(errors / np.where(baseline > 0, baseline, 1)))
    judgement = _judgement(better=ratio < CLEARLY_BETTER, not_better=ratio >= 1)
    if len(results.targets) == 1:
        return (
            f"Mean absolute error on {rows}: {format_value(float(errors[0]))}, {judgement} "
            f"(mean target, {format_value(float(baseline[0]))})."
        )
    return (
        f"Mean absolute error on {rows}, averaged over {len(results.targets)} targets: "
        f"{format_value(ratio)} times that of the mean target, {judgement}."
    )


def _rows_text(results: SplitPredictions) -> str:
    """Return on what a network is evaluated: `30 test rows`, of which each may have several."""
    rows, count = f"{results.rows:,} {SPLIT_ROWS[results.split]}", len(results.true_values)
    return rows if count == results.rows else f"{count:,} predictions for {rows}"


def _compare_accuracy(results: SplitPredictions) -> str:
    """Return the accuracy beside the baseline's; held-out rows are judged by the interval."""
    assert results.classes is not None
    count = len(results.true_values)
    correct = int(np.sum(results.true_values == results.predictions))
    accuracy, baseline = correct / count, float(np.mean(results.true_values == results.baseline))
    low, high, interval = accuracy, accuracy, ""
    if results.split != "train":
        low, high = confidence_interval(correct, count)
        interval = f" The 95 % confidence interval is {percent(low)} to {percent(high)}."
    majority = escape(results.classes[int(results.baseline)])
    return (
        f"Accuracy on {_rows_text(results)}: {percent(accuracy)} "
        f"({correct:,} correct), {_judgement(better=low > baseline, not_better=high <= baseline)} "
        f"(majority class <em>{majority}</em>, {percent(baseline)}).{interval}"
    )


def _judgement(*, better: bool, not_better: bool) -> str:
    if better:
        return '<span class="good">better than the baseline</span>'
    text = "not better than the baseline" if not_better else "not clearly better than the baseline"
    return f'<span class="bad">{text}</span>'


def confidence_interval(correct: int, count: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a fraction. Wilson 1927."""
    z, fraction = 1.96, correct / count
    scale = 1 + z * z / count
    middle = (fraction + z * z / (2 * count)) / scale
    half = z / scale * math.sqrt(fraction * (1 - fraction) / count + (z / (2 * count)) ** 2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def prediction_section(results: SplitPredictions, drawings: Sequence[Drawing]) -> str:
    """Return predictions compared with the true values: drawings, classes and errors."""
    title = f"<h3>{escape(results.output)}</h3>\n" if results.output else ""
    drawn = figures(drawings)
    if results.classes is not None:
        classes = _class_table(results.confusion, results.classes)
        beside = ' class="beside"' if len(results.classes) <= MAX_CLASSES_BESIDE else ""
        drawn = f"<div{beside}>\n<div>{drawn}</div>\n<div>{classes}</div>\n</div>"
    rows = _rows_text(results)
    return "\n".join([f'{title}<p class="quiet">On {rows}.</p>', drawn, _errors(results)])


def _class_table(confusion: Array, classes: Sequence[str]) -> str:
    """Return precision, recall and the most frequent confusion of each class."""
    correct, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = correct / np.maximum(true, 1)
    precision = correct / np.maximum(predicted, 1)
    wrong = confusion - np.diag(correct)
    order, note = list(range(len(classes))), ""
    if len(classes) > MAX_CLASSES:
        order = np.argsort(recall, kind="stable")[:MAX_CLASSES].tolist()
        note = (
            f'<p class="quiet">The {MAX_CLASSES} of {len(classes):,} classes with the lowest '
            "recall.</p>"
        )
    rows = [
        [
            classes[i],
            int(true[i]),
            percent(precision[i]) if predicted[i] else "never predicted",
            percent(recall[i]) if true[i] else "no rows",
            f"{classes[int(wrong[i].argmax())]} ({wrong[i].max():,})" if wrong[i].any() else "",
        ]
        for i in order
    ]
    head = ["class", "rows", "precision", "recall", "confused with"]
    explained = (
        '<p class="quiet">Precision: fraction of the rows predicted as a class that belong to it. '
        "Recall: fraction of the rows of a class that are predicted as it.</p>"
    )
    return f"{note}{table(head, rows, 'metrics by class')}\n{explained}"


def _errors(results: SplitPredictions) -> str:
    """Return the most confident errors, or the largest, with the inputs."""
    indices = results.worst(MAX_ERRORS).tolist()
    title = "Largest errors" if results.classes is None else "Most confident errors"
    if not indices:
        return f"<h3>{title}</h3>\n<p>There are no errors.</p>"
    inputs = [results.input(index) for index in indices]
    show = _error_images if isinstance(inputs[0], np.ndarray) else _error_table
    return f"<h3>{title}</h3>\n{show(results, indices, inputs)}"


def _describe_error(results: SplitPredictions, index: int) -> dict[str, Any]:
    """Return where an error is, the true and the predicted value, and the confidence or error."""
    found: dict[str, Any] = {"location": results.row_label(index)}
    if results.classes is not None:
        found["true"] = results.classes[results.true_values[index]]
        found["predicted"] = results.classes[results.predictions[index]]
        confidence = results.confidence
        score = math.nan if confidence is None else float(confidence[index])
        if 0 <= score <= 1:
            return found | {"probability": percent(score)}
        return found | {"score": score}
    worst = int(np.argmax(np.abs(results.predictions[index] - results.true_values[index])))
    if len(results.targets) > 1:
        found["target"] = results.targets[worst]
    true = float(results.true_values[index, worst])
    predicted = float(results.predictions[index, worst])
    return found | {"true": true, "predicted": predicted, "error": predicted - true}


def _error_table(results: SplitPredictions, indices: Sequence[int], inputs: Sequence[Any]) -> str:
    errors = [_describe_error(results, index) for index in indices]
    names = list(inputs[0] or {})
    shown = names[:MAX_COLUMNS]
    rows = [
        [*error.values(), *((row or {}).get(name, "") for name in shown)]
        for error, row in zip(errors, inputs, strict=True)
    ]
    note = ""
    if len(names) > len(shown):
        note = f'<p class="quiet">The first {len(shown)} of {len(names):,} inputs.</p>'
    return f"{note}{table([*errors[0], *shown], rows, 'errors')}"


def _error_images(results: SplitPredictions, indices: Sequence[int], images: Sequence[Any]) -> str:
    items = []
    for index, image in zip(indices, images, strict=True):
        error = {name: format_value(v) for name, v in _describe_error(results, index).items()}
        alt = ", ".join(f"{name} {value}" for name, value in error.items())
        text = "<br>".join(f"{name} <b>{value}</b>" for name, value in error.items())
        text = text.replace("location ", "", 1)
        items.append(f'<li><img src="{data_uri(image)}" alt="input: {alt}">{text}</li>')
    return f'<ul class="images">\n{"".join(items)}\n</ul>'
