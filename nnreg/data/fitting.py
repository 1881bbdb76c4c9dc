"""Fitting the preprocessing of a table on its training rows."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from nnreg._types import Array
from nnreg.data.encoder_choice import encoder_of
from nnreg.data.fitting_in_parts import fit_in_parts
from nnreg.data.input_columns import (
    InputColumn,
    learn_column,
    missing_of,
    raw_column,
    require_encoded_memory,
)
from nnreg.data.preprocessing import LearnedWindow, Preprocessing, columns_of
from nnreg.data.sequence_lengths import are_sequences, longest_made, longest_sequence
from nnreg.data.settings import Columns
from nnreg.data.target_fitting import TargetColumns, fit_target
from nnreg.data.targets import (
    Target,
)
from nnreg.data.window_table import WindowTable
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.encoder import Encoder
from nnreg.interfaces.graph import INPUT
from nnreg.tables.columns import column
from nnreg.tables.date_forms import Form
from nnreg.tables.dates import times
from nnreg.tables.stored import reader_of, surveyed
from nnreg.tables.table import Table


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
            ahead = columns.windows is not None and key in columns.windows.known
            parts = table.rows, (train.ahead() if ahead else train).inputs()[0]
            inputs += _fit_inputs(*parts, group, columns, integer, {}, of_steps=True)
        elif longest := longest_sequence(train, group):
            steps[key] = longest
            parts = table.steps(group), train.steps(group)
            inputs += _fit_inputs(*parts, group, columns, integer, {}, of_steps=True)
        else:
            fitted = _fit_inputs(table, train, group, columns, integer, of_rows)
            if fitted[0].encoder.makes_sequences:
                steps[key] = longest_made(fitted[0], train)
            inputs += fitted
    target = fitted_targets.pop("", None)
    sizes = {key: len(group) for key, group in columns.groups.items()}
    window = None
    if isinstance(table, WindowTable):
        _require_differences(table, [*fitted_targets.values(), target])
        known = () if columns.windows is None else columns.windows.known
        horizon = table.horizon if known else 1
        window = LearnedWindow(table.length, table.targets, table.spacing, known, horizon)
    return Preprocessing(tuple(inputs), target, sizes, fitted_targets, steps, per_step, window)


def _require_differences(table: WindowTable, targets: Sequence[Target | None]) -> None:
    """Raise `SpecError` for classes, which have no differences, if targets are relative."""
    given = [one for one in targets if one is not None]
    if table.relative and any(one.type != "numbers" for one in given):
        problem = "classes have no difference from another value; leave it out"
        raise SpecError([Problem("$.data.window.relative_to", problem)])


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
    encoders = {
        name: encoder_of(surveyed(table, name), name, columns, integer, by_step=by_step)
        for name in names
    }
    if reader_of(table, names):
        fitted = fit_in_parts(train, encoders, columns, integer=integer)
    else:
        fitted = [
            _fit_input(table, train, name, encoder, columns, integer, targets)
            for name, encoder in encoders.items()
        ]
    for one in fitted:
        _require_fitting_type(one, integer)
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
    found = learn_column(encoder, column, missing_of(encoder, columns), integer=integer)
    require_encoded_memory(table, found)
    return found


def _require_fitting_type(found: InputColumn, integer: bool) -> None:
    """Raise `SpecError` for a column of integers if the network takes numbers."""
    if found.encoder.integer and not integer:
        problem = (
            "its encoder gives integers, such as token indices, but the network takes numbers; "
            "begin with an embedding, or choose another encoder"
        )
        raise SpecError([Problem(f"$.data.columns.{found.name}", problem)])


def _target_of_encoder(name: str, train: Table, targets: Mapping[str, Target]) -> Array:
    """Return the only target, for the encoder of a column that needs it.

    `targets` are those with one value for each row; there are none for the steps of sequences.
    """
    found = [target for target in targets.values() if columns_of(target)]
    if len(found) != 1:
        why = f"but there are {len(found)}" if found else "which sequences and windows do not have"
        problem = f"its encoder needs one target for each row, {why}; choose another encoder"
        raise SpecError([Problem(f"$.data.columns.{name}", problem)])
    return found[0].encode(train)


def times_of(table: Table, name: str, columns: Columns) -> Array:
    """Return the time of each row, from a column of numbers or of dates as its encoder reads it."""
    return times(table, name, date_form(name, columns))


def date_form(name: str | None, columns: Columns) -> Form | None:
    """Return how the encoder of a column reads dates; None if it has none that does."""
    if name not in columns.columns:
        return None
    from nnreg.builtin.encoders import Date  # a module is loaded only where it is used

    encoder = columns.columns[name]
    return encoder.form if isinstance(encoder, Date) else None
