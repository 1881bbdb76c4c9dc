"""The columns that `nnreg predict` prints: of rows, of sequences, or of the steps of sequences."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from nnreg.data.label_targets import LabelTarget
from nnreg.data.preprocessing import columns_of
from nnreg.data.window_table import WindowTable
from nnreg.errors import UsageError
from nnreg.tables.columns import categorical
from nnreg.tables.ragged import Ragged

if TYPE_CHECKING:
    from nnreg._types import Array
    from nnreg.data.targets import Target
    from nnreg.model.model import Model
    from nnreg.model.outputs import Output
    from nnreg.tables.table import Table

Predictions: TypeAlias = tuple[list[str], list[list[Any]]]
"""The names of columns, and rows of values."""


def predictions(model: Model, table: Table) -> Predictions:
    """Return the names of the columns, and one row for each row of the table.

    If rows are grouped to sequences, and an output has one value per sequence, there is one row for
    each sequence, with the group first. Otherwise a prediction for each step is a list.
    """
    table = model.raw_rows.examples(table)
    found, outputs = model.predict(table), model.outputs.values()
    names, columns = list[str](), list[list[Any]]()
    grouped = table.step_rows is not None
    spread = grouped and any(isinstance(output.of(found), list) for output in outputs)
    for output in outputs:
        y = output.of(found)
        per_step = isinstance(y, list)
        own, values = _columns_of(model, output, np.concatenate(y) if per_step else y)
        if spread:
            order = _file_order(table, per_step=per_step)
            values = [[column[position] for position in order] for column in values]
        elif per_step:
            values = [_split(column, list(map(len, y))) for column in values]
        names += own
        columns += values
    _refuse_same_names(names)
    if grouped and not spread:
        assert model.spec.data is not None  # it says how rows are grouped
        (group,) = model.spec.data.sequence_columns
        names, columns = [group, *names], [categorical(table, group).text().tolist(), *columns]
    if isinstance(table, WindowTable):
        places = _places(model, table)
        names, columns = [*places, *names], [*places.values(), *columns]
    return names, [list(row) for row in zip(*columns, strict=True)]


def _places(model: Model, table: WindowTable) -> dict[str, list[Any]]:
    """Return the group and the last time of each window, as columns by name."""
    window = model.raw_rows.columns.windows
    assert window is not None  # there is a table of windows
    return {
        name: categorical(table.rows, name).text()[table.last_inputs].tolist()
        for name in window.columns
    }


def _refuse_same_names(names: Sequence[str]) -> None:
    """Raise `UsageError` if two outputs, whose names and columns are joined, give one name."""
    if len(set(names)) < len(names):
        twice = next(one for one in names if names.count(one) > 1)
        raise UsageError(f"two columns are called {twice}; use model.predict in Python")


def _file_order(table: Table, *, per_step: bool) -> Sequence[int]:
    """Return the number of the prediction for each row of the file that was grouped."""
    assert table.step_rows is not None
    order = np.argsort(table.step_rows)
    if not per_step:
        column = next(one for one in table.columns.values() if isinstance(one, Ragged))
        order = np.repeat(np.arange(len(table)), column.lengths)[order]
    positions: list[int] = order.tolist()
    return positions


def _split(values: list[Any], lengths: Sequence[int]) -> list[list[Any]]:
    """Return consecutive values as lists of these lengths."""
    ends = np.cumsum(lengths).tolist()
    return [values[end - length : end] for end, length in zip(ends, lengths, strict=True)]


def _flat(y: Array) -> Array:
    """Return an array with one row for each row of another one, also if it has none."""
    return y.reshape(len(y), math.prod(y.shape[1:]))


def _target_names(model: Model, target: Target) -> tuple[str, ...]:
    """Return the names of a target; of windows of one column, the numbers of the steps."""
    names, window = columns_of(target), model.preprocessing.window
    if window is None or len(window.targets) > 1 or len(names) == 1:
        return names
    return tuple(str(step) for step in range(1, len(names) + 1))


def _columns_of(model: Model, output: Output, y: Array) -> tuple[list[str], list[list[Any]]]:
    """Return the names of the columns of an output, and their values."""
    prefix = f"{output.name}_" if output.name else ""
    single = f"prediction_{output.name}" if output.name else "prediction"
    if output.predicts and output.classes is not None:
        classes = np.array(output.classes, dtype=object)
        if y.ndim > 2:  # a class for each time step or pixel
            chosen = _flat(classes[np.argmax(output.class_scores(y), axis=-1)])
            return [f"prediction_{prefix}{n}" for n in range(chosen.shape[1])], chosen.T.tolist()
        y = output.probabilities(_flat(y))
        loss = output.spec.loss
        what = "probability" if loss is None or loss.scores_are_probabilities else "score"
        names = [single, *(f"{what}_{prefix}{one}" for one in output.classes)]
        return names, [classes[np.argmax(y, axis=-1)].tolist(), *y.T.tolist()]
    if output.predicts and isinstance(output.target, LabelTarget):
        names = [single, *(f"probability_{prefix}{one}" for one in output.target.labels)]
        return names, [output.target.joined(y), *y.T.tolist()]
    y = _flat(y)
    if y.shape[1] == 1:
        return [single], [y[:, 0].tolist()]
    targets = [str(index) for index in range(y.shape[1])]
    known: Sequence[str] = ()
    if output.predicts and output.target is not None and output.spec.loss is not None:
        known = output.spec.loss.output_names(_target_names(model, output.target))
    if model.spec.data and len(known) == y.shape[1]:
        targets = list(known)
    return [f"prediction_{prefix}{one}" for one in targets], y.T.tolist()
