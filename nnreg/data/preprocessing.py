"""Preprocessing: how each column becomes an array, fitted on the training rows."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Any, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Len
from pydantic import Discriminator, FailFast, Tag

from nnreg._types import Array, Shape
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.statistics import (
    all_finite,
    mean_and_deviation,
    mean_and_deviation_of_chunks,
    scale_of,
)
from nnreg._utils.suggestions import suggest
from nnreg.data.column_encoders import (
    ArrayColumn,
    CategoricalColumn,
    ClassKind,
    ClassTarget,
    Input,
    NumericColumn,
    NumericTarget,
    Target,
    complete_column,
    numeric_targets,
    refuse_too_large,
)
from nnreg.data.ignored_categories import report_ignored
from nnreg.data.settings import Columns, NumericClasses
from nnreg.errors import DataError
from nnreg.interfaces.component import Configurable
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import MAX_EXACT, TRUTH, canonical, number_text, parse_number
from nnreg.tables.column_types import refuse_misread
from nnreg.tables.columns import (
    categorical,
    column,
    is_numeric,
    is_text,
    missing_rows,
    numbers,
)
from nnreg.tables.convert import iter_chunks
from nnreg.tables.lazy import BLOCK, LazyArray
from nnreg.tables.table import Table


def _type_of(value: Any) -> Any:
    """Return the key by which one of several classes is chosen, so that errors are those of it."""
    return value.get("type") if isinstance(value, dict) else None


_Input: TypeAlias = Annotated[
    Annotated[NumericColumn, Tag("number")]
    | Annotated[CategoricalColumn, Tag("category")]
    | Annotated[ArrayColumn, Tag("values")],
    Discriminator(
        _type_of, "nnreg", "must be an object whose type is 'number', 'category' or 'values'"
    ),
]
_Target: TypeAlias = Annotated[
    Annotated[ClassTarget, Tag("classes")] | Annotated[NumericTarget, Tag("numbers")],
    Discriminator(_type_of, "nnreg", "must be an object whose type is 'classes' or 'numbers'"),
]


@dataclass(frozen=True)
class Preprocessing(Configurable):
    """How each input column and the target become arrays."""

    # stop at the first error: an untrusted checkpoint may have very many columns
    inputs: Annotated[tuple[_Input, ...], Len(1), FailFast()]
    target: _Target

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
        Raises `DataError` for a fraction if `dtype` is one of integers.
        """
        absent = [name for name in self.names if name not in table.columns]
        if absent:
            expected = f"the model expects {', '.join(self.names)}"
            hint = suggest(absent[0], table.columns, expected)
            raise DataError(f"{table.origin}: no column {absent[0]!r}{hint}")
        lengths = {name: len(table.columns[name]) for name in self.names}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{table.origin}: the columns differ in length: {lengths}")
        report_ignored((one for one in self.inputs if isinstance(one, CategoricalColumn)), table)
        count = max(lengths.values())
        size = max(BLOCK // max(math.prod(self.input_shape), 1), 1)
        if count <= size:
            return self._encode(table, dtype)
        used = replace(table, columns={name: column(table, name) for name in self.names})
        chunk = self._encode(used.slice_rows(slice(size)), dtype)
        encoded = np.empty((count, *chunk.shape[1:]), chunk.dtype)
        encoded[:size] = chunk
        for start in range(size, count, size):
            rows = slice(start, start + size)
            encoded[rows] = self._encode(used.slice_rows(rows), dtype)
        return encoded

    def _encode(self, table: Table, dtype: npt.DTypeLike | None) -> Array:
        parts = [encoder.encode(table) for encoder in self.inputs]
        encoded = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if dtype is not None and np.dtype(dtype).kind == "i":
            return self._integers(encoded, table)
        if dtype is not None:
            with np.errstate(over="ignore"):
                encoded = encoded.astype(dtype, copy=False)
        if not all_finite(encoded):
            several = len(self.inputs) > 1
            widths = [one.shape[0] if several else 1 for one in self.inputs]
            refuse_too_large(table, np.repeat(self.names, widths).tolist(), encoded)
        return encoded

    def _integers(self, values: Array, table: Table) -> Array:
        """Return encoded values as integers. Raises `DataError` for one that is none."""
        with np.errstate(invalid="ignore"):  # a number beyond int64 becomes another one
            integers = values.astype(np.int64)
        wrong = integers != values
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            names = [one.name for one in self.inputs for _ in range(math.prod(one.shape))]
            name = names[where[1]] if len(self.inputs) > 1 else names[0]
            raise DataError(
                f"{table.location(int(where[0]), name)}: found {values[where]:.16g}, but the "
                "network takes integers, such as token indices; fix the value"
            )
        return integers


def fit_preprocessing(
    table: Table,
    rows: Array,
    targets: tuple[str, ...],
    columns: Columns,
    *,
    numeric_classes: NumericClasses,
    integer_input: bool,
) -> Preprocessing:
    """Fit the preprocessing of a table on its training `rows`.

    The type of a column is inferred from the whole table; means and categories are those of the
    training rows. `data.columns` decides whether a target is classes, else `numeric_classes` if
    it is numeric.
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
    target = fit_target(table, train, targets, columns, numeric_classes=numeric_classes)
    return Preprocessing(inputs, target)


def _fit_input(table: Table, train: Table, name: str, columns: Columns, integer: bool) -> Input:
    if table.columns[name].ndim > 1:
        shape = table.columns[name].shape[1:]
        mean, std = (0.0, 1.0) if integer else _array_moments(train, name, columns.scaling)
        return ArrayColumn(name, tuple(shape), mean, std, integer)
    impute, indicate = columns.missing != "refuse", columns.missing == "indicate"
    if _is_categorical(table, name, columns):
        if integer:
            raise DataError(
                f"{table.origin}: column {name!r} is categorical and would be one-hot encoded, but "
                "the network takes integers; write its values as integers, or list it in 'exclude'"
            )
        counts = _category_counts(train, name)
        frequent = sorted(counts, key=lambda name: (-counts[name], name))[: columns.max_categories]
        _require_memory(table, name, len(frequent))
        return CategoricalColumn(
            name,
            tuple(sorted(frequent)),
            frequent[0] if impute and counts else None,
            columns.unseen == "ignore",
            indicator=indicate and bool(missing_rows(train, name).any()),
            other=len(frequent) < len(counts),
        )
    values = numbers(train, name)
    scaling = "none" if integer else columns.scaling
    known = values[~np.isnan(values)]
    fill_number = float(mean_and_deviation(known)[0]) if impute and len(known) else None
    mean, std = _moments(known, scaling)
    indicator = indicate and len(known) < len(values)
    return NumericColumn(name, mean, std, fill_number, indicator=indicator)


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
    present = {name: count for name, count in zip(cells.categories, counts, strict=True) if count}
    spelled = Counter(map(canonical, present))
    merged: Counter[str] = Counter()
    for text, count in present.items():  # 1 and 1.0 are one number
        number = canonical(text)
        merged[number if spelled[number] > 1 else text] += count
    return merged


def _array_moments(train: Table, name: str, scaling: str) -> tuple[float, float]:
    """Return `_moments` of a column of arrays; one that stays in its file is read in chunks."""
    column = train.columns[name]
    if not isinstance(column, LazyArray):
        return _moments(numbers(train, name), scaling)
    with closing(iter_chunks(train, [name])) as chunks:
        values = (complete_column(chunk, name).reshape(-1) for chunk in chunks)
        if not math.prod(column.shape):
            return 0.0, 1.0
        mean, deviation = mean_and_deviation_of_chunks(values)
    return (0.0, 1.0) if scaling == "none" else (float(mean), float(scale_of(mean, deviation)))


def _moments(values: Array, scaling: str) -> tuple[float, float]:
    """Return the mean, and the number to divide by; or 0 and 1 if values are not scaled."""
    missing = np.isnan(values)
    known = values[~missing] if missing.any() else values.reshape(-1)  # a view if possible
    if scaling == "none" or not known.size:
        return 0.0, 1.0
    mean, deviation = mean_and_deviation(known)
    return float(mean), float(scale_of(mean, deviation))


def fit_target(
    table: Table,
    train: Table,
    targets: tuple[str, ...],
    columns: Columns,
    *,
    numeric_classes: NumericClasses,
) -> Target:
    """Fit the encoder of the target; see `fit_preprocessing`."""
    if not targets:
        return NumericTarget((), (), ())
    single = len(targets) == 1 and column(table, targets[0]).ndim == 1
    if len(targets) == 1 and _is_class_target(table, targets[0], columns, numeric_classes):
        labels = _category_counts(train, targets[0])
        if "" in labels:
            raise DataError(
                f"{table.origin}: a class of the target {targets[0]!r} is the empty text; give it "
                "a name, or list \"\" in the source's 'missing'"
            )
        if len(labels) == 1:
            raise DataError(
                f"{table.origin}: the target {targets[0]!r} is {next(iter(labels))!r} in every "
                "training row; expected two or more classes"
            )
        names = tuple(sorted(labels, key=_class_order))
        kind = _class_kind(table, targets[0], names)
        return ClassTarget(targets[0], names, kind=kind, single=single)
    raw = numeric_targets(train, targets)
    flat = raw.reshape(-1, raw.shape[-1])
    width = flat.shape[1]
    if columns.target_scaling == "none" or not len(flat):
        return NumericTarget(targets, (0.0,) * width, (1.0,) * width, single=single)
    mean, deviation = mean_and_deviation(flat)
    scale = scale_of(mean, deviation)
    return NumericTarget(targets, tuple(mean.tolist()), tuple(scale.tolist()), single=single)


def _is_class_target(
    table: Table, target: str, columns: Columns, numeric_classes: NumericClasses
) -> bool:
    values = column(table, target)
    several = not is_text(values) and math.prod(values.shape[1:]) != 1
    declared = ("all",) if several else ("single", "all")
    if numeric_classes in declared and target not in columns.columns:
        return True
    if column(table, target).dtype.kind == "b" and target not in columns.columns:
        return False  # given as numbers, 0 and 1
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


def _class_kind(table: Table, name: str, names: tuple[str, ...]) -> ClassKind:
    """Return the type of the classes: that of the column, or what untyped text stands for."""
    values = column(table, name)
    if not isinstance(values, Categorical) and values.dtype.kind in "biuf":
        kinds: dict[str, ClassKind] = {"b": "boolean", "f": "number"}
        return kinds.get(values.dtype.kind, "integer")
    if table.missing_texts is None:
        if set(names) <= set(TRUTH):
            return "boolean"
        numeric = [parse_number(name) for name in names]
        spelled = zip(names, numeric, strict=True)
        if all(name in (number_text(value), repr(value)) for name, value in spelled):
            whole = all(value.is_integer() and abs(value) < MAX_EXACT for value in numeric)
            return "integer" if whole else "number"
    return "text"


def _class_order(name: str) -> tuple[int, float, str]:
    """Sort classes that are numbers by value, then all others by name."""
    number = parse_number(name)
    return (1, 0.0, name) if math.isnan(number) else (0, number, name)
