"""What a trained network makes of the rows that were held out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg.data.column_encoders import ArrayColumn, CategoricalColumn
from nnreg.data.preprocessing import Preprocessing
from nnreg.runs.baseline import best_constant
from nnreg.runs.prepare import PreparedRun
from nnreg.tables.lazy import Column, LazyArray, materialize
from nnreg.tables.table import Table

MAX_IMAGE_SIDE = 128
"""Pixels on a side of an input that is shown as an image."""


@dataclass(frozen=True)
class SplitPredictions:
    """Answers beside the truth, of the part of the data that says most.

    `true_values` and `predictions` are class numbers `(n,)` or numbers `(n, targets)` in the
    target's own units; where each row has a sequence of answers, `n` counts all of them,
    `baseline_metrics` of them a row. `confidence` has the probability, or else the score, of each
    class that was answered; `baseline` is the best constant answer, for each of them or for all.
    """

    split: str
    classes: tuple[str, ...] | None
    targets: tuple[str, ...]
    true_values: Array
    predictions: Array
    confidence: Array | None
    baseline: Array
    baseline_name: str
    baseline_metrics: int
    preprocessing: Preprocessing
    inputs: Column
    table: Table
    """Where the rows come from; it has no columns."""

    @property
    def confusion(self) -> Array:
        """How often each true class (down) was answered as each (across): `(classes, classes)`."""
        count = len(self.classes or ())
        pairs = np.bincount(self.true_values * count + self.predictions, minlength=count * count)
        return pairs.reshape(count, count)

    def worst(self, count: int) -> Array:
        """Return the places of the errors that the network was surest of, or of the largest."""
        if self.confidence is not None:
            wrong = np.flatnonzero(self.true_values != self.predictions)
            size = self.confidence[wrong]
        else:
            error = np.abs(self.predictions - self.true_values)
            spread = np.std(self.true_values, axis=0)
            size = np.max(error / np.where(spread > 0, spread, 1), axis=1)
            wrong = np.flatnonzero(size > 0)
            size = size[wrong]
        return wrong[np.argsort(-size, kind="stable")][:count]

    def row_label(self, place: int) -> str:
        """Say where the row of an answer is in its file, as in `line 3`."""
        return self.table.row_label(place // self.baseline_metrics)

    def input(self, place: int) -> dict[str, str] | Array | None:
        """Return the inputs of an answer: columns as people write them, or an image `(h, w, 3)`.

        None where they are neither. Numbers come back from what the network was given, so that
        they have six digits, and a missing one is what it was replaced by.
        """
        row = np.array([place // self.baseline_metrics])
        x = self.inputs
        values = materialize(x.select(row)) if isinstance(x, LazyArray) else x[row]
        first = self.preprocessing.inputs[0]
        if isinstance(first, ArrayColumn):
            return _image(values[0].astype(np.float64) * first.std + first.mean)
        return _columns(self.preprocessing, values[0])


def predict_held_out(prepared: PreparedRun) -> SplitPredictions:
    """Return what the model makes of its test part, else of its validation or training part."""
    model = prepared.model
    part, examples = prepared.reported
    y = model.inference_network.predict(examples.x)
    answers, confidence, truth = model.evaluation.predictions(y), None, examples.raw_targets
    guess, guess_name = best_constant(model, prepared.train)
    targets = model.preprocessing.target_names
    if model.classes is None:
        if (width := truth.shape[-1]) != len(targets):  # a column of arrays
            targets = tuple(f"{targets[0]} {place}" for place in range(width))
        guess = np.broadcast_to(guess, truth.shape).reshape(-1, truth.shape[-1])
        answers, truth = answers.reshape(guess.shape), truth.reshape(guess.shape)
    else:
        sure = y.max(axis=-1) if y.shape[-1] > 1 else np.where(y > 0.5, y, 1 - y)[..., 0]
        answers, truth, confidence = answers.reshape(-1), truth.reshape(-1), sure.reshape(-1)
    return SplitPredictions(
        part,
        model.classes,
        targets,
        truth,
        answers,
        confidence,
        guess,
        guess_name,
        max(len(truth) // max(len(examples), 1), 1),
        model.preprocessing,
        examples.x,
        prepared.tables[part],
    )


def _columns(preprocessing: Preprocessing, values: Array) -> dict[str, str]:
    """Return a row's inputs by name, as they were before they became numbers."""
    found, start = {}, 0
    for column in preprocessing.inputs:
        part = values[start : start + column.shape[0]]
        start += column.shape[0]
        if isinstance(column, CategoricalColumn):
            found[column.name] = column.categories[int(part.argmax())] if part.any() else "(new)"
        elif not isinstance(column, ArrayColumn):
            found[column.name] = f"{float(part[0]) * column.std + column.mean:.6g}"
    return found


def _image(values: Array) -> Array | None:
    """Return an array of pixels as bytes `(height, width, 3)`, if it looks like an image."""
    if values.ndim == 2:
        values = values[:, :, None]
    sides: Sequence[int] = values.shape[:2]
    if values.ndim != 3 or values.shape[2] not in (1, 3) or min(sides) < 2:
        return None
    if max(sides) > MAX_IMAGE_SIDE:
        return None
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / ((high - low) or 1)
    pixels: Array = np.round(255 * scaled).astype(np.uint8)
    return np.broadcast_to(pixels, (*sides, 3))
