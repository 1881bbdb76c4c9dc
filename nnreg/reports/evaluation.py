"""What a report says of a network's predictions, as HTML."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.plotting.svg import Drawing
from nnreg.reports.html import escape, figure, figures, percent, table
from nnreg.reports.png import data_uri
from nnreg.reports.predictions import SplitPredictions

ERRORS, CLASSES, COLUMNS = 12, 25, 10
"""The most errors, classes and input columns that are shown, so that the page stays small."""

MAX_COLUMNS_BESIDE = 12
"""The most classes of a confusion matrix that is small enough to have a table at its side."""

ROWS = {"train": "training rows", "validation": "validation rows", "test": "test rows"}


def against_baseline(results: SplitPredictions) -> str:
    """Say how good the answers are beside a constant guess, as HTML."""
    if results.classes is not None:
        return _accuracy_against_baseline(results)
    errors = np.mean(np.abs(results.predictions - results.true_values), axis=0)
    guessed = np.mean(np.abs(results.baseline - results.true_values), axis=0)
    rows = f"On {len(results.true_values):,} {ROWS[results.split]}"
    name, several = escape(results.baseline_name), len(results.targets)
    if not guessed.any():
        off = figure(float(np.mean(errors)))
        return f"{rows} it is off by {off} on average; the answer is the same in all of them."
    share = float(np.mean(errors / np.where(guessed > 0, guessed, 1)))
    if several == 1:
        text = (
            f"{rows} it is off by {figure(float(errors[0]))} on average; always answering {name} "
            f"is off by {figure(float(guessed[0]))}"
        )
    else:
        text = (
            f"{rows} it is off by {figure(share)} times as much as always answering {name}, over "
            f"{several} targets"
        )
    return f"{text}: {_judgement(better=share < 0.95, worse=share >= 1)}."


def _accuracy_against_baseline(results: SplitPredictions) -> str:
    """Say how many are right. That is better where chance does not explain it."""
    right, count = int(np.sum(results.true_values == results.predictions)), len(results.true_values)
    guessed = float(np.mean(results.true_values == results.baseline))
    text = (
        f"It is right for {right:,} of {count:,} {ROWS[results.split]}, {percent(right / count)}; "
        f"always answering <em>{escape(results.baseline_name)}</em> is right for {percent(guessed)}"
    )
    if results.split == "train":
        return (
            f"{text}: {_judgement(better=right / count > guessed, worse=right / count <= guessed)}."
        )
    low, high = interval(right, count)
    return (
        f"{text}: {_judgement(better=low > guessed, worse=high <= guessed)}. With this number of "
        f"rows, its true accuracy lies between {percent(low)} and {percent(high)} (95 % interval)."
    )


def _judgement(*, better: bool, worse: bool) -> str:
    if better:
        return '<span class="good">better than guessing</span>'
    said = "no better than guessing" if worse else "not clearly better than guessing"
    return f'<span class="bad">{said}</span>'


def interval(right: int, count: int) -> tuple[float, float]:
    """Return where a share lies with 95 % certainty. Wilson 1927."""
    z, share = 1.96, right / count
    middle = (share + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(share * (1 - share) / count + (z / (2 * count)) ** 2)
    return max(middle - half, 0.0), min(middle + half, 1.0)


def answers(results: SplitPredictions | None, drawings: Sequence[Drawing]) -> str:
    """Return how predictions compare with the truth: drawings, classes and errors."""
    if results is None:
        return ""
    rows = ROWS[results.split]
    drawn = figures(drawings)
    if results.classes is not None:
        classes = _classes(results.confusion, results.classes)
        beside = ' class="beside"' if len(results.classes) <= MAX_COLUMNS_BESIDE else ""
        drawn = f"<div{beside}>\n<div>{drawn}</div>\n<div>{classes}</div>\n</div>"
    intro = f'<p class="quiet">Of the {len(results.true_values):,} {rows}.</p>'
    return "\n".join([intro, drawn, _errors(results)])


def _classes(confusion: Array, classes: Sequence[str]) -> str:
    right, true, answered = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    recall = right / np.maximum(true, 1)
    precision = right / np.maximum(answered, 1)
    wrong = confusion - np.diag(right)
    order = range(len(classes))
    note = ""
    if len(classes) > CLASSES:
        order = np.argsort(recall, kind="stable")[:CLASSES].tolist()
        note = f'<p class="quiet">The {CLASSES} of {len(classes):,} that are found least.</p>'
    rows = [
        [
            classes[i],
            int(true[i]),
            percent(precision[i]) if answered[i] else "never answered",
            percent(recall[i]) if true[i] else "no rows",
            f"{classes[int(wrong[i].argmax())]} ({wrong[i].max():,})" if wrong[i].any() else "",
        ]
        for i in order
    ]
    head = ["class", "rows", "precision", "recall", "most often taken for"]
    explained = (
        '<p class="quiet">Precision: of the rows answered so, how many are. Recall: of the rows '
        "that are, how many are answered so.</p>"
    )
    return f"{note}{table(head, rows, 'figures of each class')}\n{explained}"


def _errors(results: SplitPredictions) -> str:
    """Show the errors that the network was surest of, with what it was given."""
    places = results.worst(ERRORS).tolist()
    numbers = results.classes is None
    title = "The largest errors" if numbers else "The errors it was surest of"
    if not places:
        return f"<h3>{title}</h3>\n<p>There are none.</p>"
    inputs = [results.input(place) for place in places]
    if isinstance(inputs[0], np.ndarray):
        body = _images(results, places, inputs)
    else:
        body = _rows(results, places, inputs)
    return f"<h3>{title}</h3>\n{body}"


def _said(results: SplitPredictions, place: int) -> dict[str, Any]:
    """Return where an error is, what is true, what was answered, and how sure or how far off."""
    found: dict[str, Any] = {"where": results.row_label(place)}
    if results.classes is not None:
        found["true"] = results.classes[results.true_values[place]]
        found["answered"] = results.classes[results.predictions[place]]
        sure = float(results.confidence[place]) if results.confidence is not None else math.nan
        likely = 0 <= sure <= 1
        return found | ({"probability": percent(sure)} if likely else {"score": sure})
    worst = int(np.argmax(np.abs(results.predictions[place] - results.true_values[place])))
    if len(results.targets) > 1:
        found["target"] = results.targets[worst]
    true, answer = (
        float(results.true_values[place, worst]),
        float(results.predictions[place, worst]),
    )
    return found | {"true": true, "predicted": answer, "off by": answer - true}


def _rows(results: SplitPredictions, places: Sequence[int], inputs: Sequence[Any]) -> str:
    said = [_said(results, place) for place in places]
    names = list(inputs[0] or {})
    shown = names[:COLUMNS]
    rows = [
        [*one.values(), *((row or {}).get(name, "") for name in shown)]
        for one, row in zip(said, inputs, strict=True)
    ]
    note = ""
    if len(names) > len(shown):
        note = f'<p class="quiet">The first {len(shown)} of {len(names):,} inputs.</p>'
    return f"{note}{table([*said[0], *shown], rows, 'errors')}"


def _images(results: SplitPredictions, places: Sequence[int], images: Sequence[Any]) -> str:
    items = []
    for place, image in zip(places, images, strict=True):
        said = {name: figure(value) for name, value in _said(results, place).items()}
        alt = ", ".join(f"{name} {value}" for name, value in said.items())
        text = "<br>".join(f"{name} <b>{value}</b>" for name, value in said.items())
        text = text.replace("where ", "", 1)
        items.append(f'<li><img src="{data_uri(image)}" alt="input: {alt}">{text}</li>')
    return f'<ul class="images">\n{"".join(items)}\n</ul>'
