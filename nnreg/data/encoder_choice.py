"""Which encoder an input column has: that of the spec, or one that its values suggest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from nnreg.builtin.encoders import Category, Number, Values
from nnreg.builtin.encoders.scaling import Scaling
from nnreg.data.settings import Columns
from nnreg.data.target_fitting import is_categorical
from nnreg.errors import DataError
from nnreg.interfaces.encoder import Encoder
from nnreg.tables.column_types import warn_of_texts
from nnreg.tables.columns import categorical
from nnreg.tables.table import Table


def encoder_of(
    table: Table, name: str, columns: Columns, integer: bool, *, by_step: bool
) -> Encoder:
    """Return the encoder of the spec for a column, or that of its type, with every option set.

    `by_step` is for the only column of an input of sequences, whose steps are the rows.
    """
    encoder = columns.columns.get(name)
    several = table.columns[name].ndim > 1
    if not several and encoder is not None and encoder.takes == "arrays":
        raise DataError(
            f"{table.origin}: column {name!r} has one value per row, but its encoder takes arrays; "
            f"choose another one in data.columns"
        )
    scaling: Scaling = "none" if integer else columns.scaling
    if several and (encoder is None or isinstance(encoder, Number | Category)):
        return Values(scaling, integer=integer)
    if encoder is None:
        encoder = _inferred(table, name, columns, integer)
    if getattr(encoder, "unseen", "") is None:
        encoder = replace(cast(Any, encoder), unseen=columns.unseen)
    match encoder:
        case Number() if by_step and integer:
            return Values("none", integer=True)  # a step has no axis
        case Number():
            return replace(encoder, scaling="none" if integer else encoder.scaling or scaling)
        case Values():
            encoder = replace(encoder, scaling=encoder.scaling or scaling)
            return replace(encoder, integer=integer)
        case Category() if integer:
            raise DataError(
                f"{table.origin}: column {name!r} is categorical and would be one-hot encoded, but "
                "the network takes integers; write its values as integers, or list it in 'exclude'"
            )
        case Category():
            kept = encoder.max_categories or columns.max_categories
            return replace(encoder, max_categories=kept)
    return encoder


def _inferred(table: Table, name: str, columns: Columns, integer: bool) -> Encoder:
    """Return the encoder of a column that `data.columns` does not list, by its values."""
    if not is_categorical(table, name, columns):
        return Number() if integer or columns.numbers is None else columns.numbers
    found = Category() if integer or columns.categories is None else columns.categories
    if isinstance(found, Category):
        warn_of_texts(table, name, categorical(table, name))
    return found
