"""Preprocessing: how each column becomes an array, fitted on the training rows."""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Len
from pydantic import FailFast

from nnreg._types import Array, Shape
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.suggestions import suggest
from nnreg.data.column_encoders import (
    ArrayColumn,
    CategoricalColumn,
    ClassTarget,
    Input,
    NumericColumn,
    NumericTarget,
    Target,
    complete_column,
)
from nnreg.data.settings import Columns
from nnreg.errors import DataError
from nnreg.interfaces.component import Configurable
from nnreg.tables.column_types import refuse_misread
from nnreg.tables.columns import categorical, column, is_numeric, numbers
from nnreg.tables.convert import iter_chunks
from nnreg.tables.lazy import BLOCK, LazyArray
from nnreg.tables.table import Table


@dataclass(frozen=True)
class Preprocessing(Configurable):
    """How each input column and the target become arrays."""

    # stop at the first error: an untrusted checkpoint may have very many columns
    inputs: Annotated[
        tuple[NumericColumn | CategoricalColumn | ArrayColumn, ...], Len(1), FailFast()
    ]
    target: ClassTarget | NumericTarget

    def __post_init__(self) -> None:
        if len(self.inputs) > 1 and any(
            isinstance(encoder, ArrayColumn) for encoder in self.inputs
        ):
            raise ValueError("a column of arrays must be the only input")

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns, in order."""
        return tuple(encoder.name for encoder in self.inputs)

    @property
    def input_shape(self) -> Shape:
        """The shape of one example."""
        if len(self.inputs) == 1:
            return self.inputs[0].shape
        return (sum(encoder.shape[0] for encoder in self.inputs),)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, or None if the target is numeric."""
        return self.target.names if isinstance(self.target, ClassTarget) else None

    @property
    def target_names(self) -> tuple[str, ...]:
        """The target columns."""
        target = self.target
        return target.names if isinstance(target, NumericTarget) else (target.name,)

    @property
    def text(self) -> frozenset[str]:
        """The columns, input or target, that are read as text, so that "007" is not 7."""
        encoders = (*self.inputs, self.target)
        return frozenset(
            encoder.name
            for encoder in encoders
            if isinstance(encoder, CategoricalColumn | ClassTarget)
        )

    def fits(self, output: Shape) -> bool:
        """Return True if outputs of this shape per example can represent the target."""
        if isinstance(self.target, NumericTarget):
            return output[-1:] == (len(self.target.mean),) == (len(self.target.std),)
        return output[-1:] == (len(self.target.names),) or (
            output[-1:] == (1,) and len(self.target.names) == 2
        )

    def encode(self, table: Table, dtype: npt.DTypeLike | None = None) -> Array:
        """Return the inputs as one array: `(rows, features)`, or `(rows, *shape)`.

        Values are computed in float64, in chunks of rows, then converted to `dtype` if it is given.
        """
        absent = [name for name in self.names if name not in table.columns]
        if absent:
            expected = f"the model expects {', '.join(self.names)}"
            hint = suggest(absent[0], table.columns, expected)
            raise DataError(f"{table.origin}: no column {absent[0]!r}{hint}")
        lengths = {name: len(table.columns[name]) for name in self.names}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{table.origin}: the columns differ in length: {lengths}")
        count = max(lengths.values())
        size = max(BLOCK // max(math.prod(self.input_shape), 1), 1)
        if count <= size:
            encoded = self._encode(table)
            return encoded if dtype is None else encoded.astype(dtype, copy=False)
        used = replace(table, columns={name: column(table, name) for name in self.names})
        chunk = self._encode(used.slice_rows(slice(size)))
        encoded = np.empty((count, *chunk.shape[1:]), chunk.dtype if dtype is None else dtype)
        encoded[:size] = chunk
        for start in range(size, count, size):
            rows = slice(start, start + size)
            encoded[rows] = self._encode(used.slice_rows(rows))
        return encoded

    def _encode(self, table: Table) -> Array:
        encoded = [encoder.encode(table) for encoder in self.inputs]
        return encoded[0] if len(encoded) == 1 else np.concatenate(encoded, axis=1)


def fit_preprocessing(
    table: Table,
    rows: Array,
    targets: tuple[str, ...],
    columns: Columns,
    *,
    classification: bool,
    integer_input: bool,
) -> Preprocessing:
    """Fit the preprocessing of a table on its training `rows`.

    The type of a column is inferred from the whole table; means and categories are those of the
    training rows. With `classification`, a numeric target is read as classes too.
    """
    train = table.take(rows)
    names = columns.inputs
    if names is None:
        names = tuple(name for name in table.columns if name not in targets)
    if not names:
        raise DataError(
            f"{table.origin}: no input columns are left besides the target; check data.exclude"
        )
    for name in columns.columns:
        column(table, name)
    inputs = tuple(_fit_input(table, train, name, columns, integer_input) for name in names)
    arrays = [encoder for encoder in inputs if isinstance(encoder, ArrayColumn)]
    if arrays and len(inputs) > 1:
        raise DataError(
            f"{table.origin}: column {arrays[0].name!r} holds arrays and must be the only input; "
            f"list it alone in 'inputs', or the others in 'exclude' (inputs: {', '.join(names)})"
        )
    target = fit_target(table, train, targets, columns, classification=classification)
    return Preprocessing(inputs, target)


def _fit_input(table: Table, train: Table, name: str, columns: Columns, integer: bool) -> Input:
    if table.columns[name].ndim > 1:
        shape = table.columns[name].shape[1:]
        mean, std = (0.0, 1.0) if integer else _array_moments(train, name, columns.scaling)
        return ArrayColumn(name, tuple(shape), mean, std, integer)
    impute = columns.missing == "impute"
    if _is_categorical(table, name, columns):
        counts = _category_counts(train, name)
        frequent = sorted(counts, key=lambda name: (-counts[name], name))[: columns.max_categories]
        _require_memory(table, name, len(frequent))
        fill = frequent[0] if impute and counts else None
        other = len(frequent) < len(counts)
        kept = tuple(sorted(frequent))
        return CategoricalColumn(name, kept, fill, columns.unseen == "ignore", other=other)
    values = numbers(train, name)
    known = values[~np.isnan(values)]
    fill_number = float(np.mean(known)) if impute and len(known) else None
    mean, std = _moments(known, columns.scaling)
    return NumericColumn(name, mean, std, fill_number)


def _require_memory(table: Table, name: str, distinct: int) -> None:
    """Raise `DataError` if a one-hot encoded column would take more than half of the memory."""
    size = len(table) * distinct * np.float32().itemsize
    if exceeds_memory(size, 1 / 2):
        raise DataError(
            f"{table.origin}: column {name!r} has {distinct:,} distinct categories in "
            f"{len(table):,} rows, which take {byte_size(size)} one-hot encoded; list it in "
            "'exclude', or merge categories"
        )


def _category_counts(train: Table, name: str) -> dict[str, int]:
    """Return the number of rows of each category, without categories that do not occur."""
    cells = categorical(train, name)
    known = cells.codes[cells.codes >= 0]
    counts = np.bincount(known, minlength=len(cells.categories)).tolist()
    return {name: count for name, count in zip(cells.categories, counts, strict=True) if count}


def _array_moments(train: Table, name: str, scaling: str) -> tuple[float, float]:
    """Return `_moments` of a column of arrays.

    If it stays in its file, it is read in chunks, whose moments are combined (Chan, Golub and
    LeVeque 1983, "Algorithms for Computing the Sample Variance").
    """
    if not isinstance(train.columns[name], LazyArray):
        return _moments(numbers(train, name), scaling)
    count, mean, squares = 0, 0.0, 0.0  # squares: Σ (value - mean)²
    with closing(iter_chunks(train, [name])) as chunks:
        for chunk in chunks:
            values = complete_column(chunk, name)
            added, step = count + values.size, float(np.mean(values)) - mean
            squares += float(np.var(values)) * values.size
            squares += step * step * count * values.size / added
            mean += step * values.size / added
            count = added
    if scaling == "none" or not count:
        return 0.0, 1.0
    return mean, math.sqrt(squares / count) or 1.0


def _moments(values: Array, scaling: str) -> tuple[float, float]:
    """Return mean and standard deviation, or 0 and 1 if values are not scaled."""
    missing = np.isnan(values)
    known = values[~missing] if missing.any() else values.reshape(-1)  # a view if possible
    if scaling == "none" or not known.size:
        return 0.0, 1.0
    return float(np.mean(known)), float(np.std(known)) or 1.0


def fit_target(
    table: Table, train: Table, targets: tuple[str, ...], columns: Columns, *, classification: bool
) -> Target:
    """Fit the encoder of the target; see `fit_preprocessing`."""
    if len(targets) == 1 and _is_class_target(
        table, targets[0], columns, classification=classification
    ):
        labels = _category_counts(train, targets[0])
        if len(labels) == 1:
            raise DataError(
                f"{table.origin}: the target {targets[0]!r} is {next(iter(labels))!r} in every "
                "training row; expected two or more classes"
            )
        return ClassTarget(targets[0], tuple(sorted(labels, key=_class_order)))
    raw = NumericTarget(targets, (), ()).encode(train)
    flat = raw.reshape(-1, raw.shape[-1])
    width = flat.shape[1]
    if columns.target_scaling == "none" or not len(flat):
        return NumericTarget(targets, (0.0,) * width, (1.0,) * width)
    std = np.std(flat, axis=0)
    std = np.where(std > 0, std, 1.0)
    return NumericTarget(targets, tuple(np.mean(flat, axis=0).tolist()), tuple(std.tolist()))


def _is_class_target(table: Table, target: str, columns: Columns, *, classification: bool) -> bool:
    if classification and target not in columns.columns:
        return True
    return _is_categorical(table, target, columns)


def _is_categorical(table: Table, name: str, columns: Columns) -> bool:
    """Return True if a column is categorical: as the spec sets it, or inferred from all rows."""
    kind = columns.columns.get(name)
    if kind:
        return kind == "category"
    if is_numeric(table, name):
        return False
    refuse_misread(table, name, categorical(table, name).categories)
    return True


def _class_order(name: str) -> tuple[int, float, str]:
    """Sort classes that are numbers by value, then all others by name."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
