"""Fitting the encoding of a target on its training rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from nnreg._utils.statistics import mean_and_deviation, scale_of
from nnreg.builtin.encoders import Category, Number
from nnreg.builtin.encoders.categories import category_counts
from nnreg.builtin.encoders.scaling import learn_scale, with_bounds
from nnreg.data.label_targets import fit_label_target
from nnreg.data.naive import values_before
from nnreg.data.sequence_lengths import are_sequences
from nnreg.data.settings import Columns, NumericClasses
from nnreg.data.targets import (
    ClassTarget,
    NumericTarget,
    Target,
    class_kind,
    class_order,
    numeric_targets,
    require_logarithms,
)
from nnreg.data.window_table import WindowTable
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.encoder import Encoder
from nnreg.tables.column_types import refuse_misread
from nnreg.tables.columns import (
    categorical,
    column,
    common_unit,
    is_numeric,
    is_text,
)
from nnreg.tables.dates import refuse_dates
from nnreg.tables.number_texts import NumberTexts
from nnreg.tables.table import Table


class TargetColumns(NamedTuple):
    """The columns of the target of an output, whose name is empty for a single one."""

    columns: tuple[str, ...]
    numeric_classes: NumericClasses = "none"
    output: str = ""


def fit_target(table: Table, train: Table, target: TargetColumns, columns: Columns) -> Target:
    """Fit the encoder of a target; see `fit_preprocessing`."""
    targets, numeric_classes = target.columns, target.numeric_classes
    for name in set(targets) - set(columns.listed or ()):  # that of an input is for the input
        encoder = columns.columns.get(name)
        if isinstance(encoder, Number):
            encoder = replace(encoder, format=None)
        several = isinstance(encoder, Encoder) and encoder.takes_lists and len(targets) == 1
        if encoder not in (None, Number(), Category()) and not several:
            problem = (
                f'{name!r} is a target, which has no other encoder than "number" or '
                '"category", without options but the "format" of numbers, or "labels" alone; '
                "choose one of them"
            )
            raise SpecError([Problem(f"$.data.columns.{name}", problem)])
    if not targets:
        return NumericTarget((), (), ())
    if targets[0] in columns.list_columns:
        return fit_label_target(train, targets[0], columns.columns[targets[0]])
    if are_sequences(table, targets):
        table, train = table.steps(targets), train.steps(targets)
    single = len(targets) == 1 and column(table, targets[0]).ndim == 1
    if len(targets) == 1 and _is_class_target(table, targets[0], columns, numeric_classes):
        return _class_target(table, train, targets[0], single=single)
    if len(targets) > 1:
        _require_numbers(table, targets, columns)
    return _numeric_target(train, targets, columns, single=single)


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
    names = tuple(sorted(labels, key=class_order))
    return ClassTarget(name, names, kind=class_kind(table, name, names), single=single)


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
    base = values_before(train, names, texts)
    if base is not None:
        raw = raw - base
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
    if base is not None and scaling in ("log", "power", "quantile"):
        problem = (
            f"{scaling!r} scales values, but targets are relative to others, by "
            'data.window.relative_to; set it to "standard", or leave that out'
        )
        raise SpecError([Problem("$.data.target_scaling", problem)])
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
        if is_categorical(table, name, columns):
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
    return is_categorical(table, target, columns)


def is_categorical(table: Table, name: str, columns: Columns) -> bool:
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
