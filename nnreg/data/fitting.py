"""Fitting the preprocessing of a table on its training rows."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Sequence
from contextlib import closing
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.statistics import (
    mean_and_deviation,
    mean_and_deviation_of_chunks,
    scale_of,
)
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
)
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.sequences import are_sequences, longest_sequence
from nnreg.data.settings import Columns, NumericClasses
from nnreg.errors import DataError
from nnreg.interfaces.graph import INPUT
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
from nnreg.tables.lazy import LazyArray
from nnreg.tables.table import Table


class TargetColumns(NamedTuple):
    """The columns of the target of an output, whose name is empty for a single one."""

    columns: tuple[str, ...]
    numeric_classes: NumericClasses = "none"
    output: str = ""


def fit_preprocessing(
    table: Table,
    rows: Array,
    targets: Sequence[TargetColumns],
    columns: Columns,
    *,
    integer_inputs: Collection[str],
) -> Preprocessing:
    """Fit the preprocessing of a table on its training `rows`.

    The type of a column is inferred from the whole table; means and categories are those of the
    training rows. `data.columns` decides whether a target is classes, else its `numeric_classes`
    if it is numeric.
    """
    train = table.take(rows)
    names = columns.listed
    if names is None:
        used = {name for target in targets for name in target.columns}
        names = tuple(name for name in table.columns if name not in used)
    if not names:
        raise DataError(
            f"{table.origin}: no input columns are left besides the target; check data.exclude"
        )
    for name in columns.columns:
        column(table, name)
    inputs: list[Input] = []
    steps = {}
    for key, group in (columns.groups or {INPUT: names}).items():
        whole, part, integer = table, train, key in integer_inputs
        if longest := longest_sequence(train, group):
            steps[key] = longest
            whole, part = table.steps(group), train.steps(group)
        if longest and integer and len(group) == 1 and whole.columns[group[0]].ndim == 1:
            inputs.append(ArrayColumn(group[0], (), 0.0, 1.0, integer=True))  # a step has no axis
            continue
        fitted = [_fit_input(whole, part, n, columns, integer) for n in group]
        arrays = [encoder for encoder in fitted if isinstance(encoder, ArrayColumn)]
        if arrays and len(fitted) > 1:
            raise DataError(
                f"{table.origin}: column {arrays[0].name!r} holds arrays and must be the only "
                f"input; list it alone in 'inputs', or the others in 'exclude', or give each an "
                f"input with a name (inputs: {', '.join(group)})"
            )
        inputs += fitted
    fitted_targets = {one.output: fit_target(table, train, one, columns) for one in targets}
    target = fitted_targets.pop("", None)
    sizes = {key: len(group) for key, group in columns.groups.items()}
    per_step = tuple(one.output for one in targets if are_sequences(table, one.columns))
    return Preprocessing(tuple(inputs), target, sizes, fitted_targets, steps, per_step)


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


def fit_target(table: Table, train: Table, target: TargetColumns, columns: Columns) -> Target:
    """Fit the encoder of a target; see `fit_preprocessing`."""
    targets, numeric_classes = target.columns, target.numeric_classes
    if not targets:
        return NumericTarget((), (), ())
    if are_sequences(table, targets):
        table, train = table.steps(targets), train.steps(targets)
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
    if len(targets) > 1:
        _require_numbers(table, targets, columns)
    raw = numeric_targets(train, targets)
    flat = raw.reshape(-1, raw.shape[-1])
    width = flat.shape[1]
    if columns.target_scaling == "none" or not len(flat):
        return NumericTarget(targets, (0.0,) * width, (1.0,) * width, single=single)
    mean, deviation = mean_and_deviation(flat)
    scale = scale_of(mean, deviation)
    return NumericTarget(targets, tuple(mean.tolist()), tuple(scale.tolist()), single=single)


def _require_numbers(table: Table, targets: Sequence[str], columns: Columns) -> None:
    """Raise `DataError` if one of several columns of a target is categorical."""
    for name in targets:
        if _is_categorical(table, name, columns):
            raise DataError(
                f"{table.origin}: column {name!r} is categorical, but the columns of a target are "
                "numbers if it has several; give it an output of its own, or leave it out"
            )


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
