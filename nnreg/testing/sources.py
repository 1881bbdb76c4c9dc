"""The conformance checks of data sources. Each takes a source and the content of a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.errors import DataError
from nnreg.interfaces.source import Source
from nnreg.tables.concat import concat_chunks
from nnreg.tables.lazy import materialize


@dataclass(frozen=True)
class SourceCase:
    """A source and the bytes of a file that it reads; None if its class has no example."""

    source: Source
    content: bytes | None

    def __str__(self) -> str:
        return str(self.source)


DAMAGED = (b"", b"\x00\xff\xfe not a file of any format \x80", b"{", b"PK\x03\x04 cut off")


def damaged_files(case: SourceCase) -> None:
    """A file that it cannot read raises DataError with the name of the file, and no other error."""
    contents = list(DAMAGED)
    if case.content is not None:
        contents.append(case.content[: len(case.content) // 2])
    for content in contents:
        try:
            _read(case.source, content)
        except DataError as error:
            if "data.file" not in str(error):
                raise AssertionError(
                    f"{case}: the error does not name the file: {error}"
                ) from error


def reads(case: SourceCase) -> None:
    """Columns of the example have equal length, and are numbers, or text with None for missing."""
    if case.content is None:
        return
    columns = _read(case.source, case.content)
    if not columns:
        raise AssertionError(f"{case}: the table of its example has no columns")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise AssertionError(f"{case}: columns of different lengths: {lengths}")
    for name, column in columns.items():
        text = column.dtype == object and all(v is None or isinstance(v, str) for v in column)
        if not text and column.dtype.kind not in "biuf":
            raise AssertionError(
                f"{case}: column {name!r} is neither numbers nor objects that are text or None"
            )


def repeatable(case: SourceCase) -> None:
    """Reading the example again gives the same table, and does not modify the file."""
    if case.content is None:
        return
    first, again = (_read(case.source, case.content) for _ in range(2))
    if first.keys() != again.keys() or not all(_equal(first[n], again[n]) for n in first):
        raise AssertionError(f"{case}: the table read again differs")


def chunks(case: SourceCase) -> None:
    """The chunks together are the table; the files that it lists exist."""
    if case.content is None:
        return
    with _written(case.content) as path:
        for file in case.source.files(path):
            if not file.is_file():
                raise AssertionError(f"{case}: it lists a file that does not exist: {file.name}")
        table, joined = case.source.read(path), concat_chunks(case.source, path)
    if table.columns.keys() != joined.columns.keys():
        raise AssertionError(f"{case}: its chunks have other columns than its table")
    for name, column in table.columns.items():
        one, other = materialize(column), materialize(joined.columns[name])
        numbers = one.dtype.kind in "biuf" and other.dtype.kind in "biuf"
        same = one.shape == other.shape and (
            np.allclose(one, other, equal_nan=True) if numbers else _equal(one, other)
        )
        if not same:
            raise AssertionError(f"{case}: column {name!r} of its chunks differs")


CHECKS = (damaged_files, reads, repeatable, chunks)


def checks_of(cls: type[Source]) -> Sequence[Any]:
    """Return the checks that apply to this class: only one without an example."""
    return CHECKS if list(cls.examples()) else (damaged_files,)


def cases(example: Source | tuple[Source, bytes]) -> Sequence[SourceCase]:
    """Return the source with the bytes of a file."""
    if isinstance(example, Source):
        return [SourceCase(example, None)]
    return [SourceCase(*example)]


def _equal(one: Array, other: Array) -> bool:
    return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")


@contextmanager
def _written(content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "data.file"
        path.write_bytes(content)
        yield path


def _read(source: Source, content: bytes) -> dict[str, Array]:
    """Return the columns of a file with these bytes, all in memory."""
    with _written(content) as path:
        columns = {name: materialize(column) for name, column in source.read(path).columns.items()}
        if path.read_bytes() != content:
            raise AssertionError(f"{source}: reading modified the file")
    return columns
