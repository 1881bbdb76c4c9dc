"""The charts of a report, each by the name of its file, with its caption as description."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.plotting.chart import DOTTED, Chart, Curve, Points, fit, short_name, spans_decades
from nnreg.plotting.curves import by_epoch, clip_for_drawing, metrics_of
from nnreg.plotting.palette import MUTED
from nnreg.plotting.svg import Drawing, draw, matrix
from nnreg.reports.predictions import SplitPredictions
from nnreg.reports.run_record import RunRecord

MAX_METRICS, MAX_TARGETS, MAX_CLASSES = 8, 4, 200
"""The most metrics and targets that are drawn, and the most classes of a confusion matrix."""

MAX_POINTS = 600
"""Points of a scatter plot; of more, evenly spaced ones are drawn."""

MAX_LAYERS = 24
"""Layers whose gradients are drawn; of more, evenly spaced ones."""

MAX_NAMED = 8
"""Layers in a legend; of more, the first and the last, which show which way the colours go."""

FIRST_LAYER, LAST_LAYER = (27, 158, 119), (124, 79, 208)
"""Red, green and blue of a green and a purple that stand out on light and on dark screens."""


def of_training(record: RunRecord) -> Iterator[tuple[str, Drawing]]:
    """Draw what was measured by epoch, and the norms of the gradients."""
    yield from of_runs([record])
    if record.gradients:
        caption = "Norm of each layer's last gradient in an epoch; purple is nearer to the output"
        yield "gradients", draw(gradient_norms(record.gradients), caption)


def of_runs(records: Sequence[RunRecord]) -> Iterator[tuple[str, Drawing]]:
    """Draw what was measured by epoch, of one run or of several over each other."""
    runs = {record.name: record.history.columns for record in records if len(record.history)}
    best = {record.name: record.best_epoch for record in records}
    dotted = "; dotted in training" if len(runs) > 1 else ""
    for name in metrics_of(runs.values())[: MAX_METRICS + 1]:
        caption = f"{name.replace('_', ' ').capitalize()} by epoch{dotted}"
        marked = {} if name == "learning_rate" else best
        yield name, draw(by_epoch(runs, name, marked), caption)


def of_answers(results: SplitPredictions) -> Iterator[tuple[str, Drawing]]:
    """Draw predictions beside the truth."""
    if results.classes is not None:
        if len(results.classes) <= MAX_CLASSES:
            caption = "How often each class, down, was answered as each, across"
            yield (
                "confusion",
                matrix(results.confusion, results.classes, caption, across="answered", down="true"),
            )
        return
    shown, count = len(sample(len(results.true_values))), len(results.true_values)
    of = "" if shown == count else f"; {shown:,} of {count:,} rows are drawn"
    for place, name in enumerate(results.targets[:MAX_TARGETS]):
        truth, answers = results.true_values[:, place], results.predictions[:, place]
        suffix = f"-{place}" if len(results.targets) > 1 else ""
        caption = f"Predicted against true {name}; on the line they are equal{of}"
        yield f"predicted{suffix}", draw(predicted_against_target(truth, answers, name), caption)
        caption = f"What is left of {name}; without a pattern, nothing more is to be learned{of}"
        yield f"residuals{suffix}", draw(residuals(truth, answers, name), caption)


def gradient_norms(records: Sequence[Mapping[str, Any]]) -> Chart:
    """Return the norm of each layer's gradient by epoch, from the first layer to the last."""
    named = dict.fromkeys(key for r in records for key, value in r.items() if value)
    layers = [name for name in named if name != "epoch"]  # those that train
    layers = [layers[place] for place in sample(len(layers), MAX_LAYERS)]
    epochs = np.array([_number(record.get("epoch")) for record in records])
    curves = []
    for index, layer in enumerate(layers):
        y = clip_for_drawing(np.array([_number(record.get(layer)) for record in records]))
        named_too = len(layers) <= MAX_NAMED or index in (0, len(layers) - 1)
        colour = _between(index / max(len(layers) - 1, 1))
        curves.append(Curve(short_name(layer) if named_too else "", epochs, y, colour, width=1.4))
    values = [curve.y for curve in curves]
    up = fit("norm of the gradient", values, logarithmic=spans_decades(values))
    return Chart(fit("epoch", [epochs], integer=True, margin=0.02), up, curves)


def predicted_against_target(truth: Array, answers: Array, name: str) -> Chart:
    """Return predictions against the truth; on the line they are equal."""
    truth, answers = clip_for_drawing(truth), clip_for_drawing(answers)
    chosen = sample(len(truth))
    across = fit(f"true {short_name(name)}", [truth])
    up = fit("predicted", [answers])
    ends = np.array([max(across.low, up.low), min(across.high, up.high)])
    line = Curve("", ends, ends if ends[0] < ends[1] else ends * np.nan, MUTED, DOTTED)
    return Chart(across, up, [line], Points(truth[chosen], answers[chosen]))


def residuals(truth: Array, answers: Array, name: str) -> Chart:
    """Return how far predictions are off, against the prediction."""
    truth, answers = clip_for_drawing(truth), clip_for_drawing(answers)
    chosen = sample(len(truth))
    across = fit(f"predicted {short_name(name)}", [answers])
    up = fit("true − predicted", [truth - answers, np.zeros(1)])
    line = Curve("", np.array([across.low, across.high]), np.zeros(2), MUTED, DOTTED)
    return Chart(across, up, [line], Points(answers[chosen], (truth - answers)[chosen]))


def sample(count: int, most: int = MAX_POINTS) -> Array:
    """Return the indices of those that are drawn of `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(np.intp))


def _between(fraction: float) -> str:
    """Return a colour between those of the first and of the last layer."""
    pairs = zip(FIRST_LAYER, LAST_LAYER, strict=True)
    return f"#{''.join(f'{round(a + fraction * (b - a)):02x}' for a, b in pairs)}"


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) else math.nan
