"""Sources with one mistake each."""

import json
from dataclasses import dataclass

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


BROKEN = {
    "damaged files": [CrashingSource],
    "reads": [UnevenSource],
    "repeatable": [NonDeterministicSource],
    "chunks": [IncompleteChunks, MissingFile],
}
