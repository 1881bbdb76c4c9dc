"""From the data section of a spec to tables: read files, split rows, fit the preprocessing."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from nnreg._utils.remote import local_path
from nnreg._utils.secret_text import START, reveal
from nnreg.data.files import Files, digest_of, regular_files, suffix_within
from nnreg.data.fitting import date_form, fit_preprocessing, times_of
from nnreg.data.label_targets import why_no_classes
from nnreg.data.missing_targets import rows_with_target, warn_dropped
from nnreg.data.preprocessing import Preprocessing
from nnreg.data.reproduction import resolve_inputs, warn_of_copies
from nnreg.data.sequence_lengths import are_sequences
from nnreg.data.sequences import Use, as_sequences
from nnreg.data.settings import Columns, Data, Split
from nnreg.data.split import Fold, Rows, Splits, member_of_rows, rows_of_splits
from nnreg.data.streaming import InMemory, in_memory, table_in_files
from nnreg.data.target_fitting import TargetColumns, fit_target
from nnreg.data.targets import ClassTarget
from nnreg.data.weights import sample_weights
from nnreg.data.window_table import WindowTable
from nnreg.data.windows import (
    as_examples,
    as_windows,
    rows_by_time,
    window_targets,
    windows_of_splits,
)
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.graph import INPUT
from nnreg.interfaces.source import Source
from nnreg.registry.names import Entry
from nnreg.registry.registry import Registry
from nnreg.tables.cells import positions
from nnreg.tables.columns import (
    categorical,
    column,
    first_marked,
    groups,
)
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table


def source_entry(path: Path, registry: Registry) -> Entry | None:
    """Return the source for a file by its suffix, or for a directory; None if there is none.

    One that was asked for, as by `--plugin`, precedes the others.
    """
    for name in _suffix_names(path):
        entries = [
            entry
            for entry in registry.loaded("source")
            if issubclass(entry.cls, Source) and name.endswith(entry.cls.suffixes)
        ]
        if entries:
            return max(entries, key=registry.preferences.asks_for)
    return None


def _suffix_names(path: Path) -> Sequence[str]:
    """Return what ends with the suffix of a source for a path, in the order of preference."""
    if not path.is_dir():
        return (path.name.lower().removesuffix(".gz"),)
    return (f"/{suffix_within(path)}", "/")


def read_table(
    source: Source, path: Path, text: Collection[str] = (), kept: InMemory | None = None
) -> Table:
    """Read a file, with the columns in `text` as text even if they are numeric.

    A pattern is all files that match it. Raises `DataError` if there is none, or the source cannot
    read one. If the columns that are `kept` in memory are given, the others may stay in the file.
    """
    table = None if kept is None else table_in_files(source, path, text, kept)
    return concat_chunks(Files(source), path, text) if table is None else table


_Key: TypeAlias = tuple[Source, Path, frozenset[str], InMemory | None]


class DataReader:
    """Read each data file once and keep its table: the folds of a run share one.

    At the end of its context it releases all tables.
    """

    def __init__(self) -> None:
        self._tables: list[tuple[_Key, Table]] = []
        self._digests: dict[tuple[Path, tuple[Path, ...]], str] = {}

    def table(
        self, source: Source, path: Path, text: Collection[str], kept: InMemory | None = None
    ) -> Table:
        """Return the table of a file, as `read_table` does."""
        key = source, path, frozenset(text), kept
        for known, table in self._tables:  # a list: a plugin's source may not be hashable
            if known == key:
                return table
        self._tables.append((key, read_table(*key)))
        return self._tables[-1][1]

    def digest(self, path: Path, files: Sequence[Path]) -> str:
        """Return the SHA-256 of the `files` that are read for a path."""
        key = path, tuple(files)
        if key not in self._digests:
            self._digests[key] = digest_of(path, files)
        return self._digests[key]

    def __enter__(self) -> DataReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._tables.clear()
        self._digests.clear()


def read_chunks(source: Source, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
    """Yield the rows of a file in chunks; see `read_table`."""
    return Files(source).iter_chunks(path, text)


def data_files(data: Data, directory: Path) -> dict[Path, tuple[str, Sequence[Path]]]:
    """Return each path of a data section with its text there, and the files that are read for it.

    Relative paths start at `directory`; a file at an address is its copy here. Raises `DataError`
    for anything but a regular file: a pipe or a device may never end.
    """
    texts = (data.path, *_held_out_files(data).values())
    source, paths = with_secrets(data.source), {local_path(t, directory): t for t in texts}
    return {path: (text, regular_files(source, path)) for path, text in paths.items()}


def _held_out_files(data: Data) -> dict[str, str]:
    """Return the files of the held-out splits that are not fractions, by the name of the split."""
    splits = {"validation": data.split.validation, "test": data.split.test}
    return {name: path for name, path in splits.items() if isinstance(path, str)}


def with_secrets(source: Source) -> Source:
    """Return a source whose text options have the values of their secrets."""
    fields = dataclasses.fields(source)  # type: ignore[arg-type] # all components are dataclasses
    texts = {field.name: getattr(source, field.name) for field in fields}
    secret = {k: reveal(v) for k, v in texts.items() if isinstance(v, str) and START in v}
    try:
        return dataclasses.replace(source, **secret) if secret else source  # type: ignore[type-var]
    except ValueError as error:
        raise DataError(f"data.source: {error}") from error


def read_splits(
    data: Data,
    targets: Sequence[TargetColumns],
    directory: Path,
    seed: int,
    fold: Fold | None,
    reader: DataReader,
    *,
    integer_inputs: Collection[str],
    members: int = 1,
) -> tuple[Preprocessing, Splits]:
    """Read the files of a data section and fit the preprocessing on the training split."""
    data_files(data, directory)  # checks all files before one is read
    text = {name for name, encoder in data.columns.items() if encoder.reads_text}
    for target in targets:
        if target.numeric_classes != "none":
            text.update(target.columns)
    if data.split.group:
        text.add(data.split.group)
    if data.grouped:
        text.update(data.sequence_columns)
    if data.window and data.window.group:
        text.add(data.window.group)
    source = with_secrets(data.source)
    kept = in_memory(data, targets)
    table = reader.table(source, local_path(data.path, directory), text, kept)
    preprocessing, splits = split_table(
        table,
        targets,
        data,
        data.split,
        seed,
        fold,
        integer_inputs=integer_inputs,
        members=members,
    )
    text.update(preprocessing.text)
    files = {
        name: reader.table(source, local_path(path, directory), text, kept)
        for name, path in _held_out_files(data).items()
        if fold is None or name == "validation"
    }
    held_out: dict[str, Any] = {
        name: _with_target(
            as_examples(table, preprocessing, data, with_targets=True),
            preprocessing.target_names,
            data,
        )
        for name, table in files.items()
    }
    return preprocessing, replace(splits, **held_out)


def split_table(
    table: Table,
    target_columns: Sequence[TargetColumns],
    columns: Columns,
    split: Split,
    seed: int,
    fold: Fold | None = None,
    *,
    integer_inputs: Collection[str],
    members: int = 1,
) -> tuple[Preprocessing, Splits]:
    """Split the rows of a table by fractions and fit the preprocessing on the training split.

    `integer_inputs` are the inputs that reach a layer which takes integers. The rows that a `fold`
    holds out are the validation split. If `split.validation` is given, they are the test split
    instead, and validation is that file, or that fraction of the fold's training rows; they are
    too, if each of the `members` of an ensemble holds out some. The rows of `split.test` are in no
    fold.
    """
    targets = _names(target_columns)
    names = (split.group, split.order, columns.sample_weights, *columns.sequence_columns)
    auxiliary = [name for name in names if isinstance(name, str)]
    window = columns.windows
    if window is not None:
        auxiliary += window.columns
    if not columns.groups:
        used = () if window else targets  # their past is an input
        columns = replace(columns, inputs=_inputs(table, used, columns, auxiliary))
    if window is None:
        target_columns = resolve_inputs(target_columns, columns, table)
        targets = _names(target_columns)
        warn_of_copies(targets, columns, table.origin)
    else:
        target_columns = window_targets(target_columns, window, columns)
    table = _in_use(table, [*(columns.listed or ()), *targets, *auxiliary])
    inputs = columns.groups or {INPUT: columns.listed or ()}
    if window is None:
        table = as_sequences(table, columns, Use(inputs, targets, auxiliary))
    else:
        form = date_form(window.order, columns)
        table, targets = as_windows(table, window, targets, form=form), _names(target_columns)
    table = _with_target(table, targets, columns)
    if columns.sample_weights:
        sample_weights(table, columns.sample_weights)  # check the held-out rows too
    holders = None
    if window is not None and isinstance(table, WindowTable):
        by_time = rows_of_splits(rows_by_time(table, window), split, seed, fold)
        rows = windows_of_splits(table, by_time)
    else:
        all_rows = _rows(table, target_columns, columns, split)
        rows = rows_of_splits(all_rows, split, seed, fold)
        if split.member_folds:
            holders = member_of_rows(all_rows.take(rows["train"]), members, seed)
    preprocessing = fit_preprocessing(
        table,
        rows["train"],
        target_columns,
        columns,
        integer_inputs=integer_inputs,
    )
    splits = {name: table.take(chosen) for name, chosen in rows.items()}
    for target in preprocessing.by_output.values():
        if isinstance(target, ClassTarget):
            for name in sorted(splits.keys() - {"train"}):
                _require_trained_classes(splits[name], name, target, split)
    return preprocessing, Splits(**splits, holders=holders)


def _names(targets: Sequence[TargetColumns]) -> tuple[str, ...]:
    """Return the columns of all targets."""
    return tuple(dict.fromkeys(name for one in targets for name in one.columns))


def _with_target(table: Table, targets: tuple[str, ...], columns: Columns) -> Table:
    """Return the rows that have a target, and warn of how many have not, if those are dropped."""
    rows = rows_with_target(table, targets, columns)
    if rows is None:
        return table
    warn_dropped(table.origin, len(rows), len(table))
    return table.take(rows)


def _require_trained_classes(table: Table, name: str, target: ClassTarget, split: Split) -> None:
    """Raise `DataError` if a held-out split has a class that the training split has not."""
    if are_sequences(table, [target.name]):
        table = table.steps([target.name])
    cells = categorical(table, target.name, target.names)
    unknown = np.less(positions(cells.categories, target.names), 0)
    where, found = first_marked(table, target.name, cells, unknown)
    if found is not None:
        count = int(cells.each([text == found for text in cells.categories], False, bool).sum())
        stratify = (
            "" if split.stratify or split.order or split.group else "set data.split.stratify, "
        )
        raise DataError(
            f"{where}: class {found!r} is in the {name} split only, with {count} of its rows; "
            f"{stratify}use another seed, add rows of this class, or remove them"
        )


def _inputs(
    table: Table, targets: tuple[str, ...], columns: Columns, auxiliary: list[str]
) -> tuple[str, ...]:
    """Return the input columns: those listed, or all without another use."""
    for name in (*columns.exclude, *columns.constant_columns):
        column(table, name)
    others = {*columns.exclude, *(() if columns.listed else (*targets, *auxiliary))}
    return tuple(name for name in columns.listed or table.columns if name not in others)


def _in_use(table: Table, names: list[str]) -> Table:
    """Return a table of these columns. Raises `DataError` if they differ in length or are empty."""
    used = {name: column(table, name) for name in names}
    lengths = {name: len(values) for name, values in used.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{table.origin}: the columns differ in length ({lengths}); use columns "
            "of the same length"
        )
    if not len(table):
        raise DataError(f"{table.origin}: there are no rows")
    return replace(table, columns=used)


def _rows(
    table: Table,
    targets: Sequence[TargetColumns],
    columns: Columns,
    split: Split,
) -> Rows:
    """Return the rows with what the split depends on: labels, groups or times."""
    labels = None
    if split.stratify:
        fitted = [fit_target(table, table, one, columns) for one in targets]
        target = next((one for one in fitted if isinstance(one, ClassTarget)), None)
        if target is not None and are_sequences(table, [target.name]):
            problem = "the target has a class per step; stratify needs one class per sequence"
            raise SpecError([Problem("$.data.split.stratify", problem)])
        if target is None:
            which = why_no_classes(fitted)
            problem = f"{which}; stratify needs classes"
            raise SpecError([Problem("$.data.split.stratify", problem)])
        labels = target.encode(table)
        if labels.shape[1:] == (1,):
            labels = labels[:, 0]
        if labels.ndim > 1:
            problem = f"the target has {labels.shape[1:]} classes per row; stratify needs one"
            raise SpecError([Problem("$.data.split.stratify", problem)])
    if isinstance(split.order, str):
        return Rows(len(table), times=times_of(table, split.order, columns))
    return Rows(
        len(table),
        labels=labels,
        groups=groups(table, split.group) if split.group else None,
        times=np.arange(len(table)) if split.order else None,
    )
