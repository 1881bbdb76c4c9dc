"""Sources with one mistake each."""

import json
from dataclasses import dataclass, replace

import numpy as np

from nnreg import (
    DataError,
    Source,
    Table,
)
from tests.conformance.broken.drift import DRIFT


@dataclass(frozen=True)
class JsonColumns(Source):
    """A JSON object of columns."""

    @classmethod
    def examples(cls):
        return [(cls(), b'{"a": [1, 2], "b": ["x", null]}')]

    def columns(self, path):
        tree = json.loads(path.read_bytes())
        types = {name: object if "x" in column else float for name, column in tree.items()}
        return {name: np.array(column, types[name]) for name, column in tree.items()}

    def read(self, path):
        try:
            return Table(self.columns(path))
        except (ValueError, AttributeError) as error:
            raise DataError(f"{path}: not a JSON object: {error}") from error


@dataclass(frozen=True)
class CrashingSource(JsonColumns):
    """A JSON object of columns."""

    def read(self, path):
        return Table(self.columns(path))


@dataclass(frozen=True)
class UnevenSource(JsonColumns):
    """A JSON object of columns, one of them truncated."""

    def columns(self, path):
        columns = super().columns(path)
        return {**columns, "b": columns["b"][:1]}


@dataclass(frozen=True)
class NonDeterministicSource(JsonColumns):
    """A JSON object of columns."""

    def columns(self, path):
        columns = super().columns(path)
        return {**columns, "a": columns["a"] + next(DRIFT)}


@dataclass(frozen=True)
class IncompleteChunks(JsonColumns):
    """A JSON object of columns."""

    def iter_chunks(self, path, text=()):
        table = self.read(path)
        yield table.slice_rows(slice(0, 1))
        yield table.slice_rows(slice(0, 1))


@dataclass(frozen=True)
class MissingFile(JsonColumns):
    """A JSON object of columns."""

    def files(self, path):
        return path, path.with_name("missing")


class JsonRows:
    """Reads rows on demand; what it gives is decided by its source."""

    required = True
    size = 1

    def __init__(self, source, path):
        self.source, self.path = source, path
        self.content = path.read_bytes()
        self.starts = np.array([0, 4, 8])

    def iter_chunks(self, path, text):
        self.table = as_text(self.source.read(self.path), text)
        yield self.table.slice_rows(slice(0, 4))
        yield self.table.slice_rows(slice(4, 8))

    def read(self, segments, names):
        self.source.require_unchanged(self)
        columns = {name: self.table.columns[name] for name in names}
        yield from self.source.selected(replace(self.table, columns=columns), segments)


def as_text(table, names):
    """Return the table with these columns as text."""
    numeric = [name for name in names if table.columns[name].dtype == float]
    texts = {
        name: np.array([f"{cell:03g}" for cell in table.columns[name]], object) for name in numeric
    }
    return replace(table, columns={**table.columns, **texts})


def changed(columns, change):
    return {name: change(column) for name, column in columns.items()}


@dataclass(frozen=True)
class JsonOnDemand(JsonColumns):
    """A JSON object of columns, of which some rows can be read."""

    @classmethod
    def examples(cls):
        return [(cls(), b'{"a": [1, 2, 3, 4, 5, 6, 7, 9], "b": [' + 7 * b'"x",' + b"null]}")]

    def iter_chunks(self, path, text=()):
        yield as_text(self.read(path), text)

    def rows(self, path):
        return JsonRows(self, path)

    def require_unchanged(self, reader):
        if reader.path.read_bytes() != reader.content:
            raise DataError(f"{reader.path}: the file has changed")

    def selected(self, table, segments):
        """Yield the rows of each segment, those before the fifth one apart from later ones."""
        for start, stop in segments:
            middle = min(max(start, 4), stop)
            for ends in ((start, middle), (middle, stop)):
                if ends[0] < ends[1]:
                    yield table.slice_rows(slice(*ends))


class HalfOfJson(JsonRows):
    def iter_chunks(self, path, text):
        yield next(super().iter_chunks(path, text))


@dataclass(frozen=True)
class SkipsRows(JsonOnDemand):
    """A JSON object of columns, of which all rows are read without the last ones."""

    def rows(self, path):
        return HalfOfJson(self, path)


@dataclass(frozen=True)
class ShiftsRows(JsonOnDemand):
    """A JSON object of columns, of which the row after the one that was asked for is read."""

    def selected(self, table, segments):
        for start, stop in segments:
            yield table.take(np.minimum(np.arange(start, stop) + 1, 7))


@dataclass(frozen=True)
class JoinsSegments(JsonOnDemand):
    """A JSON object of columns, of which all segments are read as one table."""

    def selected(self, table, segments):
        yield table.take(np.concatenate([np.arange(*segment) for segment in segments]))


@dataclass(frozen=True)
class OneRowMore(JsonOnDemand):
    """A JSON object of columns, of which the row after the last segment is read too."""

    def selected(self, table, segments):
        yield from super().selected(table, segments)
        yield table.slice_rows(slice(segments[-1][1] - 1, segments[-1][1]))


@dataclass(frozen=True)
class OtherTypes(JsonOnDemand):
    """A JSON object of columns, of which rows have texts of numbers."""

    def selected(self, table, segments):
        for part in super().selected(table, segments):
            yield as_text(part, table.columns)


@dataclass(frozen=True)
class EmptyTexts(JsonOnDemand):
    """A JSON object of columns, of which missing texts are empty ones in rows."""

    def selected(self, table, segments):
        for part in super().selected(table, segments):
            filled = changed(part.columns, lambda one: np.where(np.equal(one, None), "", one))
            yield replace(part, columns=filled)


@dataclass(frozen=True)
class NoLocations(JsonOnDemand):
    """A JSON object of columns, of which rows do not know their numbers."""

    def selected(self, table, segments):
        for part in super().selected(table, segments):
            yield replace(part, row_numbers=None)


@dataclass(frozen=True)
class ForgetsText(JsonOnDemand):
    """A JSON object of columns, of which rows have numbers where text was asked for."""

    def selected(self, table, segments):
        return super().selected(self.numbers(table), segments)

    def numbers(self, table):
        read = {name: one.astype(float) for name, one in table.columns.items() if one[0] == "001"}
        return replace(table, columns={**table.columns, **read})


@dataclass(frozen=True)
class StartsAlone(JsonOnDemand):
    """A JSON object of columns, of which nothing says how many rows there are."""

    def rows(self, path):
        reader = super().rows(path)
        reader.starts = reader.starts[:-1]
        return reader


@dataclass(frozen=True)
class NeverLooks(JsonOnDemand):
    """A JSON object of columns, of which rows are read from a file that has changed."""

    def require_unchanged(self, reader):
        pass


@dataclass(frozen=True)
class UnnamedFile(JsonOnDemand):
    """A JSON object of columns, whose error does not say which file has changed."""

    def require_unchanged(self, reader):
        if reader.path.read_bytes() != reader.content:
            raise DataError("the file has changed")


BROKEN = {
    "damaged files": [CrashingSource],
    "reads": [UnevenSource],
    "repeatable": [NonDeterministicSource],
    "chunks": [IncompleteChunks, MissingFile],
    "rows on demand": [
        SkipsRows,
        ShiftsRows,
        JoinsSegments,
        OneRowMore,
        OtherTypes,
        EmptyTexts,
        NoLocations,
        ForgetsText,
        StartsAlone,
    ],
    "changed file": [NeverLooks, UnnamedFile],
}
