"""Predictions of a trained network on the held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation, scale_of
from nnreg.builtin.encoders import Category, Number, Values
from nnreg.data.preprocessing import Preprocessing, columns_of
from nnreg.interfaces.report import HeldOut
from nnreg.model.outputs import Output
from nnreg.runs.baseline import best_constant
from nnreg.runs.prepare import PreparedRun
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.padded import Padded, points_like, points_of
from nnreg.tables.table import Table

MAX_ENCODED = 6
"""The most numbers that are shown of a value that cannot be converted back."""

MAX_IMAGE_SIDE = 128
"""The largest height or width, in pixels, of an input that is shown as an image."""


@dataclass(frozen=True)
class SplitPredictions(HeldOut):
    """Held-out predictions with what nnreg's own sections show besides.

    Numbers are in the units of the target. If a row has a sequence of predictions, `n` counts all
    of them, with `predictions_per_row` per row. `baseline` is the best constant prediction: a class
    index, or numbers `(n, targets)`. The arrays may be written to.
    """

    baseline: Array
    predictions_per_row: int
    preprocessing: Preprocessing
    inputs: Inputs
    table: Table
    """The source of the rows; it has no columns."""
    output: str = ""
    """The name of the output, empty for the only one."""
    rows: int = 0
    """The number of rows, of which each may have several predictions."""
    lengths: Array | None = None
    """The number of predictions of each row, where sequences differ in length."""

    @property
    def confusion(self) -> Array:
        """The confusion matrix `(classes, classes)`: true classes down, predicted across."""
        count = len(self.classes or ())
        pairs = np.bincount(self.true_values * count + self.predictions, minlength=count * count)
        return pairs.reshape(count, count)

    def worst(self, count: int) -> Array:
        """Return the indices of the most confident errors of classes, or of the largest errors."""
        if self.confidence is not None:
            wrong = np.flatnonzero(self.true_values != self.predictions)
            size = self.confidence[wrong]
        else:
            error = np.abs(self.predictions - self.true_values)
            size = np.max(error / scale_of(*mean_and_deviation(self.true_values)), axis=1)
            wrong = np.flatnonzero(size > 0)
            size = size[wrong]
        return wrong[np.argsort(-size, kind="stable")][:count]

    def row_label(self, index: int) -> str:
        """Return the location in its file of the row of a prediction, such as `line 3`."""
        row, step = self._place(index)
        label = self.table.row_label(row)
        return label if self.lengths is None else f"{label}, step {step}"

    def _place(self, index: int) -> tuple[int, int]:
        """Return the row of a prediction, and its number among those of the row."""
        if self.lengths is None:
            return divmod(index, self.predictions_per_row)
        ends = np.cumsum(self.lengths)
        row = int(np.searchsorted(ends, index, side="right"))
        return row, int(index - ends[row] + self.lengths[row])

    def input(self, index: int) -> dict[str, str] | Array | None:
        """Return the inputs of a prediction: formatted columns, an image `(h, w, 3)`, or None.

        Numbers are computed back from the network's inputs, so they have six digits, and a missing
        value is shown as its replacement.
        """
        row = np.array([self._place(index)[0]])
        x = self.inputs
        if isinstance(x, NamedArrays):
            parts = self.preprocessing.parts.items()
            arrays = ((part, x[name]) for name, part in parts)
            found = [_columns(part, a[row][0]) for part, a in arrays if not isinstance(a, Padded)]
            return {name: value for one in found for name, value in one.items()}
        if isinstance(x, Padded):
            return None
        values = materialize(x.select(row)) if isinstance(x, LazyArray) else x[row]
        first = self.preprocessing.inputs[0].encoder
        if isinstance(first, Values):
            return _image(values[0].astype(np.float64) * first.std + first.mean)
        return _columns(self.preprocessing, values[0])


def predict_held_out(prepared: PreparedRun) -> dict[str, SplitPredictions]:
    """Return the predictions of the test split, else of validation, else of training.

    They are those of each output that predicts a target, by its name, which is empty for a single
    one.
    """
    model = prepared.model
    compared = {name: output for name, output in model.outputs.items() if output.predicts}
    if not compared:
        return {}
    found = model.inference_network.predict(prepared.reported[1].x)
    return {
        name: _predictions_of(prepared, output, output.of(found))
        for name, output in compared.items()
    }


def _predictions_of(prepared: PreparedRun, output: Output, y: Array) -> SplitPredictions:
    """Return the outputs `y` of a network as predictions of one target."""
    split, examples = prepared.reported
    assert output.target is not None
    assert output.evaluation is not None
    known, trained = output.of(examples.raw_targets), output.of(prepared.train.raw_targets)
    lengths = known.lengths if isinstance(known, Padded) else None
    y, true_values = points_like(y, known), points_of(known)
    predictions = output.evaluation.predictions(y)
    baseline, _ = best_constant(output, points_of(trained))
    targets, confidence = columns_of(output.target), None
    if output.classes is None:
        if (width := true_values.shape[-1]) != len(targets):  # a column of arrays
            targets = tuple(f"{targets[0]} {index}" for index in range(width))
        baseline = np.broadcast_to(baseline, true_values.shape).reshape(-1, width)
        predictions = predictions.reshape(baseline.shape)
        true_values = true_values.reshape(baseline.shape)
    else:
        predictions, true_values = predictions.reshape(-1), true_values.reshape(-1)
        confidence = _confidence(y).reshape(-1)
    return SplitPredictions(
        split=split,
        classes=output.classes,
        targets=targets,
        true_values=true_values,
        predictions=predictions,
        confidence=confidence,
        baseline=baseline,
        predictions_per_row=max(len(true_values) // max(len(examples), 1), 1),
        preprocessing=prepared.model.preprocessing,
        inputs=examples.x,
        table=prepared.tables[split],
        output=output.name,
        rows=len(examples),
        lengths=lengths,
    )


def _confidence(y: Array) -> Array:
    """Return the output for the predicted class; a single output is the score of class 1 of 2."""
    confidence: Array = y.max(axis=-1) if y.shape[-1] > 1 else np.maximum(y, 1 - y)[..., 0]
    return confidence


def _columns(preprocessing: Preprocessing, values: Array) -> dict[str, str]:
    """Return a row's inputs by name, with the preprocessing undone."""
    found, start = {}, 0
    for column in preprocessing.inputs:
        encoded = values[start : start + column.shape[0]]
        start += column.shape[0]
        encoder = column.encoder
        if column.indicator and encoded[-1]:
            found[column.name] = "(missing)"
        elif isinstance(encoder, Category):
            names = [*encoder.categories, *["(other)"] * encoder.other]
            found[column.name] = names[int(encoded.argmax())] if encoded.any() else "(unknown)"
        elif isinstance(encoder, Number):
            found[column.name] = f"{float(encoded[0]) * encoder.std + encoder.mean:.6g}"
        elif not isinstance(encoder, Values):
            found[column.name] = _encoded_text(encoded)
    return found


def _encoded_text(encoded: Array) -> str:
    """Return the first encoded numbers of a value, which a plugin's encoder cannot convert back."""
    shown = [f"{value:.6g}" for value in encoded.ravel()[:MAX_ENCODED].tolist()]
    return ", ".join(shown + ["…"] * (encoded.size > MAX_ENCODED)) + " (encoded)"


def _image(values: Array) -> Array | None:
    """Return an array as uint8 pixels `(height, width, 3)`, or None if it is not an image."""
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
