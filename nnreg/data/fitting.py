"""Fitting the preprocessing of a table on its training rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from nnreg._types import Array
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.statistics import mean_and_deviation, scale_of
from nnreg.builtin.encoders import Category, Number, Values
from nnreg.builtin.encoders.categories import category_counts
from nnreg.builtin.encoders.scaling import Scaling, learn_scale, with_bounds
from nnreg.data.input_columns import InputColumn, learn_column, raw_column
from nnreg.data.preprocessing import LearnedWindow, Preprocessing, columns_of
from nnreg.data.sequences import are_sequences, longest_sequence
from nnreg.data.settings import Columns, Missing, NumericClasses
from nnreg.data.targets import (
    ClassKind,
    ClassTarget,
    NumericTarget,
    Target,
    numeric_targets,
    require_logarithms,
)
from nnreg.data.window_table import WindowTable
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.graph import INPUT
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import INTEGER, MAX_EXACT, TRUTH, number_text, parse_number
from nnreg.tables.column_types import refuse_misread, warn_of_texts
from nnreg.tables.columns import (
    categorical,
    column,
    common_unit,
    is_numeric,
    is_text,
)
from nnreg.tables.dates import refuse_dates, times
from nnreg.tables.number_texts import NumberTexts
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
    names = _input_names(table, targets, columns)
    for name in columns.columns:
        column(table.rows if isinstance(table, WindowTable) else table, name)
    fitted_targets = {one.output: fit_target(table, train, one, columns) for one in targets}
    per_step = tuple(one.output for one in targets if are_sequences(table, one.columns))
    of_rows = {name: one for name, one in fitted_targets.items() if name not in per_step}
    inputs: list[InputColumn] = []
    steps = {}
    for key, group in (columns.groups or {INPUT: names}).items():
        integer = key in integer_inputs
        if isinstance(table, WindowTable) and isinstance(train, WindowTable):
            parts = table.rows, train.inputs()[0]
            inputs += _fit_inputs(*parts, group, columns, integer, {}, of_steps=True)
        elif longest := longest_sequence(train, group):
            steps[key] = longest
            parts = table.steps(group), train.steps(group)
            inputs += _fit_inputs(*parts, group, columns, integer, {}, of_steps=True)
        else:
            fitted = _fit_inputs(table, train, group, columns, integer, of_rows)
            if fitted[0].encoder.makes_sequences:
                steps[key] = _longest_made(fitted[0], train)
            inputs += fitted
    target = fitted_targets.pop("", None)
    sizes = {key: len(group) for key, group in columns.groups.items()}
    window = None
    if isinstance(table, WindowTable):
        window = LearnedWindow(table.length, table.targets, table.spacing)
    return Preprocessing(tuple(inputs), target, sizes, fitted_targets, steps, per_step, window)


def _input_names(
    table: Table, targets: Sequence[TargetColumns], columns: Columns
) -> tuple[str, ...]:
    """Return the names of the input columns, by default of all that are not targets."""
    names = columns.listed
    if names is None:
        used = {name for target in targets for name in target.columns}
        names = tuple(name for name in table.columns if name not in used)
    if not names:
        raise DataError(
            f"{table.origin}: no input columns are left besides the target; check data.exclude"
        )
    return names


def _fit_inputs(
    table: Table,
    train: Table,
    names: Sequence[str],
    columns: Columns,
    integer: bool,
    targets: Mapping[str, Target],
    *,
    of_steps: bool = False,
) -> list[InputColumn]:
    """Fit the columns of one input. `targets` have one value for each row of the tables.

    `of_steps` is for an input of sequences, whose steps are the rows of the tables.
    """
    for name in names if of_steps else ():
        if name in columns.columns and columns.columns[name].makes_sequences:
            raise DataError(
                f"{table.origin}: column {name!r} holds sequences, and its encoder would make one "
                "of each step; choose another one in data.columns, or join the texts of a row"
            )
    by_step = of_steps and len(names) == 1
    encoders = [_encoder_of(table, name, columns, integer, by_step=by_step) for name in names]
    fitted = [
        _fit_input(table, train, name, encoder, columns, integer, targets)
        for name, encoder in zip(names, encoders, strict=True)
    ]
    alone = [one for one in fitted if one.alone]
    if alone and len(fitted) > 1:
        raise DataError(
            f"{table.origin}: column {alone[0].name!r} becomes arrays or sequences and must be "
            "the only input; list it alone in 'inputs', or the others in 'exclude', or give each "
            f"an input with a name (inputs: {', '.join(names)})"
        )
    if not sum(math.prod(one.shape) for one in fitted):
        raise DataError(
            f"{table.origin}: column {names[0]!r} has no values that the network could read; "
            "choose other inputs"
        )
    return fitted


def _longest_made(column: InputColumn, train: Table) -> int:
    """Return the length of the longest sequence that the training values of a column become."""
    longest = int(column.encode_sequences(train)[1].max(initial=0))
    if not longest:
        raise DataError(
            f"{train.origin}: all sequences that column {column.name!r} becomes are empty; choose "
            "another encoder in data.columns"
        )
    return longest


def _fit_input(
    table: Table,
    train: Table,
    name: str,
    encoder: Encoder,
    columns: Columns,
    integer: bool,
    targets: Mapping[str, Target],
) -> InputColumn:
    """Fit the encoder of an input column; see `_fit_inputs`."""
    column = raw_column(train, name, encoder)
    if encoder.takes_target:
        column = replace(column, target=_target_of_encoder(name, train, targets))
    missing = columns.missing
    if isinstance(encoder, Number) and encoder.add_indicator is not None:
        without: Missing | None = "impute" if missing == "indicate" else missing
        missing = "indicate" if encoder.add_indicator else without
    found = learn_column(encoder, column, missing, integer=integer)
    _require_memory(table, found)
    if found.encoder.integer and not integer:
        problem = (
            "its encoder gives integers, such as token indices, but the network takes numbers; "
            "begin with an embedding, or choose another encoder"
        )
        raise SpecError([Problem(f"$.data.columns.{name}", problem)])
    return found


def _encoder_of(
    table: Table, name: str, columns: Columns, integer: bool, *, by_step: bool
) -> Encoder:
    """Return the encoder of the spec for a column, or that of its type, with every option set.

    `by_step` is for the only column of an input of sequences, whose steps are the rows.
    """
    encoder = columns.columns.get(name)
    scaling: Scaling = "none" if integer else columns.scaling
    several = table.columns[name].ndim > 1
    if several and (encoder is None or isinstance(encoder, Number | Category)):
        return Values(scaling, integer=integer)
    if not several and encoder is not None and encoder.takes == "arrays":
        raise DataError(
            f"{table.origin}: column {name!r} has one value per row, but its encoder takes arrays; "
            f"choose another one in data.columns"
        )
    if encoder is None:
        encoder = Category() if _is_categorical(table, name, columns) else Number()
        if isinstance(encoder, Category) and not several:
            warn_of_texts(table, name, categorical(table, name))
    if getattr(encoder, "unseen", "") is None:
        encoder = replace(cast(Any, encoder), unseen=columns.unseen)
    match encoder:
        case Number() if by_step and integer:
            return Values("none", integer=True)  # a step has no axis
        case Number():
            return replace(encoder, scaling="none" if integer else encoder.scaling or scaling)
        case Values():
            encoder = replace(encoder, scaling=encoder.scaling or scaling)
            return replace(encoder, integer=integer)
        case Category() if integer:
            raise DataError(
                f"{table.origin}: column {name!r} is categorical and would be one-hot encoded, but "
                "the network takes integers; write its values as integers, or list it in 'exclude'"
            )
        case Category():
            kept = encoder.max_categories or columns.max_categories
            return replace(encoder, max_categories=kept)
    return encoder


def _target_of_encoder(name: str, train: Table, targets: Mapping[str, Target]) -> Array:
    """Return the only target, for the encoder of a column that needs it.

    `targets` are those with one value for each row; there are none for the steps of sequences.
    """
    found = [target for target in targets.values() if columns_of(target)]
    if len(found) != 1:
        why = f"but there are {len(found)}" if found else "which sequences do not have"
        problem = f"its encoder needs one target for each row, {why}; choose another encoder"
        raise SpecError([Problem(f"$.data.columns.{name}", problem)])
    return found[0].encode(train)


def _require_memory(table: Table, column: InputColumn) -> None:
    """Raise `DataError` if an encoded column would take more than half of the memory."""
    width = math.prod(column.shape)
    size = len(table) * width * np.float32().itemsize
    if column.encoder.takes == "text" and exceeds_memory(size, 1 / 2):
        option = "data.max_categories" if isinstance(column.encoder, Category) else "max_words"
        raise DataError(
            f"{table.origin}: column {column.name!r} becomes {width:,} numbers in each of "
            f"{len(table):,} rows, which take {byte_size(size)}; list it in 'exclude', or set "
            f"{option}"
        )


def fit_target(table: Table, train: Table, target: TargetColumns, columns: Columns) -> Target:
    """Fit the encoder of a target; see `fit_preprocessing`."""
    targets, numeric_classes = target.columns, target.numeric_classes
    for name in set(targets) - set(columns.listed or ()):  # that of an input is for the input
        encoder = columns.columns.get(name)
        if isinstance(encoder, Number):
            encoder = replace(encoder, format=None)
        if encoder not in (None, Number(), Category()):
            problem = (
                f'{name!r} is a target, which has no other encoder than "number" or '
                '"category", without options but the "format" of numbers; choose one of them'
            )
            raise SpecError([Problem(f"$.data.columns.{name}", problem)])
    if not targets:
        return NumericTarget((), (), ())
    if are_sequences(table, targets):
        table, train = table.steps(targets), train.steps(targets)
    single = len(targets) == 1 and column(table, targets[0]).ndim == 1
    if len(targets) == 1 and _is_class_target(table, targets[0], columns, numeric_classes):
        return _class_target(table, train, targets[0], single=single)
    if len(targets) > 1:
        _require_numbers(table, targets, columns)
    return _numeric_target(train, targets, columns, single=single)


def times_of(table: Table, name: str, columns: Columns) -> Array:
    """Return the time of each row, from a column of numbers or of dates as its encoder reads it."""
    if name not in columns.columns:
        return times(table, name)
    from nnreg.builtin.encoders import Date  # a module is loaded only where it is used

    encoder = columns.columns[name]
    return times(table, name, encoder.form if isinstance(encoder, Date) else None)


def _class_target(table: Table, train: Table, name: str, *, single: bool) -> ClassTarget:
    labels = category_counts(categorical(train, name))
    if "" in labels:
        raise DataError(
            f"{table.origin}: a class of the target {name!r} is the empty text; give it a name, or "
            "list \"\" in the source's 'missing'"
        )
    if len(labels) == 1:
        raise DataError(
            f"{table.origin}: the target {name!r} is {next(iter(labels))!r} in every training "
            "row; expected two or more classes"
        )
    names = tuple(sorted(labels, key=_class_order))
    return ClassTarget(name, names, kind=_class_kind(table, name, names), single=single)


def _numeric_target(
    train: Table, names: tuple[str, ...], columns: Columns, *, single: bool
) -> NumericTarget:
    texts = _number_texts(train, names, columns)
    raw = numeric_targets(train, names, texts)
    if not math.prod(raw.shape[1:]):
        raise DataError(
            f"{train.origin}: column {names[0]!r} holds arrays of shape {raw.shape[1:]}, which "
            "have no values; choose another target"
        )
    flat = raw.reshape(-1, raw.shape[-1])
    width, scaling = flat.shape[1], columns.target_scaling
    target = NumericTarget(
        names,
        (0.0,) * width,
        (1.0,) * width,
        single=single,
        formats=tuple(texts[name].written if name in texts else None for name in names if texts),
        units=tuple(texts[name].unit if name in texts else None for name in names if texts),
    )
    if scaling == "none" or not len(flat):
        return target
    if scaling == "standard":  # all columns at once
        mean, deviation = mean_and_deviation(flat)
        scale = scale_of(mean, deviation)
        return replace(target, mean=tuple(mean.tolist()), std=tuple(scale.tolist()))
    if scaling == "log":
        require_logarithms(train, names, raw)
    scales = [with_bounds(learn_scale(one, scaling), one) for one in flat.T]
    return replace(
        target,
        mean=tuple(one.mean for one in scales),
        std=tuple(one.std for one in scales),
        curves=tuple(one.curve for one in scales if one.curve),
    )


def _number_texts(train: Table, names: Sequence[str], columns: Columns) -> dict[str, NumberTexts]:
    """Return how the numbers of the targets are written, of those whose encoder has a format."""
    found = {}
    for name in names:
        encoder = columns.columns.get(name)
        if encoder is not None and encoder.number_texts is not None:
            unit = common_unit(train, name, encoder.number_texts)
            found[name] = replace(encoder.number_texts, unit=unit)
    return found


def one_class_ahead(target: str) -> SpecError:
    """Return the error of a target of classes with a horizon of several rows."""
    problem = f"the target {target!r} is classes, of which a window predicts the next only; set 1"
    return SpecError([Problem("$.data.window.horizon", problem)])


def _require_numbers(table: Table, targets: Sequence[str], columns: Columns) -> None:
    """Raise `DataError` if one of several columns of a target is categorical."""
    for name in targets:
        if _is_categorical(table, name, columns):
            if isinstance(table, WindowTable) and table.horizon > 1:
                raise one_class_ahead(name.removesuffix("_1"))
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
    is_declared = isinstance(columns.columns.get(target), Number | Category)
    if numeric_classes in declared and not is_declared:
        return True
    if column(table, target).dtype.kind == "b" and not is_declared:
        return False  # given as numbers, 0 and 1
    return _is_categorical(table, target, columns)


def _is_categorical(table: Table, name: str, columns: Columns) -> bool:
    """Return True if a column is categorical: as the spec sets it, or inferred from all rows."""
    encoder = columns.columns.get(name)
    if isinstance(encoder, Number | Category):
        return isinstance(encoder, Category)
    if is_numeric(table, name):
        return False
    categories = categorical(table, name).categories
    refuse_dates(table, name, categories)
    refuse_misread(table, name, categories)
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
            whole = all(map(INTEGER.fullmatch, names)) and max(map(abs, numeric)) < MAX_EXACT
            return "integer" if whole else "number"
    return "text"


def _class_order(name: str) -> tuple[int, float, str]:
    """Sort classes that are numbers by value, then all others by name."""
    number = parse_number(name)
    return (1, 0.0, name) if math.isnan(number) else (0, number, name)
