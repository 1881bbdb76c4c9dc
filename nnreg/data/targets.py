"""Targets: from raw values to arrays, and from outputs to units.

Each is a frozen dataclass that is stored in the checkpoint as JSON.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NoReturn, TypeAlias

import numpy as np
from annotated_types import Len

from nnreg._types import Array
from nnreg._utils.memory import require_memory
from nnreg._utils.statistics import standardize, unstandardize
from nnreg._utils.suggestions import suggest
from nnreg.builtin.encoders.categories import require_distinct
from nnreg.builtin.encoders.scaling import Curve
from nnreg.errors import DataError
from nnreg.interfaces.component import Configurable, Positive
from nnreg.tables.categorical import Categorical
from nnreg.tables.cells import INTEGER, MAX_EXACT, TRUTH, number_text, parse_number, positions
from nnreg.tables.columns import categorical, column, first_marked, is_text, numbers
from nnreg.tables.lazy import LazyArray
from nnreg.tables.number_texts import NumberFormat, NumberTexts
from nnreg.tables.table import Table

ClassKind: TypeAlias = Literal["text", "integer", "number", "boolean"]

_CLASS_TYPES: Mapping[str, type] = {"integer": np.int64, "number": np.float64, "boolean": np.bool_}


@dataclass(frozen=True)
class ClassTarget(Configurable):
    """A categorical target; class numbers are positions in `names`.

    `kind` is the type that the classes were given in. With `single`, the target has one value per
    row, and so has a prediction from a network with one output.
    """

    name: str
    names: Annotated[tuple[str, ...], Len(1)]
    type: Literal["classes"] = "classes"
    kind: ClassKind = "text"
    single: bool = False

    def __post_init__(self) -> None:
        if not all(map(str.strip, self.names)):
            raise ValueError("names: must not contain an empty text")
        classes = self.names if self.kind == "text" else self.classes.tolist()
        require_distinct("names", self.names, classes)

    @property
    def classes(self) -> Array:
        """The classes in the type that they were given in."""
        if self.kind == "text":
            return np.array(self.names)
        return np.array(list(map(self._class, self.names)), _CLASS_TYPES[self.kind])

    def _class(self, name: str) -> int | float | bool:
        """Return what a name stands for. Raises ValueError for one that is not of the kind."""
        number = parse_number(name)
        if self.kind == "boolean" and name.title() in TRUTH:
            return name.title() == "True"
        if self.kind == "integer" and INTEGER.fullmatch(name) and -(2**63) <= int(name) < 2**63:
            return int(name)
        if self.kind == "number" and not math.isnan(number):
            return number
        raise ValueError(f"names: {name!r} is not a finite {self.kind} of 64 bits")

    def encode(self, table: Table) -> Array:
        """Return class numbers `(rows, ...)`."""
        cells = categorical(table, self.name, self.names)
        missing = cells.codes < 0
        if missing.any():
            _refuse_missing(table, self.name, missing)
        known = positions(cells.categories, self.names)
        where, unknown = first_marked(table, self.name, cells, np.less(known, 0))
        if unknown is not None:
            raise DataError(f"{where}: unknown class {unknown!r}{suggest(unknown, self.names)}")
        return cells.each(known, -1, np.intp)


@dataclass(frozen=True)
class NumericTarget(Configurable):
    """A numeric target of columns, each scaled as (curve(value) - mean) / std, if it has a curve.

    There is no column if the loss takes no target. With `single`, the target has one value per row,
    and so has a prediction.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[Positive, ...]
    type: Literal["numbers", "labels"] = "numbers"
    single: bool = False
    curves: tuple[Curve, ...] = ()
    formats: tuple[NumberFormat | None, ...] = ()
    units: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        if len(self.curves) not in (0, len(self.mean)):
            raise ValueError(f"{len(self.mean)} means and {len(self.curves)} curves do not fit")
        if self.formats and {len(self.formats), len(self.units)} != {len(self.names)}:
            raise ValueError("formats and units: must be as many as the columns")
        widths = [len(self.mean), len(self.std)]
        if len(self.names) != 1 or self.single:
            widths.append(len(self.names))
        if len(set(widths)) > 1 or (self.single and len(self.names) != 1):
            raise ValueError(
                f"{len(self.mean)} means and {len(self.std)} deviations do not fit the columns "
                f"{', '.join(self.names)}"
            )

    def encode(self, table: Table) -> Array:
        """Return `(rows, columns)` in the target's own units, or a column of arrays unchanged."""
        values = numeric_targets(table, self.names, self.texts)
        if any(curve.type == "log" for curve in self.curves):
            require_logarithms(table, self.names, values)
        return values

    @property
    def texts(self) -> dict[str, NumberTexts]:
        """How the numbers of a column are written in text, of those with a format."""
        known = zip(self.names, self.formats, self.units, strict=False)
        return {name: NumberTexts(one, unit) for name, one, unit in known if one is not None}

    def scale(self, values: Array) -> Array:
        """Convert values in the target's own units to the scale of the network's outputs."""
        x = self._each_column(Curve.apply, values.astype(np.float64))
        return standardize(x, self.mean, self.std)

    def unscale(self, y: Array) -> Array:
        """Convert the network's outputs to the target's own units."""
        x = unstandardize(y.astype(np.float64), self.mean, self.std)
        return self._each_column(Curve.invert, x)

    def _each_column(self, function: Callable[[Curve, Array], Array], x: Array) -> Array:
        if not self.curves:
            return x
        columns = [function(curve, x[..., n]) for n, curve in enumerate(self.curves)]
        return np.stack(columns, axis=-1)


Target: TypeAlias = ClassTarget | NumericTarget


def numeric_targets(table: Table, names: Sequence[str], texts: Mapping[str, NumberTexts]) -> Array:
    """Return `(rows, columns)`, or the only column unchanged if it holds arrays.

    `texts` says how the numbers of a column are written.
    """
    if not names:
        return np.empty((len(table), 0))
    stored = [one for name in names if isinstance(one := table.columns.get(name), LazyArray)]
    size = sum(math.prod(one.shape) for one in stored) * np.dtype(np.float64).itemsize
    require_memory(size, f"{table.origin}: the target", "use fewer rows")
    columns = [complete_column(table, name, texts.get(name)) for name in names]
    if len(columns) == 1 and columns[0].ndim > 1:
        return columns[0]
    for name, values in zip(names, columns, strict=True):
        if values.ndim > 1:
            raise DataError(
                f"{table.origin}: column {name!r} holds arrays and must be the only column of a "
                "target; give it an output of its own"
            )
    return np.stack(columns, axis=1)


def require_logarithms(table: Table, names: Sequence[str], values: Array) -> None:
    """Raise `DataError` for the first negative value of `(rows, columns, ...)`."""
    if (values < 0).any():
        row, *others = map(int, np.argwhere(values < 0)[0])
        name = names[others[0]] if len(names) > 1 else names[0]
        raise DataError(
            f"{table.location(row, name)}: found {values[row, *others]:.6g}, expected a number "
            '>= 0, as data.target_scaling is "log"; correct it, or set it to "power"'
        )


def complete_column(table: Table, name: str, texts: NumberTexts | None = None) -> Array:
    """Return a numeric column of a target. Raises `DataError` if a value is missing."""
    values = numbers(table, name, texts)
    missing = np.isnan(values)
    if missing.any():
        _refuse_missing(table, name, missing)
    return values


def _refuse_missing(table: Table, name: str, missing: Array) -> NoReturn:
    row, *place = map(int, np.argwhere(missing)[0])
    within = f" at {place} of its array" if place else ""
    if place and is_text(table.columns[name]):
        within += ", as text of spaces alone is a missing value"
    raise DataError(
        f"{table.location(row, name)}: the target is missing{within}; fix or remove the row, or "
        'set data.missing_target to "drop"'
    )


def refuse_too_large(table: Table, names: Sequence[str], encoded: Array) -> NoReturn:
    """Raise `DataError` for the first value of `(rows, columns, ...)` that became infinite.

    `names` are those of the columns, or a single one.
    """
    row, *others = map(int, np.argwhere(~np.isfinite(encoded))[0])
    name = names[others[0]] if len(names) > 1 else names[0]
    raise DataError(
        f"{table.location(row, name)}: the value is too large; once it is scaled, it is beyond the "
        f"range of {encoded.dtype}; correct it or remove the row"
    )


def class_kind(table: Table, name: str, names: tuple[str, ...]) -> ClassKind:
    """Return the type of the classes: that of the column, or what untyped text stands for."""
    values = column(table, name)
    if not isinstance(values, Categorical) and values.dtype.kind in "biuf":
        kinds: dict[str, ClassKind] = {"b": "boolean", "f": "number"}
        return kinds.get(values.dtype.kind, "integer")
    if table.missing_texts is None:
        if set(names) <= set(TRUTH):
            return "boolean"
        numeric = [parse_number(name) for name in names]
        spelled = zip(names, numeric, strict=True)
        if all(name in (number_text(value), repr(value)) for name, value in spelled):
            whole = all(map(INTEGER.fullmatch, names)) and max(map(abs, numeric)) < MAX_EXACT
            return "integer" if whole else "number"
    return "text"


def class_order(name: str) -> tuple[int, float, str]:
    """Sort classes that are numbers by value, then all others by name."""
    number = parse_number(name)
    return (1, 0.0, name) if math.isnan(number) else (0, number, name)
