"""The conformance checks of encoders. Each takes an encoder and a column that it learns from."""

from __future__ import annotations

import reprlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np

from nnreg._types import Array
from nnreg.data.input_columns import (
    InputColumn,
    checked_encode,
    checked_learn,
    checked_learner,
    checked_sequences,
)
from nnreg.errors import DataError
from nnreg.interfaces.encoder import Encoder, RawColumn
from nnreg.registry.registry import installed
from nnreg.spec.validation import Reader, read, to_json
from nnreg.tables.table import Table
from nnreg.testing.assertions import same
from nnreg.testing.components import with_class
from nnreg.testing.finite_differences import points

ROWS = 12

MANY_ROWS = 10_000
"""More than are added up at once by what learns a mean."""

TEXTS = ("red", "dark red", "blue", "red", "7", "blue", "green tea", "red")

DATES = ("2024-02-29", "1999-12-31", "2024-02-29", "2001-06-15", "1970-01-01", "2030-07-04")


@dataclass(frozen=True)
class EncoderCase:
    """An encoder and a column that it takes."""

    encoder: Encoder
    column: RawColumn

    def __str__(self) -> str:
        return str(self.encoder)

    def learned(self) -> Encoder:
        """Return the encoder with what it learns from the column."""
        return checked_learn(self.encoder, self.column)


def returns(case: EncoderCase) -> None:
    """It learns what JSON can represent, and returns finite numbers of its shape."""
    encoded = encoded_rows(case.learned(), case.column)
    if not all(np.isfinite(row).all() for row in encoded):
        raise AssertionError(f"{case}: an encoded value is not finite")


def checkpoint(case: EncoderCase) -> None:
    """What it learned is equal after a round trip through JSON, as in a checkpoint."""
    learned = case.learned()
    registry = with_class(installed(), type(learned))
    tree = to_json(InputColumn("x", learned), registry)
    again = read(InputColumn, tree, Reader(registry)).encoder
    if again != learned:
        raise AssertionError(f"{case}: a round trip through the JSON {tree} gave {again}")


def learns_again(case: EncoderCase) -> None:
    """What it learns replaces what it learned before, so that it can learn again."""
    learned = case.learned()
    again = checked_learn(learned, case.column)
    if again != learned:
        raise AssertionError(f"{case}: learning again from the same rows gave {again}")


def repeatable(case: EncoderCase) -> None:
    """Results for the same column are identical, and the column is not modified."""
    before = case.column.values.copy()
    learned = case.learned()
    if learned != case.learned():
        raise AssertionError(f"{case}: it learned something else from the same rows")
    again = encoded_rows(learned, case.column)
    for row, first in enumerate(encoded_rows(learned, case.column)):
        same(case, f"row {row} encoded again", again[row], first)
    same(case, "the raw column", case.column.values, before)


def training_rows(case: EncoderCase) -> None:
    """`encode_training` returns finite numbers of the encoder's shape, the same each time."""
    learned, before = case.learned(), case.column.values.copy()
    first = checked_encode(learned, case.column, "encode_training")
    if not np.isfinite(first).all():
        raise AssertionError(f"{case}: an encoded value of a training row is not finite")
    again = checked_encode(learned, case.column, "encode_training")
    same(case, "the training rows encoded again", again, first)
    same(case, "the raw column", case.column.values, before)


def rows_alone(case: EncoderCase) -> None:
    """A row is encoded the same alone as among others."""
    learned = case.learned()
    for row, among_others in enumerate(encoded_rows(learned, case.column)):
        (alone,) = encoded_rows(learned, case.column.take(np.array([row])))
        same(case, f"row {row} encoded alone", alone, among_others)


def other_rows(case: EncoderCase) -> None:
    """Other values than those it learned from are encoded, or raise DataError that locates them."""
    learned = case.learned()
    for values in _values(case.encoder):
        column = RawColumn.of(values, case.encoder.takes, name="other")
        try:
            encoded_rows(learned, column)
        except DataError as error:
            if "'other'" not in str(error):
                raise AssertionError(
                    f"{case}: the error does not name the column: {error}; use column.require"
                ) from error


def learns_in_parts(case: EncoderCase) -> None:
    """From parts of the rows, some of them empty, it learns bit for bit what all rows give."""
    for column, sizes in ((case.column, (1, 5)), (_longer(case.column), (999, 8192))):
        learned, rows = checked_learn(case.encoder, column), np.arange(len(column))
        for size in sizes:
            learner = checked_learner(case.encoder, column.name)
            if learner is None:
                return
            for start in range(0, len(column), size):
                learner.add(column.take(rows[:0]))  # all values of a part were missing
                learner.add(column.take(rows[start : start + size]))
            learner.add(column.take(rows[:0]))
            _require_same_learned(
                f"{case}: from parts of {size} of {len(column)} rows", learner.encoder(), learned
            )


def _require_same_learned(what: str, found: Encoder, expected: Encoder) -> None:
    for field in fields(cast(Any, expected)):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if one != other:
            raise AssertionError(
                f"{what}, it learned {field.name!r} = {reprlib.repr(one)}, from all at once "
                f"{reprlib.repr(other)}"
            )


CHECKS = (
    returns,
    checkpoint,
    learns_again,
    learns_in_parts,
    repeatable,
    training_rows,
    rows_alone,
    other_rows,
)


def encoded_rows(encoder: Encoder, column: RawColumn) -> list[Array]:
    """Return the encoded value of each row."""
    if not encoder.makes_sequences:
        return list(checked_encode(encoder, column))
    steps, lengths = checked_sequences(encoder, column)
    return np.split(steps, np.cumsum(lengths)[:-1])


def checks_of(cls: type[Encoder]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    optional = {
        training_rows: cls.encode_training is not Encoder.encode_training,
        learns_in_parts: cls.learner is not Encoder.learner,
    }
    return [check for check in CHECKS if optional.get(check, True)]


def cases(example: Encoder | tuple[Encoder, Any]) -> Sequence[EncoderCase]:
    """Return the encoder with the columns that it takes."""
    if not isinstance(example, Encoder):
        encoder, values = example
        return [EncoderCase(encoder, _column(encoder, values))]
    taken = [values for values in _values(example) if _takes(example, values)]
    return [EncoderCase(example, _column(example, values)) for values in taken]


def _column(encoder: Encoder, values: Any) -> RawColumn:
    return RawColumn.of(values, encoder.takes, target=np.arange(len(values)) % 2)


def _longer(column: RawColumn) -> RawColumn:
    """Return a column of many rows; one of text has its categories, as in the parts of a file."""
    rows = np.random.default_rng(0).integers(0, len(column), MANY_ROWS)
    values = (column.categories if column.takes == "text" else column.values)[rows]
    target = None if column.target is None else column.target[rows]
    return replace(column, table=Table({column.name: values}), target=target)


def _values(encoder: Encoder) -> list[Any]:
    numbers = points((ROWS,))
    columns: dict[str, list[Any]] = {
        "numbers": [numbers, 1 + np.abs(numbers), np.arange(ROWS), np.ones(ROWS)],
        "text": [TEXTS, DATES],
        "arrays": [points((4, 3)), points((4, 3, 2)), points((4, 6, 6, 1))],
    }
    return columns[encoder.takes]


def _takes(encoder: Encoder, values: Any) -> bool:
    """Return False for a column that the encoder refuses."""
    case = EncoderCase(encoder, _column(encoder, values))
    try:
        case.learned().encode(case.column)
    except DataError:
        return False
    except Exception:  # it is the check that reports it
        return True
    return True
