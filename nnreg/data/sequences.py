"""Sequences of different lengths in a table: rows of one, padded arrays, or lists in cells."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg._utils.memory import array_bytes, require_memory
from nnreg._utils.suggestions import suggest
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.settings import Columns, Sequences
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.graph import INPUT
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import MAX_EXACT, number_text
from nnreg.tables.columns import categorical, categories_of, is_text, numbers, per_row, single
from nnreg.tables.label_cells import as_label_cells
from nnreg.tables.lazy import AnyColumn, LazyArray, StoredColumn, materialize
from nnreg.tables.lists import is_lists, sequences_of
from nnreg.tables.ragged import HINT, Ragged, of_consecutive, of_rows
from nnreg.tables.table import Table


class Use(NamedTuple):
    """The columns that are used: those of each input and of the targets.

    `once` are columns with one value per sequence, such as weights. `expected` are those that were
    sequences in training, which need not be recognized; None in training.
    """

    inputs: Mapping[str, Sequence[str]]
    targets: Sequence[str] = ()
    once: Collection[str] = ()
    expected: Collection[str] | None = None

    @property
    def names(self) -> list[str]:
        """All input and target columns."""
        own = [name for columns in self.inputs.values() for name in columns]
        return list(dict.fromkeys([*own, *self.targets]))


def use_of(preprocessing: Preprocessing, columns: Columns) -> Use:
    """Return how the columns are used by a preprocessing that has been learned."""
    parts = preprocessing.parts or {INPUT: preprocessing}
    inputs = {key: part.names for key, part in parts.items()}
    once = [columns.sample_weights] if columns.sample_weights else []
    return Use(inputs, preprocessing.target_names, once, preprocessing.sequence_columns)


def as_sequences(table: Table, columns: Columns, use: Use) -> Table:
    """Return a table whose columns of sequences are `Ragged`; others are unchanged.

    A table that has been converted before stays as it is.
    """
    table = _with_arrays(_with_label_cells(table, columns, use), columns)
    settings = columns.sequences
    if isinstance(settings, Sequences) and settings.group is not None:
        if table.step_rows is not None:
            return table
        if settings.group in table.columns or not _are_given(table, use):
            return _grouped(table, settings, use)
        settings = None
    rules = _rules(settings, use)
    others = {*use.once, *columns.list_columns}
    known = [name for name in use.names if name in table.columns and name not in others]
    lists = {name: _lists(table, name, rules, use) for name in known}
    found = {name: values for name, values in lists.items() if values is not None}
    for rule in {id(rule): rule for rule in rules.values()}.values():
        padded = [n for n in known if n not in found and _is_padded(table, n, rules, rule, use)]
        if not padded and use.expected is None:
            _require_given(table, rules, rule, settings)
        found |= _padded(table, padded, rule, use)
    for name, sequences in found.items():
        sequences.require_memory(f"{table.origin}, column {name!r}")
    return replace(table, columns={**table.columns, **found})


def _with_label_cells(table: Table, columns: Columns, use: Use) -> Table:
    """Return a table whose lists of labels are text, and empty where missing.

    The label of a step of a sequence is a cell of its own. A missing target is none to be dropped.
    """
    if table.step_rows is not None:
        return table
    dropped = use.targets if columns.missing_target == "drop" else ()
    cells = {
        name: as_label_cells(table, name, fill=name not in dropped)
        for name in columns.list_columns
        if name in table.columns and name not in (use.expected or ())
    }
    return replace(table, columns={**table.columns, **cells}) if cells else table


def _with_arrays(table: Table, columns: Columns) -> Table:
    """Return a table whose lists of numbers are arrays where the encoder takes these."""
    found = {}
    for name in columns.array_columns:
        values = table.columns.get(name)
        if values is None or isinstance(values, StoredColumn) or values.ndim > 1:
            continue
        if not is_lists(values):
            continue
        lists = sequences_of(table, name)
        if lists.steps.ndim > 1 or isinstance(lists.steps, Categorical):
            continue  # sequences of arrays, or of text
        other = lists.lengths != lists.lengths[:1]
        if other.any():
            raise DataError(
                f"{table.location(int(np.argmax(other)), name)}: a list of "
                f"{lists.lengths[np.argmax(other)]} numbers, but the first has {lists.lengths[0]}; "
                "give all the same length, or remove the encoder to read them as sequences"
            )
        found[name] = materialize(lists.steps).reshape(len(lists), -1)
    return replace(table, columns={**table.columns, **found}) if found else table


def as_learned(table: Table, preprocessing: Preprocessing, columns: Columns) -> Table:
    """Return a table of raw rows with sequences where training had them."""
    if not (preprocessing.sequence_columns or columns.list_columns or columns.array_columns):
        return table
    return as_sequences(table, columns, use_of(preprocessing, columns))


def join_sequences(
    inputs: Table, targets: Table, convert: Callable[[Table], Table]
) -> tuple[Table, Table]:
    """Return converted tables of inputs and of targets, of the same rows.

    They are converted as one, because targets share the lengths, or the groups, of the inputs.
    """
    if targets is inputs or len(targets) != len(inputs):  # which is refused later
        return (table := convert(inputs)), table if targets is inputs else convert(targets)
    joined = replace(inputs, columns={**inputs.columns, **targets.columns})
    converted = convert(joined)
    return (inputs, targets) if converted is joined else (converted, converted)


def _are_given(table: Table, use: Use) -> bool:
    """Return True for a table whose rows are sequences, as programs may give them to a model."""
    given = [table.columns.get(name) for name in use.expected or ()]
    return any(one is not None and one.ndim > 1 for one in given)


def _rules(settings: Sequences | Mapping[str, Sequences] | None, use: Use) -> dict[str, Sequences]:
    """Return the settings of each column that has any. Raises `SpecError` for an unknown name."""
    if settings is None:
        return {}
    if isinstance(settings, Sequences):
        return {name: settings for name in use.names if name not in settings.constant}
    rules: dict[str, Sequences] = {}
    for key, one in settings.items():
        if key not in use.inputs and key not in use.names and use.expected is None:
            known = [*use.inputs, *use.targets]
            problem = f"neither an input nor a target column{suggest(key, known)}"
            raise SpecError([Problem(f"$.data.sequences.{key}", problem)])
        rules |= {name: one for name in use.inputs.get(key, (key,)) if name not in one.constant}
    return rules


def _lists(table: Table, name: str, rules: Mapping[str, Sequences], use: Use) -> Ragged | None:
    """Return a column of lists as sequences; None for another one."""
    values = table.columns[name]
    if isinstance(values, Ragged):
        return values
    if isinstance(values, StoredColumn):
        if values.sequences:
            raise DataError(
                f"{table.origin}: column {name!r} has sequences, or several texts per row, which "
                "do not stay in their file; list it in 'exclude', or set \"stream\" of the source "
                "to false"
            )
        return None
    if use.expected is None:
        return sequences_of(table, name) if is_lists(values) else None
    if name not in use.expected or (values.ndim > 1 and name in rules):
        return None
    if values.ndim > 1:  # lists that happen to be of the same length
        return of_rows(_in_memory(table, name))
    if is_text(values):
        return sequences_of(table, name)
    raise DataError(
        f"{table.origin}: column {name!r} has one value per row; the model expects sequences"
    )


def _is_padded(
    table: Table, name: str, rules: Mapping[str, Sequences], rule: Sequences, use: Use
) -> bool:
    """Return True for a column of arrays to which a rule applies."""
    expected = use.expected is None or name in use.expected
    return rules.get(name) is rule and expected and table.columns[name].ndim > 1


def _require_given(
    table: Table,
    rules: Mapping[str, Sequences],
    rule: Sequences,
    settings: Sequences | Mapping[str, Sequences] | None,
) -> None:
    """Raise `SpecError` for a setting of padded arrays that are neither that nor sequences."""
    names = [name for name in rules if rules[name] is rule]
    if any(isinstance(table.columns.get(name), Ragged) for name in names):
        return  # a program gives them without padding
    keys = settings.items() if isinstance(settings, Mapping) else ()
    path = "$.data.sequences" + "".join(f".{key}" for key, one in keys if one is rule)
    problem = f"none of the columns {', '.join(names)} has arrays with padding; remove it"
    raise SpecError([Problem(path, problem)])


def _in_memory(table: Table, name: str) -> Array | Categorical:
    """Return a column of arrays in memory; text as categories."""
    values = per_row(table, name)
    if isinstance(values, LazyArray):
        where = f"{table.origin}, column {name!r}, whose sequences are read to memory"
        require_memory(array_bytes(values.shape, values.dtype), where, HINT)
    if isinstance(values, Categorical):
        return values
    array = materialize(values)
    return array if array.dtype.kind in "biuf" else categories_of(array)


def _padded(table: Table, names: Sequence[str], rule: Sequences, use: Use) -> dict[str, Ragged]:
    """Return the real steps of arrays `(rows, steps, ...)` to which a rule applies.

    By a padding value, a step is real if it, or one after it, is in one of the inputs; targets have
    the lengths of the inputs.
    """
    arrays = {name: _in_memory(table, name) for name in names}
    if not arrays:
        return {}
    if rule.lengths is not None:
        lengths, where = _lengths(table, rule.lengths), rule.lengths
    else:
        own = [name for name in names if name not in use.targets] or list(names)
        each = [_without_padding(table, name, arrays[name], rule.padding) for name in own]
        lengths, where = np.max(each, axis=0), own[0]
    for name, array in arrays.items():
        if len(lengths) != len(array):
            raise DataError(
                f"{table.origin}: column {name!r} has {len(array)} rows, but {where!r} "
                f"{len(lengths)}; give both as many"
            )
        wrong = lengths > array.shape[1]
        if wrong.any():
            row = int(np.argmax(wrong))
            raise DataError(
                f"{table.location(row, where)}: a sequence of {lengths[row]} steps, but column "
                f"{name!r} has {array.shape[1]}; correct it, or list a column of one value per "
                'sequence in "constant" of data.sequences'
            )
    return {name: of_rows(array, lengths) for name, array in arrays.items()}


def _lengths(table: Table, name: str) -> Array:
    """Return a column of lengths. Raises `DataError` for another number."""
    values = single(numbers(table, name), table, name)
    wrong = ~((values >= 0) & (values == np.floor(values)) & (values <= MAX_EXACT))
    if wrong.any():
        row = int(np.argmax(wrong))
        what = "a missing value" if np.isnan(values[row]) else number_text(float(values[row]))
        raise DataError(
            f"{table.location(row, name)}: found {what}, expected the length of a sequence, an "
            "integer >= 0; correct it"
        )
    return values.astype(np.int64)


def _without_padding(
    table: Table, name: str, array: Array | Categorical, padding: float | str | None
) -> Array:
    """Return the number of steps of each row up to the last that is not padding."""
    text = isinstance(array, Categorical)
    if isinstance(padding, str) != text:
        kinds = ("text", "numbers") if text else ("numbers", "text")
        raise DataError(
            f"{table.origin}: column {name!r} holds {kinds[0]}, but data.sequences.padding is "
            f"{padding!r}; give {kinds[0]}"
        )
    if isinstance(array, Categorical):
        steps = array.each([one != padding for one in array.categories], True, bool)
    else:
        steps = np.asarray(array != padding)
    if not steps.shape[1]:
        return np.zeros(len(steps), np.int64)
    real: Array = np.any(steps.reshape(*steps.shape[:2], -1), axis=2)
    last = real.shape[1] - np.argmax(real[:, ::-1], axis=1)
    lengths: Array = np.where(real.any(axis=1), last, 0)
    return lengths


def _grouped(table: Table, settings: Sequences, use: Use) -> Table:
    """Return a table with a row for each group of rows, in the order in which they begin.

    The rows of a group are the steps of a sequence, in their order in the file, whether or not they
    are adjacent there.
    """
    group, once = settings.group, {*settings.constant, *use.once}
    assert group is not None  # asked of rows that are grouped
    codes = single(categorical(table, group), table, group).codes
    if (codes < 0).any():
        where = table.location(int(np.argmax(codes < 0)), group)
        raise DataError(f"{where}: the value is missing, but rows are grouped by it; fix it")
    _, first, member = np.unique(codes, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.intp)
    rank[np.argsort(first)] = np.arange(len(first))
    member = rank[member]
    order = np.argsort(member, kind="stable")
    lengths = np.bincount(member, minlength=len(first))
    starts = np.cumsum(lengths) - lengths
    columns: dict[str, AnyColumn] = {}
    for name in table.columns:
        if name in {group, *once}:
            columns[name] = _constant(table, name, order[starts], member, settings)
        elif name in use.names:
            values = _in_memory(table, name)
            columns[name] = of_consecutive(values[order], lengths)
    numbers_in_file = order if table.row_numbers is None else table.row_numbers[order]
    return replace(
        table, columns=columns, row_numbers=numbers_in_file[starts], step_rows=numbers_in_file
    )


def _constant(
    table: Table, name: str, first: Array, member: Array, settings: Sequences
) -> Array | Categorical:
    """Return the value of a column in each group. Raises `DataError` if it has several in one."""
    values = _in_memory(table, name)
    array = values.codes if isinstance(values, Categorical) else values
    other = array[first][member]
    differ = array != other
    if array.dtype.kind == "f":
        differ &= ~(np.isnan(array) & np.isnan(other))
    differ = differ.any(axis=tuple(range(1, differ.ndim)))
    if differ.any():
        row = int(np.argmax(differ))
        known = table.row_label(int(first[member[row]]))
        other_way = (
            'remove the column from "constant" of data.sequences'
            if name in settings.constant
            else "use another column, as weights or for the split"
        )
        raise DataError(
            f"{table.location(row, name)}: another value than in {known}, which is of the same "
            f"sequence by {settings.group!r}; give one value for a sequence, or {other_way}"
        )
    return values[first]
