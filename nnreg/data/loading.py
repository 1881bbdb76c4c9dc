"""From the data section of a spec to tables: read the files, split the rows, learn from them."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nnreg._types import Array
from nnreg._utils.os_errors import explain_os_error
from nnreg.data.preprocessing import ClassTarget, Preprocessing, fit_preprocessing, fit_target
from nnreg.data.settings import Columns, Data, Split
from nnreg.data.split import Rows
from nnreg.data.weights import sample_weights
from nnreg.errors import DataError, Problem, SpecError
from nnreg.interfaces.source import Source
from nnreg.registry.registry import Entry, Registry
from nnreg.tables.columns import column, groups, times
from nnreg.tables.concat import concat_chunks
from nnreg.tables.table import Table


@dataclass(frozen=True)
class Splits:
    """The examples to train on, and those held out."""

    train: Table
    validation: Table | None = None
    test: Table | None = None


def source_entry(path: Path, registry: Registry) -> Entry | None:
    """Return the source for files that are called so, or for folders, if there is one."""
    name = "/" if path.is_dir() else path.name.lower().removesuffix(".gz")
    for entry in registry:
        if issubclass(entry.cls, Source) and name.endswith(entry.cls.suffixes):
            return entry
    return None


def read_table(source: Source, path: Path, text: Collection[str] = ()) -> Table:
    """Read a file, with the columns in `text` as words though they look like numbers.

    Raises `DataError` where there is none, or the source cannot read it.
    """
    with readable(path):
        return concat_chunks(source, path, text)


class DataReader:
    """Read each data file once, however often it is asked for: the folds of a run share one.

    As a context it releases the tables at its end; a file that is asked for again is read again.
    """

    def __init__(self) -> None:
        self._tables: list[tuple[tuple[Source, Path, frozenset[str]], Table]] = []
        self._digests: dict[tuple[Path, tuple[Path, ...]], str] = {}

    def table(self, source: Source, path: Path, text: Collection[str]) -> Table:
        """Return the rows of a file as `read_table` does."""
        wanted = source, path, frozenset(text)
        for known, table in self._tables:  # a list, since a plugin's source may have no hash
            if known == wanted:
                return table
        self._tables.append((wanted, read_table(*wanted)))
        return self._tables[-1][1]

    def digest(self, path: Path, files: Sequence[Path]) -> str:
        """Return the SHA-256 of the `files` that are read for a path."""
        key = path, tuple(files)
        if key not in self._digests:
            self._digests[key] = _digest(path, files)
        return self._digests[key]

    def __enter__(self) -> DataReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._tables.clear()
        self._digests.clear()


def _digest(path: Path, files: Sequence[Path]) -> str:
    """Return the SHA-256 of a file; of several, that of what `sha256sum` prints of them."""
    each = {}
    for name in files:
        with name.open("rb") as file:
            each[name] = hashlib.file_digest(file, "sha256").hexdigest()
    if list(files) == [path]:
        return each[path]
    names = {name: os.path.relpath(name, path.parent) for name in files}
    listed = "".join(f"{each[name]}  {names[name]}\n" for name in files)
    return hashlib.sha256(os.fsencode(listed)).hexdigest()


def read_chunks(source: Source, path: Path, text: Collection[str] = ()) -> Iterator[Table]:
    """Yield the rows of a file a piece at a time; see `read_table`."""
    with readable(path):
        yield from source.iter_chunks(path, text)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what the system says of a file that cannot be read into a `DataError`."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DataError(f"{path}: cannot read the data: {explain_os_error(error, path)}") from error


def data_files(data: Data, directory: Path) -> dict[Path, Sequence[Path]]:
    """Return the paths that a data section names, each with the files that are read for it.

    Relative ones start at `folder`. Raises `DataError` for what is not a regular file: a pipe or a
    device may never end.
    """
    held_out = (data.split.validation, data.split.test)
    named = [directory / path for path in (data.path, *held_out) if isinstance(path, str)]
    return {path: regular_files(data.source, path) for path in named}


def regular_files(source: Source, path: Path) -> Sequence[Path]:
    """Return the files that a source reads for a path; see `data_files`."""
    with readable(path):
        files = source.files(path)
    for file in files:
        with readable(file):
            regular = stat.S_ISREG(file.stat().st_mode)
        if not regular:
            raise DataError(f"{file}: cannot read the data: not a regular file")
    return files


@dataclass(frozen=True)
class Fold:
    """One of several folds, counted from 1."""

    number: int
    count: int


def read_splits(
    data: Data,
    directory: Path,
    seed: int,
    fold: Fold | None,
    reader: DataReader,
    *,
    classification: bool,
    integer_input: bool,
) -> tuple[Preprocessing, Splits]:
    """Read what a data section names and learn the preprocessing from the training part."""
    data_files(data, directory)  # tells of all of them before one is read
    text = {name for name, kind in data.columns.items() if kind == "category"}
    if classification:
        text.update(data.targets)
    if data.split.group:
        text.add(data.split.group)
    table = reader.table(data.source, directory / data.path, text)
    preprocessing, parts = split_table(
        table,
        data.targets,
        data,
        data.split,
        seed,
        fold,
        classification=classification,
        integer_input=integer_input,
    )
    text.update(preprocessing.text)
    files = {
        name: reader.table(data.source, directory / path, text)
        for name in ("validation", "test")
        if isinstance(path := getattr(data.split, name), str)
        and (fold is None or name == "validation")
    }
    return preprocessing, replace(parts, **files)


def split_table(
    table: Table,
    targets: tuple[str, ...],
    columns: Columns,
    split: Split,
    seed: int,
    fold: Fold | None = None,
    *,
    classification: bool,
    integer_input: bool,
) -> tuple[Preprocessing, Splits]:
    """Split the rows of a table by shares and learn the preprocessing from the training part.

    Of a `fold`, the rows that it holds out are the validation part, or the test part where the
    split says what validation is: a share of the rows that the fold leaves, or a file. The split's
    own test part is none of it then.
    """
    named = (split.group, split.order, columns.sample_weights)
    aside = [name for name in named if isinstance(name, str)]
    columns = replace(columns, inputs=_inputs(table, targets, columns, aside))
    table = _in_use(table, [*(columns.inputs or ()), *targets, *aside])
    if columns.sample_weights:
        sample_weights(table, columns.sample_weights)  # a bad one is told whatever part it is in
    rows = _rows_of_splits(_rows(table, targets, columns, split, classification), split, seed, fold)
    preprocessing = fit_preprocessing(
        table,
        rows["train"],
        targets,
        columns,
        classification=classification,
        integer_input=integer_input,
    )
    return preprocessing, Splits(**{name: table.take(part) for name, part in rows.items()})


def _inputs(
    table: Table, targets: tuple[str, ...], columns: Columns, aside: list[str]
) -> tuple[str, ...]:
    """Return the input columns: those listed, or all that are nothing else."""
    for name in columns.exclude:
        column(table, name)
    others = {*columns.exclude, *(() if columns.inputs else (*targets, *aside))}
    return tuple(name for name in columns.inputs or table.columns if name not in others)


def _in_use(table: Table, names: list[str]) -> Table:
    """Return the table of these columns, all of one length."""
    used = {name: column(table, name) for name in names}
    lengths = {name: len(values) for name, values in used.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(
            f"{table.origin}: the columns differ in length ({lengths}); choose those that belong "
            "together with data.inputs"
        )
    if not len(table):
        raise DataError(f"{table.origin}: there are no rows")
    return replace(table, columns=used)


def _rows_of_splits(rows: Rows, split: Split, seed: int, fold: Fold | None) -> dict[str, Array]:
    """Return the rows of the training part and of each held-out part that is of this table."""
    shares = {
        name: part
        for name in ("validation", "test")
        if isinstance(part := getattr(split, name), float)
    }
    if fold is None and not shares and (split.group or split.order):
        problem = "nothing is held out by it: give a share for validation or test, or train.folds"
        raise SpecError([Problem("$.data.split", problem)])
    parts = _random_split(rows, shares, seed)
    if fold is None:
        return parts
    pool = np.delete(np.arange(rows.count), parts.get("test", []))
    known, held_out = rows.take(pool).folds(fold.count, seed)[fold.number - 1]
    if split.validation is None:
        return {"train": pool[known], "validation": pool[held_out]}
    known = pool[known]
    inner = _random_split(rows.take(known), {n: s for n, s in shares.items() if n != "test"}, seed)
    return {"test": pool[held_out], **{name: known[part] for name, part in inner.items()}}


def _random_split(rows: Rows, shares: dict[str, float], seed: int) -> dict[str, Array]:
    if not shares:
        return {"train": np.arange(rows.count)}
    return dict(zip(["train", *shares], rows.split(list(shares.values()), seed), strict=True))


def _rows(
    table: Table, targets: tuple[str, ...], columns: Columns, split: Split, classification: bool
) -> Rows:
    """Return what the split goes by."""
    labels = None
    if split.stratify:
        target = fit_target(table, table, targets, columns, classification=classification)
        if not isinstance(target, ClassTarget):
            problem = "the target holds numbers, which have no classes to keep in proportion"
            raise SpecError([Problem("$.data.split.stratify", problem)])
        labels = target.encode(table)
        if labels.ndim > 1:
            problem = f"the target has {labels.shape[1:]} classes a row, not one to keep a share of"
            raise SpecError([Problem("$.data.split.stratify", problem)])
    if isinstance(split.order, str):
        return Rows(len(table), times=times(table, split.order))
    return Rows(
        len(table),
        labels=labels,
        groups=groups(table, split.group) if split.group else None,
        times=np.arange(len(table)) if split.order else None,
    )
