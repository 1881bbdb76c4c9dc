"""What is learned from the training rows: it turns raw rows into arrays, and answers into words.

Each part is a frozen dataclass that goes into the checkpoint as JSON.
"""

from __future__ import annotations

import math
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Annotated, Literal, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Len
from pydantic import FailFast

from nnreg._types import Array, Shape
from nnreg._utils.formatting import byte_size
from nnreg._utils.memory import exceeds_memory
from nnreg._utils.suggestions import suggest
from nnreg.data.settings import Columns
from nnreg.errors import DataError
from nnreg.interfaces.component import Configurable, Positive
from nnreg.tables.column_types import refuse_misread
from nnreg.tables.columns import categorical, column, first_marked, is_numeric, numbers, single
from nnreg.tables.convert import iter_chunks
from nnreg.tables.lazy import BLOCK, LazyArray
from nnreg.tables.table import Table


@dataclass(frozen=True)
class NumericColumn(Configurable):
    """A column of numbers: (value - mean) / std, with `fill` for a missing one if imputed."""

    name: str
    mean: float
    std: Positive
    fill: float | None
    type: Literal["number"] = "number"

    @property
    def shape(self) -> Shape:
        """The shape that one value becomes."""
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
    """A column of words, one-hot: a 1 in the place of its category and 0 elsewhere."""

    name: str
    categories: tuple[str, ...]
    fill: str | None
    ignore_unseen: bool
    type: Literal["category"] = "category"

    @property
    def shape(self) -> Shape:
        """The shape that one value becomes."""
        return (len(self.categories),)

    def encode(self, table: Table) -> Array:
        """Return `(rows, categories)`."""
        cells = single(categorical(table, self.name), table, self.name)
        missing = cells.codes < 0
        if self.fill is None and missing.any():
            _refuse_missing(table, self.name, missing)
        places = {category: place for place, category in enumerate(self.categories)}
        known = [places.get(word, -1) for word in cells.categories]
        if not self.ignore_unseen:
            where, word = first_marked(table, self.name, cells, np.less(known, 0))
            if word is not None:
                raise DataError(
                    f"{where}: {word!r} was not seen in training{suggest(word, places)} "
                    '(or set data.unseen to "ignore")'
                )
        index = cells.each(known, places.get(self.fill or "", -1), np.intp)
        return np.equal(index[:, None], np.arange(len(self.categories))).astype(np.float64)


@dataclass(frozen=True)
class ArrayColumn(Configurable):
    """A column of arrays, such as images, that is the whole input; one mean and std for all."""

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
                f"{shape}; the model takes {self.shape}"
            )
        values = _complete_column(table, self.name)
        if self.integer:
            return values.astype(np.int64)
        values -= self.mean  # they are many: no second array of them
        values /= self.std
        return values


@dataclass(frozen=True)
class ClassTarget(Configurable):
    """A target of classes, numbered in the order of their names."""

    name: str
    names: Annotated[tuple[str, ...], Len(1)]
    type: Literal["classes"] = "classes"

    def encode(self, table: Table) -> Array:
        """Return class numbers `(rows, ...)`."""
        cells = categorical(table, self.name)
        missing = cells.codes < 0
        if missing.any():
            _refuse_missing(table, self.name, missing, target=True)
        places = {name: place for place, name in enumerate(self.names)}
        known = [places.get(word, -1) for word in cells.categories]
        where, word = first_marked(table, self.name, cells, np.less(known, 0))
        if word is not None:
            raise DataError(
                f"{where}: the label {word!r} was not seen in training{suggest(word, self.names)}"
            )
        return cells.each(known, -1, np.intp)


@dataclass(frozen=True)
class NumericTarget(Configurable):
    """A target of numbers, each column scaled as (value - mean) / std."""

    names: Annotated[tuple[str, ...], Len(1)]
    mean: tuple[float, ...]
    std: tuple[Positive, ...]
    type: Literal["numbers"] = "numbers"

    def encode(self, table: Table) -> Array:
        """Return `(rows, columns)` in the target's own units, or arrays as they are."""
        columns = [_complete_column(table, name, target=True) for name in self.names]
        if len(columns) == 1 and columns[0].ndim > 1:
            return columns[0]
        return np.stack(columns, axis=1)

    def scale(self, values: Array) -> Array:
        """Turn the target's own units into what the network is trained on."""
        scaled: Array = (values - np.array(self.mean)) / np.array(self.std)
        return scaled

    def unscale(self, y: Array) -> Array:
        """Turn the network's outputs into the target's own units."""
        values: Array = y.astype(np.float64) * np.array(self.std) + np.array(self.mean)
        return values


Input: TypeAlias = NumericColumn | CategoricalColumn | ArrayColumn
Target: TypeAlias = ClassTarget | NumericTarget


@dataclass(frozen=True)
class Preprocessing(Configurable):
    """How each input column and the target become arrays."""

    # to list what is wrong with each of many would take long, and a checkpoint may be made of them
    inputs: Annotated[
        tuple[NumericColumn | CategoricalColumn | ArrayColumn, ...], Len(1), FailFast()
    ]
    target: ClassTarget | NumericTarget

    def __post_init__(self) -> None:
        if len(self.inputs) > 1 and any(isinstance(part, ArrayColumn) for part in self.inputs):
            raise ValueError("a column of arrays must be the only input")

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns, in order."""
        return tuple(part.name for part in self.inputs)

    @property
    def input_shape(self) -> Shape:
        """The shape of one example."""
        if len(self.inputs) == 1:
            return self.inputs[0].shape
        return (sum(part.shape[0] for part in self.inputs),)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, or None where the target is numbers."""
        return self.target.names if isinstance(self.target, ClassTarget) else None

    @property
    def target_names(self) -> tuple[str, ...]:
        """The columns that are predicted."""
        target = self.target
        return target.names if isinstance(target, NumericTarget) else (target.name,)

    @property
    def text(self) -> frozenset[str]:
        """The columns, input or target, whose text counts: "007" is not 7."""
        parts = (*self.inputs, self.target)
        return frozenset(
            part.name for part in parts if isinstance(part, CategoricalColumn | ClassTarget)
        )

    def fits(self, output: Shape) -> bool:
        """Tell whether outputs of this shape for one example can answer for the target."""
        if isinstance(self.target, NumericTarget):
            return output[-1:] == (len(self.target.mean),) == (len(self.target.std),)
        return output[-1:] == (len(self.target.names),) or (
            output[-1:] == (1,) and len(self.target.names) == 2
        )

    def encode(self, table: Table, dtype: npt.DTypeLike | None = None) -> Array:
        """Return the inputs as one array: `(rows, features)`, or `(rows, *shape)`.

        Everything is computed in float64, a few rows at a time, and then rounded to a type.
        """
        absent = [name for name in self.names if name not in table.columns]
        if absent:
            takes = suggest(absent[0], table.columns, f"the model takes {', '.join(self.names)}")
            raise DataError(f"{table.origin}: no column {absent[0]!r}{takes}")
        lengths = {name: len(table.columns[name]) for name in self.names}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{table.origin}: the columns differ in length: {lengths}")
        count = max(lengths.values())
        size = max(BLOCK // max(math.prod(self.input_shape), 1), 1)
        if count <= size:
            encoded = self._encode(table)
            return encoded if dtype is None else encoded.astype(dtype, copy=False)
        used = replace(table, columns={name: column(table, name) for name in self.names})
        part = self._encode(used.slice_rows(slice(size)))
        encoded = np.empty((count, *part.shape[1:]), part.dtype if dtype is None else dtype)
        encoded[:size] = part
        for start in range(size, count, size):
            rows = slice(start, start + size)
            encoded[rows] = self._encode(used.slice_rows(rows))
        return encoded

    def _encode(self, table: Table) -> Array:
        parts = [part.encode(table) for part in self.inputs]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)


def _complete_column(table: Table, name: str, *, target: bool = False) -> Array:
    """Return a column of numbers of which none may be missing."""
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


def fit_preprocessing(
    table: Table,
    rows: Array,
    targets: tuple[str, ...],
    columns: Columns,
    *,
    classification: bool,
    integer_input: bool,
) -> Preprocessing:
    """Learn the preprocessing of a table from its training `rows`.

    What a column holds is judged by the whole table; means and categories come from the rows.
    `classification` asks for classes even where the target holds numbers.
    """
    train = table.take(rows)
    names = columns.inputs
    if names is None:
        names = tuple(name for name in table.columns if name not in targets)
    if not names:
        raise DataError(f"{table.origin}: no input columns are left beside the target")
    for name in columns.columns:
        column(table, name)
    inputs = tuple(_fit_input(table, train, name, columns, integer_input) for name in names)
    arrays = [part for part in inputs if isinstance(part, ArrayColumn)]
    if arrays and len(inputs) > 1:
        raise DataError(
            f"{table.origin}: column {arrays[0].name!r} holds arrays and must be the only input; "
            f"choose it with 'inputs', or leave out the others with 'exclude' ({', '.join(names)})"
        )
    target = fit_target(table, train, targets, columns, classification=classification)
    return Preprocessing(inputs, target)


def _fit_input(table: Table, train: Table, name: str, columns: Columns, integer: bool) -> Input:
    if table.columns[name].ndim > 1:
        shape = table.columns[name].shape[1:]
        mean, std = (0.0, 1.0) if integer else _array_moments(train, name, columns.scaling)
        return ArrayColumn(name, tuple(shape), mean, std, integer)
    impute = columns.missing == "impute"
    if _is_categorical(table, name, columns):
        counts = _category_counts(train, name)
        _require_memory(table, name, len(counts))
        fill = min(counts, key=lambda word: (-counts[word], word)) if impute and counts else None
        return CategoricalColumn(name, tuple(sorted(counts)), fill, columns.unseen == "ignore")
    values = numbers(train, name)
    known = values[~np.isnan(values)]
    fill_number = float(np.mean(known)) if impute and len(known) else None
    mean, std = _moments(known, columns.scaling)
    return NumericColumn(name, mean, std, fill_number)


def _require_memory(table: Table, name: str, different: int) -> None:
    """Refuse words of which so many are different that their columns would take half the memory."""
    size = len(table) * different * np.float32().itemsize
    if exceeds_memory(size, 1 / 2):
        raise DataError(
            f"{table.origin}: column {name!r} has {different:,} different words in {len(table):,} "
            f"rows, and each would be a column of its own: {byte_size(size)}; list it in "
            "'exclude', or make fewer words of it"
        )


def _category_counts(train: Table, name: str) -> dict[str, int]:
    """Return how often each word occurs in a column; those that do not are left out."""
    cells = categorical(train, name)
    known = cells.codes[cells.codes >= 0]
    counts = np.bincount(known, minlength=len(cells.categories)).tolist()
    return {word: count for word, count in zip(cells.categories, counts, strict=True) if count}


def _array_moments(train: Table, name: str, scaling: str) -> tuple[float, float]:
    """Return `_moments` of a column of arrays.

    Where it stays in its file, blocks of it are read one after another, and what is found is
    combined (Chan, Golub and LeVeque 1983, "Algorithms for Computing the Sample Variance").
    """
    if not isinstance(train.columns[name], LazyArray):
        return _moments(numbers(train, name), scaling)
    count, mean, squares = 0, 0.0, 0.0  # the last is the sum of squared differences from the mean
    with closing(iter_chunks(train, [name])) as parts:
        for part in parts:
            values = _complete_column(part, name)
            added, step = count + values.size, float(np.mean(values)) - mean
            squares += float(np.var(values)) * values.size
            squares += step * step * count * values.size / added
            mean += step * values.size / added
            count = added
    if scaling == "none" or not count:
        return 0.0, 1.0
    return mean, math.sqrt(squares / count) or 1.0


def _moments(values: Array, scaling: str) -> tuple[float, float]:
    """Return mean and standard deviation, or 0 and 1 where values are not to be scaled."""
    missing = np.isnan(values)
    known = values[~missing] if missing.any() else values.reshape(-1)  # no copy of many
    if scaling == "none" or not known.size:
        return 0.0, 1.0
    return float(np.mean(known)), float(np.std(known)) or 1.0


def fit_target(
    table: Table, train: Table, targets: tuple[str, ...], columns: Columns, *, classification: bool
) -> Target:
    """Learn how the target is read; see `fit_preprocessing`."""
    if len(targets) == 1 and _is_class_target(
        table, targets[0], columns, classification=classification
    ):
        labels = _category_counts(train, targets[0])
        if len(labels) == 1:
            raise DataError(
                f"{table.origin}: the target {targets[0]!r} is {next(iter(labels))!r} in every row "
                "to train on; expected two classes or more"
            )
        return ClassTarget(targets[0], tuple(sorted(labels, key=_class_order)))
    raw = NumericTarget(targets, (), ()).encode(train)
    flat = raw.reshape(-1, raw.shape[-1])
    width = flat.shape[1]
    if columns.target_scaling == "none" or not len(flat):
        return NumericTarget(targets, (0.0,) * width, (1.0,) * width)
    std = np.std(flat, axis=0)
    std = np.where(std > 0, std, 1.0)
    return NumericTarget(targets, tuple(np.mean(flat, axis=0).tolist()), tuple(std.tolist()))


def _is_class_target(table: Table, target: str, columns: Columns, *, classification: bool) -> bool:
    if classification and target not in columns.columns:
        return True
    return _is_categorical(table, target, columns)


def _is_categorical(table: Table, name: str, columns: Columns) -> bool:
    """Tell whether a column holds words, by what the spec says of it or by the whole table."""
    kind = columns.columns.get(name)
    if kind:
        return kind == "category"
    if is_numeric(table, name):
        return False
    refuse_misread(table, name, categorical(table, name).categories)
    return True


def _class_order(name: str) -> tuple[int, float, str]:
    """Order classes that are numbers by their value, and all others by their name."""
    try:
        return 0, float(name), name
    except ValueError:
        return 1, 0.0, name
