"""Sections of a report about a network's predictions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation
from nnreg.plotting.html import escape, format_value, table
from nnreg.plotting.svg import Drawing
from nnreg.reports.figures import sample
from nnreg.reports.html import figures, percent
from nnreg.reports.png import data_uri
from nnreg.reports.predictions import SplitPredictions
from nnreg.runs.baseline import guess_of, identical

MAX_ERRORS, MAX_CLASSES, MAX_COLUMNS = 12, 25, 10
"""The most errors, classes and input columns that are shown, so that the page stays small."""

MAX_CLASSES_BESIDE = 12
"""The most classes of a confusion matrix that is small enough to have a table beside it."""

MAX_IMAGES = 8
"""The most predicted images that are shown, besides the largest errors."""

SPLIT_ROWS = {"train": "training rows", "validation": "validation rows", "test": "test rows"}


def compare_with_baseline(results: SplitPredictions) -> str:
    """Return the accuracy, or the verdict on numbers, beside the baseline's, as HTML."""
    if results.classes is not None:
        return _compare_accuracy(results)
    verdict = results.verdict
    value, baseline = verdict["value"], verdict["guess_value"]
    metric = verdict["metric"].removeprefix(results.output).lstrip("_ ").replace("_", " ")
    text = f"{escape(metric[:1].upper() + metric[1:])} on {_rows_text(results)}: "
    text += format_value(value)
    if verdict["alike"]:
        return f"{text}; {identical(verdict)}."
    if math.isnan(value) or math.isnan(baseline):
        return f"{text}, which cannot be compared with the baseline."
    judgement = _judgement(better=verdict["better"], not_better=not verdict["better"])
    guess = escape(guess_of(verdict))
    return f"{text}, {judgement} ({guess}, {format_value(baseline)})."


def _rows_text(results: SplitPredictions) -> str:
    """Return on what a network is evaluated: `30 test rows`, of which each may have several."""
    rows, count = f"{results.rows:,} {SPLIT_ROWS[results.split]}", results.count
    rows += ", out of fold" if results.out_of_fold else ""
    return rows if count == results.rows else f"{count:,} predictions for {rows}"


def _compare_accuracy(results: SplitPredictions) -> str:
    """Return the accuracy beside the baseline's; held-out rows are judged by the interval."""
    assert results.classes is not None
    assert results.baseline is not None
    count = len(results.true_values)
    correct = int(np.sum(results.true_values == results.predictions))
    accuracy, baseline = correct / count, float(np.mean(results.true_values == results.baseline))
    low, high, interval = accuracy, accuracy, ""
    if results.split != "train":
        low, high = confidence_interval(correct, count)
        interval = f" The 95 % confidence interval is {percent(low)} to {percent(high)}."
    majority = escape(results.classes[results.baseline])
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
    elif results.images(0) is not None:
        shown = sample(results.count, MAX_IMAGES).tolist()
        drawn = f"<p>True images, and beside them the predicted ones.</p>\n{_pairs(results, shown)}"
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
    if results.images(0) is not None:
        return f"<h3>{title}</h3>\n{_pairs(results, indices)}"
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
    true_values, predictions = results.values(index)
    if len(true_values) > 1:
        errors, _ = mean_and_deviation(np.abs(predictions - true_values))
        return found | {"mean absolute error": float(errors[0])}
    worst = int(np.argmax(np.abs(predictions[0] - true_values[0])))
    if len(results.targets) > 1:
        found["target"] = results.targets[worst]
    true, predicted = float(true_values[0, worst]), float(predictions[0, worst])
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
    items = [
        _pictures(results, index, {"input": image})
        for index, image in zip(indices, images, strict=True)
    ]
    return f'<ul class="images">\n{"".join(items)}\n</ul>'


def _pairs(results: SplitPredictions, indices: Sequence[int]) -> str:
    """Return true images, each beside the predicted one."""
    found = ((index, results.images(index)) for index in indices)
    items = [
        _pictures(results, index, dict(zip(("true", "predicted"), images, strict=True)))
        for index, images in found
        if images is not None
    ]
    return f'<ul class="images pairs">\n{"".join(items)}\n</ul>'


def _pictures(results: SplitPredictions, index: int, images: Mapping[str, Array]) -> str:
    """Return the images of a prediction, with what `_describe_error` says of it."""
    error = {name: format_value(v) for name, v in _describe_error(results, index).items()}
    alt = ", ".join(f"{name} {value}" for name, value in error.items())
    text = "<br>".join(f"{name} <b>{value}</b>" for name, value in error.items())
    drawn = "".join(
        f'<img src="{data_uri(image)}" alt="{name}: {alt}">' for name, image in images.items()
    )
    return f"<li>{drawn}{text.replace('location ', '', 1)}</li>"
