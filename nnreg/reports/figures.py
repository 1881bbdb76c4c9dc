"""The charts of a report, by file name; the description of each is its caption."""

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
"""The maximum number of metrics and targets drawn, and of classes in a confusion matrix."""

MAX_POINTS = 600
"""Points in a scatter plot; a larger number is sampled evenly."""

MAX_LAYERS = 24
"""Layers whose gradient norms are drawn; a larger number is sampled evenly."""

MAX_NAMED = 8
"""Layers in a legend; with more layers, only the first and the last are named."""

FIRST_LAYER, LAST_LAYER = (27, 158, 119), (124, 79, 208)
"""Green and purple as RGB, legible on light and dark screens."""


def training_drawings(record: RunRecord) -> Iterator[tuple[str, Drawing]]:
    """Yield the metrics by epoch, and the gradient norms."""
    yield from metric_drawings([record])
    if record.gradients:
        caption = "Gradient norm of each layer, by epoch; purple layers are nearer to the output"
        yield "gradients", draw(gradient_norms(record.gradients), caption)


def metric_drawings(records: Sequence[RunRecord]) -> Iterator[tuple[str, Drawing]]:
    """Yield the metrics by epoch, with the curves of all runs in one chart per metric."""
    runs = {record.name: record.history.columns for record in records if len(record.history)}
    best = {record.name: record.best_epoch for record in records}
    dotted = "; dotted: training split" if len(runs) > 1 else ""
    for name in metrics_of(runs.values())[: MAX_METRICS + 1]:
        caption = f"{name.replace('_', ' ').capitalize()} by epoch{dotted}"
        marked = {} if name == "learning_rate" else best
        yield name, draw(by_epoch(runs, name, marked), caption)


def prediction_drawings(results: SplitPredictions, prefix: str) -> Iterator[tuple[str, Drawing]]:
    """Yield the confusion matrix, or scatter plots of predictions and residuals; none of images.

    `prefix` is the start of their names.
    """
    if results.classes is not None:
        if len(results.classes) <= MAX_CLASSES:
            caption = "Confusion matrix: a row for each true class, a column for each predicted"
            counts, names = results.confusion, results.classes
            yield (
                f"{prefix}confusion",
                matrix(counts, names, caption, across="predicted", down="true"),
            )
        return
    if results.images(0) is not None:  # shown as pictures
        return
    count = len(results.true_values)
    shown = len(sample(count))
    sampled = "" if shown == count else f"; showing {shown:,} of {count:,} points"
    for index, name in enumerate(results.targets[:MAX_TARGETS]):
        true, predicted = results.true_values[:, index], results.predictions[:, index]
        suffix = f"-{index}" if len(results.targets) > 1 else ""
        caption = f"Predicted against true {name}; the line marks equality{sampled}"
        yield (
            f"{prefix}predicted{suffix}",
            draw(predicted_against_target(true, predicted, name), caption),
        )
        caption = f"Residuals of {name}; a pattern means that the fit can be improved{sampled}"
        yield f"{prefix}residuals{suffix}", draw(residuals(true, predicted, name), caption)


def gradient_norms(records: Sequence[Mapping[str, Any]]) -> Chart:
    """Return the gradient norm of each layer by epoch, from the first layer to the last."""
    nonzero = dict.fromkeys(key for r in records for key, value in r.items() if value)
    layers = [name for name in nonzero if name != "epoch"]  # frozen layers have no gradient
    layers = [layers[index] for index in sample(len(layers), MAX_LAYERS)]
    epochs = np.array([_number(record.get("epoch")) for record in records])
    curves = []
    for index, layer in enumerate(layers):
        y = clip_for_drawing(np.array([_number(record.get(layer)) for record in records]))
        named = len(layers) <= MAX_NAMED or index in (0, len(layers) - 1)
        colour = _interpolate_colour(index / max(len(layers) - 1, 1))
        curves.append(Curve(short_name(layer) if named else "", epochs, y, colour, width=1.4))
    values = [curve.y for curve in curves]
    up = fit("gradient norm", values, logarithmic=spans_decades(values))
    return Chart(fit("epoch", [epochs], integer=True, margin=0.02), up, curves)


def predicted_against_target(true: Array, predicted: Array, name: str) -> Chart:
    """Return a scatter plot of predictions against true values, with the line of equality."""
    true, predicted = clip_for_drawing(true), clip_for_drawing(predicted)
    sampled = sample(len(true))
    across = fit(f"true {short_name(name)}", [true])
    up = fit("predicted", [predicted])
    ends = np.array([max(across.low, up.low), min(across.high, up.high)])
    line = Curve("", ends, ends if ends[0] < ends[1] else ends * np.nan, MUTED, DOTTED)
    return Chart(across, up, [line], Points(true[sampled], predicted[sampled]))


def residuals(true: Array, predicted: Array, name: str) -> Chart:
    """Return a scatter plot of residuals against predictions."""
    true, predicted = clip_for_drawing(true), clip_for_drawing(predicted)
    difference, sampled = true - predicted, sample(len(true))
    across = fit(f"predicted {short_name(name)}", [predicted])
    up = fit("true − predicted", [difference, np.zeros(1)])
    line = Curve("", np.array([across.low, across.high]), np.zeros(2), MUTED, DOTTED)
    return Chart(across, up, [line], Points(predicted[sampled], difference[sampled]))


def sample(count: int, maximum: int = MAX_POINTS) -> Array:
    """Return at most `maximum` evenly spaced indices below `count`."""
    return np.linspace(0, count - 1, min(count, maximum)).round().astype(np.intp)


def _interpolate_colour(fraction: float) -> str:
    """Return a colour between those of the first and the last layer."""
    pairs = zip(FIRST_LAYER, LAST_LAYER, strict=True)
    return f"#{''.join(f'{round(a + fraction * (b - a)):02x}' for a, b in pairs)}"


def _number(value: Any) -> float:
    return float(value) if type(value) in (int, float) else math.nan
