"""Weights of training examples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from nnreg._types import Array
from nnreg._utils.statistics import mean_and_deviation
from nnreg._utils.suggestions import suggest
from nnreg.data.settings import Columns
from nnreg.errors import DataError, Problem, SpecError
from nnreg.tables.cells import positions
from nnreg.tables.columns import numbers, single
from nnreg.tables.convert import table_of
from nnreg.tables.padded import Padded, points_of
from nnreg.tables.table import Table

GIVEN = "weights"
"""The name of weights that are passed in, in error messages."""


def example_weights(
    columns: Columns,
    table: Table,
    truth: Any,
    classes: tuple[str, ...] | None,
    given: Any = None,
) -> Array | Padded | None:
    """Return the weights of training examples `(rows,)`, or None if all are equal.

    An example's weight is its sample weight times its class weight, divided by the mean of all.
    `given` weights replace the column's. Of a target per step, they are weights of the steps.
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
    # by powers of two, so that neither a sum nor a product overflows
    found = _scaled_down(found)
    per_step = isinstance(truth, Padded)
    if per_step:
        found = np.repeat(found, truth.lengths)
    if columns.class_weights is not None:
        found = found * _class_weights(columns.class_weights, points_of(truth), classes, found)
    if not found.any():
        raise DataError("every example has weight 0; give some a positive weight")
    weights: Array = found / mean_and_deviation(found)[0]
    return truth.with_points(weights) if per_step else weights


def _scaled_down(values: Array) -> Array:
    """Return values >= 0 divided by a power of two, the largest being at most 1."""
    scaled: Array = np.ldexp(values, -np.frexp(np.max(values, initial=0.0))[1])
    return scaled


def _class_weights(
    weights: Literal["balanced"] | Mapping[str, float],
    truth: Array,
    classes: tuple[str, ...] | None,
    own: Array,
) -> Array:
    """Return the class weight of each example; `own` are the sample weights.

    A balanced class weight is 1/(K s), with K the number of classes and s the class's fraction of
    the sum of sample weights: the weights of each class have the same sum, as in scikit-learn.
    """
    if classes is None or truth.ndim > 1:
        what = "is numeric" if classes is None else "has several classes per row"
        problem = f"the target {what}; class_weights needs one class per row"
        raise SpecError([Problem("$.data.class_weights", problem)])
    if weights == "balanced":
        sums = np.bincount(truth, own, minlength=len(classes))
        balanced: Array = sums.sum() / (len(classes) * np.where(sums > 0, sums, 1))
        return balanced[truth]
    of_class = np.ones(len(classes))
    for name, position in zip(weights, positions(tuple(weights), classes), strict=True):
        if position < 0:
            problem = f"no class {name!r}{suggest(name, classes)}"
            raise SpecError([Problem("$.data.class_weights", problem)])
        of_class[position] = weights[name]
    return _scaled_down(of_class[truth])


def sample_weights(table: Table, name: str) -> Array:
    """Return a column of weights. Raises `DataError` for a missing or negative one."""
    found = single(numbers(table, name), table, name)
    wrong = ~(found >= 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "a missing value" if np.isnan(found[row]) else f"{found[row]:g}"
        raise DataError(f"{table.location(row, name)}: found {what}, expected a weight >= 0")
    return found


def weights_of_members(weights: Array | None, holders: Array, members: int) -> Array:
    """Return the weight of each training row for each member, `(rows, members)`.

    It is 0 for the member that holds the row out, by `holders`. The others have a mean of 1 for
    each member; without `weights`, all are equal.
    """
    own = np.ones(len(holders)) if weights is None else weights
    found = own[:, None] * (holders[:, None] != np.arange(members))
    means = mean_and_deviation(found)[0]
    if not means.all():
        member = int(np.argmin(means))
        raise DataError(
            f"every row that member {member} of the ensemble trains on has weight 0; give more "
            "rows a positive weight, or remove data.split.member_folds"
        )
    result: Array = found / means
    return result
