"""An input column: its encoder with what it learned, and what becomes of missing values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast

import numpy as np

from nnreg._types import Array, Shape
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.statistics import mean_and_deviation
from nnreg.builtin.encoders import Category, Number
from nnreg.builtin.encoders.categories import category_counts, most_frequent
from nnreg.data.column_summary import ColumnSummary, summarize
from nnreg.data.observations import Learned, observe
from nnreg.data.settings import Columns, Missing
from nnreg.errors import DataError
from nnreg.interfaces.component import Configurable
from nnreg.interfaces.encoder import Encoder, Learner, RawColumn, learned_fields
from nnreg.interfaces.returned import Caller, describe
from nnreg.tables.cells import positions
from nnreg.tables.padded import Padded
from nnreg.tables.ragged import Ragged, of_rows
from nnreg.tables.table import Table


@dataclass(frozen=True)
class ColumnKeys(Configurable):
    """The keys of an input column in a checkpoint besides those of its encoder."""

    name: str
    fill: float | str | None = None
    indicator: bool = False
    summary: ColumnSummary | None = None


@dataclass(frozen=True)
class InputColumn(Configurable):
    """A column, and its encoder with what it learned from the training rows.

    A missing value becomes `fill`, if given. With `indicator`, one more number is 1 where the value
    is missing, and 0 elsewhere. New rows are compared with the `summary` of the training rows, if
    there is one. In JSON, the keys of the encoder are beside these.
    """

    name: str
    encoder: Encoder
    fill: float | str | None = None
    indicator: bool = False
    summary: ColumnSummary | None = None

    def __post_init__(self) -> None:
        if self.fill is not None and isinstance(self.fill, str) != (self.encoder.takes == "text"):
            raise ValueError(f"fill: must be what the encoder takes, found {self.fill!r}")
        known = self.encoder.known_texts
        if isinstance(self.fill, str) and known and positions((self.fill,), tuple(known))[0] < 0:
            raise ValueError(f"fill: must be one of the categories, found {self.fill!r}")
        if self.indicator and (len(self.encoder.shape) != 1 or self.encoder.integer):
            raise ValueError("indicator: must be false for integers and arrays")

    @property
    def shape(self) -> Shape:
        """The shape of one encoded value, with its indicator."""
        own = self.encoder.shape
        return (own[0] + 1,) if self.indicator else own

    @property
    def replaces_missing(self) -> bool:
        """Whether a missing value becomes `fill`, and is not refused or left to the encoder."""
        return self.fill is not None and not (self.indicator and self.encoder.takes_missing)

    @property
    def alone(self) -> bool:
        """Whether it must be the only column of its input."""
        return self.encoder.takes == "arrays" or len(self.shape) != 1 or bool(self.encoder.integer)

    def raw(self, table: Table) -> RawColumn:
        """Return the column of a table as the encoder reads it."""
        return raw_column(table, self.name, self.encoder)

    def encode(self, table: Table) -> Array:
        """Return the encoded values `(rows, *shape)`.

        Raises `DataError` for values that cannot be encoded, `PluginError` for an encoder that
        returns something else.
        """
        column, missing = self._complete(table)
        return self._with_indicator(checked_encode(self.encoder, column), missing)

    @property
    def encodes_training(self) -> bool:
        """Whether the training rows are encoded in another way than later ones."""
        return type(self.encoder).encode_training is not Encoder.encode_training

    def encode_training(self, table: Table, target: Array | None) -> Array:
        """Return the encoded values of the training rows, for an encoder that needs their target.

        A row whose value is missing has no part in what the others become.
        """
        column, missing = self._complete(table)
        known = np.flatnonzero(~missing)
        of_known = replace(self.raw(table), target=target).take(known)
        encoded = checked_encode(self.encoder, column)
        encoded[known] = checked_encode(self.encoder, of_known, "encode_training")
        return self._with_indicator(encoded, missing)

    def encode_sequences(self, table: Table) -> tuple[Array, Array]:
        """Return the sequences that the values become, as `checked_sequences` does."""
        return checked_sequences(self.encoder, self._complete(table)[0])

    def _with_indicator(self, encoded: Array, missing: Array) -> Array:
        return np.hstack([encoded, missing[:, None]]) if self.indicator else encoded

    def _complete(self, table: Table) -> tuple[RawColumn, Array]:
        """Return the column as its encoder gets it, and which values are missing.

        Raises `DataError` for a missing value that nothing replaces.
        """
        column = raw = self.raw(table)
        missing = raw.missing
        if missing.any() and not (self.indicator and self.encoder.takes_missing):
            if self.fill is None:
                column.require_complete()
            else:
                column = column.filled(self.fill)
        observe(raw, missing, Learned(self.encoder, self.fill, self.summary))
        return column, missing


def raw_column(table: Table, name: str, encoder: Encoder) -> RawColumn:
    """Return a column of a table as an encoder reads it."""
    return RawColumn(name, table, encoder.takes, encoder.known_texts, encoder.number_texts)


def _caller(encoder: Encoder, column: RawColumn) -> Caller:
    return Caller(encoder, f"encoder of {column.name!r}")


def checked_encode(encoder: Encoder, column: RawColumn, method: str = "encode") -> Array:
    """Return what a method of an encoder returns, as `(rows, *shape)`."""
    caller, shape = _caller(encoder, column), (len(column), *encoder.shape)
    if not len(column):
        return np.zeros(shape, np.intp if encoder.integer else np.float64)
    encoded = caller.call(method, column)
    kinds = "iu" if encoder.integer and encoder.takes != "arrays" else "biuf"
    if isinstance(encoded, np.ndarray) and encoded.dtype.kind in kinds:
        if encoded.shape == shape:
            return encoded
        if (*encoded.shape, 1) == shape:
            return encoded[:, None]
    hint = "; add a return statement" if encoded is None else ""
    what = "integers" if kinds == "iu" else "numbers"
    expected = f"an array of {what} of shape {shape}"
    raise caller.error(method, f"returned {describe(encoded)}; expected {expected}{hint}")


def checked_sequences(encoder: Encoder, column: RawColumn) -> tuple[Array, Array]:
    """Return the steps that an encoder returns, of all rows in order, and the length of each row.

    Raises `PluginError` for something else than sequences of integers.
    """
    if not len(column):
        return np.zeros((0, *encoder.shape), np.intp), np.zeros(0, np.intp)
    caller = _caller(encoder, column)
    encoded = caller.call("encode", column)
    found = of_rows(encoded.values, encoded.lengths) if isinstance(encoded, Padded) else encoded
    if isinstance(found, Ragged) and len(found) == len(column) and found.dtype.kind in "iu":
        steps = found.steps
        if isinstance(steps, np.ndarray) and steps.shape[1:] == encoder.shape:
            return steps, found.lengths
    expected = f"{len(column)} sequences of integers, each step of shape {encoder.shape}"
    raise caller.error("encode", f"returned {describe(encoded)}; expected {expected}")


def checked_learn(encoder: Encoder, column: RawColumn) -> Encoder:
    """Return an encoder with what it learns from training rows, in a form that JSON can have."""
    caller = _caller(encoder, column)
    found = caller.call("learn", column)
    if type(found) is not type(encoder):
        expected = f"a {type(encoder).__name__}, as of dataclasses.replace(self, …)"
        raise caller.error("learn", f"returned {describe(found)}; expected {expected}")
    own = learned_fields(type(encoder))
    for field in dataclasses.fields(cast(Any, encoder)):
        value = getattr(found, field.name)
        if field.name not in own and value != getattr(encoder, field.name):
            raise caller.error(
                "learn", f"changed the option {field.name!r}; expected it in a field of `learned`"
            )
        if field.name in own:
            _require_json(caller, field.name, value)
    return found


def checked_learner(encoder: Encoder, name: str) -> Learner | None:
    """Return what learns from rows in parts; None if the encoder needs all of them."""
    found: Learner | None = Caller(encoder, f"encoder of {name!r}").call("learner")
    return found


def _require_json(caller: Caller, name: str, value: Any) -> None:
    if not _is_json(value):
        text = (
            f"learned {describe(value)} as {name!r}, which a checkpoint cannot have; expected "
            "finite numbers and text, in tuples or mappings, as of tuple(array.tolist())"
        )
        raise caller.error("learn", text)


def _is_json(value: Any) -> bool:
    """Return True for what JSON represents exactly; NumPy's float64 is a float, its int64 none."""
    if isinstance(value, list | tuple):
        return all(map(_is_json, value))
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and _is_json(item) for key, item in value.items())
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, str | int)


def missing_of(encoder: Encoder, columns: Columns) -> Missing | None:
    """Return what becomes of missing values of a column with this encoder."""
    missing = columns.missing
    if not isinstance(encoder, Number) or encoder.add_indicator is None:
        return missing
    without: Missing | None = "impute" if missing == "indicate" else missing
    return "indicate" if encoder.add_indicator else without


def learn_column(
    encoder: Encoder, column: RawColumn, missing: Missing | None, *, integer: bool = False
) -> InputColumn:
    """Return the input column that an encoder learns from training rows.

    `missing` is the setting of the spec. With `indicate`, there is an indicator if a value is
    missing. `integer` is for a network that takes integers.

    Raises `DataError` for a missing value that the setting does not allow in training rows.
    """
    if column.in_file:  # one that must be complete is checked as it is read
        return InputColumn(column.name, checked_learn(encoder, column))
    if missing in (None, "refuse"):
        column.require_complete()
    absent = column.missing
    known = column.take(np.flatnonzero(~absent)) if absent.any() else column
    found = checked_learn(encoder, known)
    return input_column(column.name, found, _Known(known, int(absent.sum())), missing, integer)


class KnownRows(Protocol):
    """The training rows of a column, as far as its replacement and its summary need them."""

    @property
    def missing(self) -> int:
        """How many rows have no value."""

    def typical(self) -> float | str | None:
        """Return the mean, or the most frequent text; None if nothing is known, or of arrays."""

    def repeats(self) -> bool:
        """Return whether a text is in several rows."""

    def summary(self, encoder: Encoder) -> ColumnSummary | None:
        """Return what new rows are compared with."""


@dataclass(frozen=True)
class _Known:
    """The rows in memory that have a value, and the number of those that have none."""

    known: RawColumn
    missing: int

    def typical(self) -> float | str | None:
        if not len(self.known) or self.known.takes == "arrays":
            return None
        if self.known.takes == "text":
            return most_frequent(category_counts(self.known.categories))[0]
        return float(mean_and_deviation(self.known.values)[0])

    def repeats(self) -> bool:
        return bool((self.known.categories.counts() > 1).any())

    def summary(self, encoder: Encoder) -> ColumnSummary | None:
        return summarize(self.known, encoder, self.missing)


def input_column(
    name: str, found: Encoder, rows: KnownRows, missing: Missing | None, integer: bool
) -> InputColumn:
    """Return the input column of an encoder with what it learned; see `learn_column`."""
    fill = None
    if missing != "refuse":
        fill = found.replacement if found.replacement is not None else rows.typical()
    if missing is None and not _is_typical(fill, rows, found, integer):
        fill = None
    some = rows.missing > 0
    indicator = missing == "indicate" and some and len(found.shape) == 1 and not found.integer
    return InputColumn(name, found, fill, indicator, rows.summary(found))


def _is_typical(fill: float | str | None, rows: KnownRows, encoder: Encoder, integer: bool) -> bool:
    """Return whether a replacement can stand for a value without being asked for.

    A mean is not an integer; and of texts that are all different, such as reviews, none is typical
    unless they are the categories, or the encoder has one.
    """
    if encoder.replacement is not None:
        return True
    if not isinstance(fill, str):
        return not (integer or encoder.integer)
    return bool(encoder.known_texts or rows.repeats())


def require_encoded_memory(table: Table, column: InputColumn) -> None:
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
