"""The base class of encoders, and the columns that they read."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Protocol, Self, TypeAlias, TypeVar

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.statistics import all_finite
from nnreg.errors import DataError
from nnreg.interfaces.component import Component
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import positions
from nnreg.tables.columns import categorical, column, numbers, single
from nnreg.tables.convert import iter_chunks, table_of
from nnreg.tables.lazy import LazyArray
from nnreg.tables.number_texts import NumberTexts
from nnreg.tables.padded import Padded
from nnreg.tables.ragged import Ragged
from nnreg.tables.table import Table

T = TypeVar("T")

Takes: TypeAlias = Literal["numbers", "text", "arrays"]
"""What an encoder reads: a number, a text, or an array of numbers per row."""

COLUMN_KEYS = ("name", "fill", "indicator", "summary")
"""The keys of an input column in a checkpoint besides those of its encoder."""


def learned(default: T, *, required: bool = True) -> T:
    """Return a field of an encoder for what `learn` finds; `default` is its value before.

    A spec cannot set it. A checkpoint has it as JSON, and its annotation is the schema: a number,
    a text, or a tuple or mapping of these. With `required`, a checkpoint without it is refused.
    """
    metadata = {_LEARNED: required}
    if isinstance(default, list | dict | set):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


_LEARNED = "nnreg_learned"


def learned_fields(cls: type[Any]) -> Mapping[str, bool]:
    """Return whether a checkpoint must have it, for each learned field of an encoder's class."""
    own = dataclasses.fields(cls)
    return {field.name: field.metadata[_LEARNED] for field in own if _LEARNED in field.metadata}


class Encoder(Component):
    """How a column of the data becomes numbers.

    Its fields are the options of an entry in `data.columns`, and, if they are `learned`, what it
    found in the training rows.
    """

    kind = "encoder"
    takes: ClassVar[Takes] = "numbers"
    """What it reads. A column of text is read as text from a file, so that "007" is not 7."""
    takes_missing: ClassVar[bool] = False
    """Whether `encode` gets missing values where `data.missing` is `indicate`, instead of their
    replacements: NaN or None."""
    takes_target: ClassVar[bool] = False
    """Whether `learn` needs the target, as `column.target`."""
    takes_lists: ClassVar[bool] = False
    """Whether a list in a cell is one value, given as the text of a JSON list, and not the steps of
    a sequence; an empty list where the value is missing."""
    makes_sequences: ClassVar[bool] = False
    """Whether a value becomes a sequence of integers, of its own length, instead of one shape."""
    replacement: ClassVar[str | None] = None
    """The text that replaces a missing one, which must be a known one; None for the most frequent
    text in training."""
    numeric: ClassVar[bool] = False
    """Whether the encoded values are scaled numbers, for layers that treat only these in some way,
    such as `periodic_embedding`."""
    integer: bool = False
    """Whether the encoded values are integers, such as token indices."""

    @property
    def shape(self) -> Shape:
        """The shape of one encoded value, or of one step of a sequence."""
        return (1,)

    @property
    def number_texts(self) -> NumberTexts | None:
        """How the numbers that it takes are written in a column of text; None if plainly."""
        return None

    @property
    def reads_text(self) -> bool:
        """Whether a column is read as text from a file, even if all of it is plain numbers."""
        return self.takes == "text" or self.number_texts is not None

    @property
    def index_count(self) -> int | None:
        """The number of categories, if the encoded value is the position of one, 0 to count - 1.

        A network then begins with a layer that takes them, such as `column_embedding`.
        """
        return None

    @property
    def known_texts(self) -> Sequence[str]:
        """The texts that are values even if they mark missing ones, such as "NA"."""
        return ()

    @property
    def example_texts(self) -> Sequence[str]:
        """Texts that it reads, with which an export is checked; by default the known ones."""
        return self.known_texts

    @property
    def ignores_unknown(self) -> bool:
        """Whether a text that is not among `known_texts` is encoded as none, which is reported."""
        return False

    @property
    def refuses_unknown(self) -> bool:
        """Whether a text that is not among `known_texts` is an error."""
        return False

    def learn(self, column: RawColumn) -> Self:
        """Return this encoder with what it learns, by `dataclasses.replace(self, mean=…)`.

        `column` has the training rows, without those whose value is missing.
        """
        return self

    def learner(self) -> Learner | None:
        """Return what learns from training rows that are read in parts, as `learn` does from all.

        None if `learn` needs all of them, as by default unless it is not overridden: a column
        that stays in its file is then read to memory for it, alone.
        """
        return LearnsNothing(self) if type(self).learn is Encoder.learn else None

    def encode(self, column: RawColumn) -> Array | Ragged | Padded:
        """Return one encoded value per row, `(rows, *shape)`; or `(rows,)` for the shape (1,).

        Where `makes_sequences`, return one sequence per row instead, as a `Padded` or a `Ragged`.
        Each row must depend on its own value and on what was learned alone. Raises `DataError`,
        as by `column.require`, for a value that cannot be encoded.
        """
        raise NotImplementedError

    @property
    def infer_takes(self) -> Takes:
        """What `infer` takes: as `takes`, but "numbers" of an encoder whose texts are numbers."""
        return self.takes

    def infer(self, column: Any) -> Any:
        """Return what `encode` returns, for an export that records it.

        `column` has what `encode` may use: recorded `values`, which for text are only for
        `positions` among known texts and `of_texts`, and `require`. By default it is `encode`; one
        of text must override it.
        """
        if self.takes == "text":
            raise NotImplementedError("no format can express what it reads in a text")
        return self.encode(column)

    def infer_sequences(self, column: Any, steps: int) -> Any:
        """Return the number of steps of each row, and after it this many of them, 0 after the end.

        It is `infer` of an encoder that `makes_sequences`: integers `(rows, 1 + steps)`.
        """
        raise NotImplementedError("no format can express the sequences that texts become")

    def text_of(self, encoded: Array) -> str | None:
        """Return the value that becomes these numbers, of one row, as text for a report.

        None if it is unknown, as by default: the report then shows the numbers.
        """
        return None

    def encode_training(self, column: RawColumn) -> Array:
        """Return the encoded values of the training rows, if they differ from those of `encode`.

        For an encoder that takes the target: what a training row becomes must not depend on its own
        target. `column` has all training rows whose value is known, and their `target`; the result
        must be the same each time. A column that stays in its file is encoded by `encode`, and so
        are training rows if this method is not overridden.
        """
        raise NotImplementedError


class Learner(Protocol):
    """Learns what an encoder needs to know of the training rows, a part of them at a time."""

    def add(self, column: RawColumn) -> None:
        """Learn from more rows, without those whose value is missing. Raises `DataError`."""

    def encoder(self) -> Encoder:
        """Return the encoder that `Encoder.learn` returns for all rows, bit for bit."""


@dataclass(frozen=True)
class LearnsNothing:
    """The learner of an encoder that is what it was."""

    known: Encoder

    def add(self, column: RawColumn) -> None:
        """Do nothing."""

    def encoder(self) -> Encoder:
        """Return the encoder."""
        return self.known


@dataclass(frozen=True, eq=False)
class RawColumn:
    """A column of raw values, as an encoder reads it; `RawColumn.of(values)` makes one."""

    name: str
    table: Table
    takes: Takes = "numbers"
    known_texts: Sequence[str] = ()
    number_texts: NumberTexts | None = None
    target: Array | None = None
    """For `learn` and `encode_training`, class numbers `(rows,)` or numbers `(rows, targets)`; None
    where it is not needed."""

    @classmethod
    def of(
        cls, values: Any, takes: Takes = "numbers", *, name: str = "x", target: Any = None
    ) -> RawColumn:
        """Return a column of these values, None where missing, as for a test."""
        aim = None if target is None else np.asarray(target)
        return cls(name, table_of({name: values}), takes, target=aim)

    @property
    def shape(self) -> Shape:
        """The shape of the whole column."""
        return column(self.table, self.name).shape

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def in_file(self) -> bool:
        """Whether its values stay in their file, so that `chunks` are to be preferred."""
        return isinstance(column(self.table, self.name), LazyArray)

    @functools.cached_property
    def values(self) -> Array:
        """What the encoder takes: float64 `(rows,)`, NaN where missing; or str, None where missing.

        Arrays are float64 `(rows, …)`.
        """
        if self.takes == "text":
            return self.categories.text()
        found = numbers(self.table, self.name, self.number_texts)
        return single(found, self.table, self.name) if self.takes == "numbers" else found

    @functools.cached_property
    def categories(self) -> Categorical:
        """A column of text with each text once, as `categories`, and its index per row, as `codes`.

        A missing value has the code -1.
        """
        found = categorical(self.table, self.name, self.known_texts)
        return single(found, self.table, self.name)

    def positions(self, texts: Sequence[str]) -> Array:
        """Return the position of each row's text among these, -1 for others and missing ones."""
        cells = self.categories
        return cells.each(positions(cells.categories, tuple(texts)), -1, np.intp)

    @property
    def missing(self) -> Array:
        """Whether the value of each row is missing, or one of its numbers is."""
        if self.takes == "text":
            return self.categories.codes < 0
        values = self.values
        if all_finite(values):  # much faster than to look at each value
            return np.zeros(len(values), bool)
        found: Array = np.any(np.isnan(values), axis=tuple(range(1, values.ndim)))
        return found

    def chunks(self) -> Generator[RawColumn, None, None]:
        """Yield the rows in chunks, to limit the memory needed for a column in a file."""
        with closing(iter_chunks(self.table, [self.name])) as tables:
            for table in tables:
                yield replace(self, table=table, target=None)

    def take(self, rows: Array) -> RawColumn:
        """Return the column of these rows only; they must ascend."""
        target = None if self.target is None else self.target[rows]
        only = replace(self.table, columns={self.name: column(self.table, self.name)})
        return replace(self, table=only.take(rows), target=target)

    def filled(self, value: float | str) -> RawColumn:
        """Return the column with a value in place of missing ones."""
        if isinstance(value, str):
            cells = self.categories
            names = tuple(dict.fromkeys([*cells.categories, value]))
            codes = np.where(cells.codes < 0, names.index(value), cells.codes)
            return self._replaced(Categorical(names, codes))
        return self._replaced(np.where(np.isnan(self.values), value, self.values))

    def _replaced(self, values: Array | Categorical) -> RawColumn:
        return replace(self, table=replace(self.table, columns={self.name: values}))

    def location(self, row: int) -> str:
        """Return the file, the line and the column of a value, for an error message."""
        return self.table.location(row, self.name)

    def require_complete(self) -> None:
        """Raise `DataError` with the location of the first missing value."""
        missing = self.missing
        if missing.any():
            raise DataError(
                f"{self.location(int(np.argmax(missing)))}: the value is missing; fix it, or set "
                'data.missing to "impute" or "indicate"'
            )

    def require(self, valid: Array, expected: str) -> None:
        """Raise `DataError` with the location of the first row that is not `valid`.

        `expected` completes "found -1.5, expected …", as in "a number > 0".
        """
        if not np.all(valid):
            row = int(np.argmin(valid))
            found = self.values[row]
            shown = f"{found:.6g}" if isinstance(found, float) else repr(found)[:60]
            raise DataError(f"{self.location(row)}: found {shown}, expected {expected}")
