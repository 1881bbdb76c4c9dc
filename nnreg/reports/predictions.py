"""Predictions of a trained network on the held-out rows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import mean_and_deviation, scale_of
from nnreg.builtin.encoders import Values
from nnreg.data.preprocessing import Preprocessing, columns_of
from nnreg.interfaces.report import HeldOut
from nnreg.model.outputs import Output
from nnreg.runs.baseline import best_constant, verdict_on
from nnreg.runs.prepare import PreparedRun
from nnreg.tables.lazy import LazyArray, materialize
from nnreg.tables.named import Inputs, NamedArrays
from nnreg.tables.padded import Padded, points_like, points_of
from nnreg.tables.table import Table
from nnreg.tables.windows import Windows
from nnreg.training.ensemble import predict_examples

MAX_ENCODED = 6
"""The most numbers that are shown of a value that cannot be converted back."""

MIN_IMAGE_SIDE, MAX_IMAGE_SIDE = 4, 128
"""The height and width, in pixels, of an array that is shown as an image."""


@dataclass(frozen=True)
class SplitPredictions(HeldOut):
    """Held-out predictions with what nnreg's own sections show besides.

    Numbers are in the units of the target. If a row has a sequence of predictions, `n` counts all
    of them, with `predictions_per_row` per row. The arrays may be written to.
    """

    baseline: int | None
    """The most frequent class of training, of classes."""
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
    shape: Shape = (1,)
    """The shape of a prediction that is an array of numbers, all of the same target."""
    verdict: Mapping[str, Any] = field(default_factory=dict)
    """The comparison of numbers with the best constant prediction, as in `summary.json`."""
    out_of_fold: bool = False
    """Whether each row is predicted by the member of an ensemble that did not train on it."""

    @property
    def count(self) -> int:
        """The number of predictions."""
        return len(self.true_values) // math.prod(self.shape)

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
            size = np.mean(size.reshape(self.count, -1), axis=1)
            wrong = np.flatnonzero(size > 0)
            size = size[wrong]
        return wrong[np.argsort(-size, kind="stable")][:count]

    def values(self, index: int) -> tuple[Array, Array]:
        """Return the true and the predicted numbers of a prediction, `(values, targets)`."""
        size = math.prod(self.shape)
        part = slice(index * size, (index + 1) * size)
        return self.true_values[part], self.predictions[part]

    def images(self, index: int) -> tuple[Array, Array] | None:
        """Return a true and a predicted image, on the scale of the true one, or None."""
        if not is_image(self.shape):
            return None
        true, predicted = (one.reshape(self.shape) for one in self.values(index))
        low, high = float(true.min()), float(true.max())
        return pixels(true, low, high), pixels(predicted, low, high)

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
            arrays = (
                (p, x[name]) for name, p in parts if not isinstance(x[name], Padded | Windows)
            )
            found = [_columns(part, array[row][0]) for part, array in arrays]
            return {name: value for one in found for name, value in one.items()}
        if isinstance(x, Padded | Windows):
            return None
        values = materialize(x.select(row)) if isinstance(x, LazyArray) else x[row]
        first = self.preprocessing.inputs[0].encoder
        if isinstance(first, Values):
            shown = first.scale.invert(values[0])
            if not is_image(shown.shape):
                return None
            return pixels(shown, float(shown.min()), float(shown.max()))
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
    found = predict_examples(model.network_for(len(prepared.reported[1])), prepared.reported[1])
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
    verdict = verdict_on(prepared, output, y) if output.classes is None else {}
    y, true_values = points_like(y, known), points_of(known)
    predictions = output.evaluation.predictions(y, known)
    targets, confidence, baseline, shape = columns_of(output.target), None, None, (1,)
    if output.classes is None:
        if len(output.shape) > 1 and len(targets) == 1:  # an array of numbers: an image, a sequence
            shape = true_values.shape[1:]
        elif (width := true_values.shape[-1]) != len(targets):
            targets = tuple(f"{targets[0]} {index}" for index in range(width))
        true_values = true_values.reshape(-1, len(targets))
        predictions = predictions.reshape(true_values.shape)
    else:
        baseline = int(best_constant(output, points_of(trained))[0])
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
        predictions_per_row=max(len(true_values) // math.prod(shape) // max(len(examples), 1), 1),
        preprocessing=prepared.model.preprocessing,
        inputs=examples.x,
        table=prepared.tables[split],
        output=output.name,
        rows=len(examples),
        lengths=lengths,
        shape=shape,
        verdict=verdict,
        out_of_fold=examples.holders is not None,
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
        elif not isinstance(encoder, Values):
            own = encoded[: encoder.shape[0]]
            found[column.name] = encoder.text_of(own) or _encoded_text(own)
    return found


def _encoded_text(encoded: Array) -> str:
    """Return the first encoded numbers of a value, which a plugin's encoder cannot convert back."""
    shown = [f"{value:.6g}" for value in encoded.ravel()[:MAX_ENCODED].tolist()]
    return ", ".join(shown + ["…"] * (encoded.size > MAX_ENCODED)) + " (encoded)"


def is_image(shape: Shape) -> bool:
    """Return True for `(height, width)` with 1, 3 or no channels, if it is not too large."""
    sides, channels = shape[:2], shape[2:]
    if len(sides) < 2 or channels not in ((), (1,), (3,)):
        return False
    return min(sides) >= MIN_IMAGE_SIDE and max(sides) <= MAX_IMAGE_SIDE


def pixels(image: Array, low: float, high: float) -> Array:
    """Return an image as uint8 pixels `(height, width, 3)`, black at `low` and white at `high`."""
    scaled = np.clip(np.nan_to_num((image - low) / ((high - low) or 1)), 0, 1)
    found: Array = np.round(255 * scaled).astype(np.uint8)
    return np.broadcast_to(found if found.ndim == 3 else found[:, :, None], (*found.shape[:2], 3))
