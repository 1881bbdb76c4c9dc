"""What each training example counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from nnreg._types import Array
from nnreg._utils.suggestions import suggest
from nnreg.data.settings import Columns
from nnreg.errors import DataError, Problem, SpecError
from nnreg.tables.columns import numbers, single
from nnreg.tables.convert import table_of
from nnreg.tables.table import Table

GIVEN = "weights"
"""The name of weights that were passed in."""


def example_weights(
    columns: Columns,
    table: Table,
    truth: Array,
    classes: tuple[str, ...] | None,
    given: Any = None,
) -> Array | None:
    """Return the weights of training examples `(rows,)`, or None where all count the same.

    They are what a sample's weight and its class's give together, divided by the mean of all.
    `given` weights take the place of the column's.
    """
    if given is not None:
        found = sample_weights(table_of(given, [GIVEN]), GIVEN)
    elif columns.sample_weights is not None:
        found = sample_weights(table, columns.sample_weights)
    elif columns.class_weights is not None:
        found = np.ones(len(truth))
    else:
        return None
    if len(found) != len(truth):
        raise DataError(f"{len(truth)} rows, but {len(found)} weights")
    if columns.class_weights is not None:
        found = found * _class_weights(columns.class_weights, truth, classes, found)
    if not found.any():
        raise DataError("every example has a weight of 0; there is nothing to train on")
    weights: Array = found / np.mean(found)
    return weights


def _class_weights(
    weights: Literal["balanced"] | Mapping[str, float],
    truth: Array,
    classes: tuple[str, ...] | None,
    own: Array,
) -> Array:
    """Return the weight of each example's class; `own` are the examples' own.

    Balanced, it is 1/(K s), s being the class's share of all own weights, and K the number of
    classes: all classes then have the same sum, as with scikit-learn.
    """
    if classes is None or truth.ndim > 1:
        what = "numbers" if classes is None else "several classes a row"
        raise SpecError([Problem("$.data.class_weights", f"the target holds {what}")])
    if weights == "balanced":
        sums = np.bincount(truth, own, minlength=len(classes))
        balanced: Array = sums.sum() / (len(classes) * np.where(sums > 0, sums, 1))
        return balanced[truth]
    for name in weights:
        if name not in classes:
            problem = f"no class {name!r}{suggest(name, classes)}"
            raise SpecError([Problem("$.data.class_weights", problem)])
    return np.array([weights.get(name, 1.0) for name in classes])[truth]


def sample_weights(table: Table, name: str) -> Array:
    """Return a column of weights. Raises `DataError` for a missing or negative one."""
    found = single(numbers(table, name), table, name)
    wrong = ~(found >= 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "a missing value" if np.isnan(found[row]) else f"{found[row]:g}"
        raise DataError(f"{table.location(row, name)}: found {what}, expected a weight from 0")
    return found
