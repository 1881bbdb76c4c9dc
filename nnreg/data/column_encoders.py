"""Encoders of columns and targets: from raw values to arrays, and from outputs to units.

Each is a frozen dataclass that is stored in the checkpoint as JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn, TypeAlias

import numpy as np
from annotated_types import Ge, Len

from nnreg._types import Array, Shape
from nnreg._utils.suggestions import suggest
from nnreg.errors import DataError
from nnreg.interfaces.component import Configurable, Positive
from nnreg.tables.columns import categorical, column, first_marked, numbers, single
from nnreg.tables.table import Table


@dataclass(frozen=True)
class NumericColumn(Configurable):
    """A numeric column: (value - mean) / std; a missing value becomes `fill`, if given."""

    name: str
    mean: float
    std: Positive
    fill: float | None
    type: Literal["number"] = "number"

    @property
    def shape(self) -> Shape:
        """The shape of one encoded value."""
        return (1,)

    def encode(self, table: Table) -> Array:
        """Return `(rows, 1)`."""
        values = single(numbers(table, self.name), table, self.name)
        missing = np.isnan(values)
        if missing.any():
            if self.fill is None:
                _refuse_missing(table, self.name, missing)
            else:
                values[missing] = self.fill
        return ((values - self.mean) / self.std)[:, None]


@dataclass(frozen=True)
class CategoricalColumn(Configurable):
    """A categorical column, one-hot encoded; with `other`, all others are one more category."""

    name: str
    categories: tuple[str, ...]
    fill: str | None
    ignore_unseen: bool
    type: Literal["category"] = "category"
    other: bool = False

    @property
    def shape(self) -> Shape:
        """The shape of one encoded value."""
        return (len(self.categories) + self.other,)

    def encode(self, table: Table) -> Array:
        """Return `(rows, categories)`."""
        cells = single(categorical(table, self.name), table, self.name)
        missing = cells.codes < 0
        if self.fill is None and missing.any():
            _refuse_missing(table, self.name, missing)
        position_of = {category: position for position, category in enumerate(self.categories)}
        unseen = len(self.categories) if self.other else -1
        known = [position_of.get(category, unseen) for category in cells.categories]
        if not self.ignore_unseen:
            where, unknown = first_marked(table, self.name, cells, np.less(known, 0))
            if unknown is not None:
                raise DataError(
                    f"{where}: unknown category {unknown!r}{suggest(unknown, position_of)} "
                    '(or set data.unseen to "ignore")'
                )
        positions = cells.each(known, position_of.get(self.fill or "", -1), np.intp)
        return np.equal(positions[:, None], np.arange(*self.shape)).astype(np.float64)


@dataclass(frozen=True)
class ArrayColumn(Configurable):
    """A column of arrays, such as images: the only input, with one mean and std for all values."""

    name: str
    shape: tuple[Annotated[int, Ge(0)], ...]
    mean: float
    std: Positive
    integer: bool = False
    type: Literal["values"] = "values"

    def encode(self, table: Table) -> Array:
        """Return `(rows, *shape)`."""
        shape = column(table, self.name).shape[1:]
        if shape != self.shape:
            raise DataError(
                f"{table.origin}: column {self.name!r} has examples of shape "
                f"{shape}; the model expects {self.shape}"
            )
        values = complete_column(table, self.name)
        if self.integer:
            return values.astype(np.int64)
        values -= self.mean  # in place: the array may be large
        values /= self.std
        return values


@dataclass(frozen=True)
class ClassTarget(Configurable):
    """A categorical target; class numbers are positions in `names`."""

    name: str
    names: Annotated[tuple[str, ...], Len(1)]
    type: Literal["classes"] = "classes"

    def encode(self, table: Table) -> Array:
        """Return class numbers `(rows, ...)`."""
        cells = categorical(table, self.name)
        missing = cells.codes < 0
        if missing.any():
            _refuse_missing(table, self.name, missing, target=True)
        number_of = {name: number for number, name in enumerate(self.names)}
        known = [number_of.get(category, -1) for category in cells.categories]
        where, unknown = first_marked(table, self.name, cells, np.less(known, 0))
        if unknown is not None:
            raise DataError(f"{where}: unknown class {unknown!r}{suggest(unknown, self.names)}")
        return cells.each(known, -1, np.intp)


@dataclass(frozen=True)
class NumericTarget(Configurable):
    """A numeric target of one or more columns, each scaled as (value - mean) / std."""

    names: Annotated[tuple[str, ...], Len(1)]
    mean: tuple[float, ...]
    std: tuple[Positive, ...]
    type: Literal["numbers"] = "numbers"

    def encode(self, table: Table) -> Array:
        """Return `(rows, columns)` in the target's own units, or a column of arrays unchanged."""
        columns = [complete_column(table, name, target=True) for name in self.names]
        if len(columns) == 1 and columns[0].ndim > 1:
            return columns[0]
        return np.stack(columns, axis=1)

    def scale(self, values: Array) -> Array:
        """Convert values in the target's own units to the scale of the network's outputs."""
        scaled: Array = (values - np.array(self.mean)) / np.array(self.std)
        return scaled

    def unscale(self, y: Array) -> Array:
        """Convert the network's outputs to the target's own units."""
        values: Array = y.astype(np.float64) * np.array(self.std) + np.array(self.mean)
        return values


Input: TypeAlias = NumericColumn | CategoricalColumn | ArrayColumn
Target: TypeAlias = ClassTarget | NumericTarget


def complete_column(table: Table, name: str, *, target: bool = False) -> Array:
    """Return a numeric column. Raises `DataError` if a value is missing."""
    values = numbers(table, name)
    missing = np.isnan(values)
    if missing.any():
        _refuse_missing(table, name, missing, target=target)
    return values


def _refuse_missing(table: Table, name: str, missing: Array, *, target: bool = False) -> NoReturn:
    row = int(np.argwhere(missing)[0][0])
    fix = "fix or remove the row" if target else 'fix it, or set data.missing to "impute"'
    what = "the target is missing" if target else "the value is missing"
    raise DataError(f"{table.location(row, name)}: {what}; {fix}")
