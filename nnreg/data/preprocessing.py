"""Preprocessing: how each column becomes an array, fitted on the training rows."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, NoReturn, TypeAlias

import numpy as np
import numpy.typing as npt
from annotated_types import Len

from nnreg._types import Array, Shape, Shapes
from nnreg._utils.statistics import all_finite
from nnreg._utils.suggestions import suggest
from nnreg.builtin.encoders import Number
from nnreg.data.input_columns import InputColumn
from nnreg.data.label_targets import LabelTarget
from nnreg.data.last_values import carry_forward, rows_to_encode
from nnreg.data.spacing import Spacing
from nnreg.data.targets import ClassTarget, NumericTarget, Target, refuse_too_large
from nnreg.data.window_table import WindowTable
from nnreg.errors import DataError
from nnreg.interfaces.annotations import StopAtFirst, Tagged
from nnreg.interfaces.component import Configurable, Count
from nnreg.interfaces.features import Features
from nnreg.interfaces.graph import INPUT, unsuitable
from nnreg.tables.columns import column
from nnreg.tables.lazy import BLOCK
from nnreg.tables.padded import Padded
from nnreg.tables.ragged import Ragged, padded
from nnreg.tables.table import Table
from nnreg.tables.windows import Windows


def _type_of(value: Any) -> Any:
    """Return the key by which one of several classes is chosen, so that errors are those of it."""
    return value.get("type") if isinstance(value, dict) else None


_Target: TypeAlias = Annotated[
    ClassTarget | NumericTarget | LabelTarget,
    Tagged(
        _type_of,
        ("classes", "numbers", "labels"),
        "must be an object whose type is 'classes', 'labels' or 'numbers'",
    ),
]


@dataclass(frozen=True)
class LearnedWindow(Configurable):
    """The windows that a model reads: `length` rows, and the columns whose next values it predicts.

    Its other settings are those of the spec. `spacing` is that of the training rows, if they have
    one. The inputs `known` are windows of the `horizon` rows with the targets instead.
    """

    length: Count
    targets: tuple[str, ...] = ()
    spacing: Spacing | None = None
    known: tuple[str, ...] = ()
    horizon: Count = 1

    def of_input(self, name: str) -> LearnedWindow:
        """Return the windows of one of several inputs."""
        length = self.horizon if name in self.known else self.length
        return replace(self, length=length, known=())


@dataclass(frozen=True)
class Preprocessing(Configurable):
    """How each input column and the target become arrays.

    A network with several inputs has `groups`: the number of columns of each, by its name. One with
    several outputs has `targets`, of those that are compared with one, and no `target`.

    An input of sequences is in `steps`, by its name, with the length of the longest in training:
    its columns are encoded step by step. `targets_per_step` are the outputs whose targets are
    sequences too. A column may hold sequences, or become sequences by its encoder, as text does.
    With a `window`, each example is several rows, which are encoded row by row.
    """

    # stop at the first error: an untrusted checkpoint may have very many columns
    inputs: Annotated[tuple[InputColumn, ...], Len(1), StopAtFirst()]
    target: _Target | None = None
    groups: dict[str, Count] = field(default_factory=dict)
    targets: dict[str, _Target] = field(default_factory=dict)
    steps: dict[str, Count] = field(default_factory=dict)
    targets_per_step: tuple[str, ...] = ()
    window: LearnedWindow | None = None

    def __post_init__(self) -> None:
        if self.target is not None and self.targets:
            raise ValueError("must not have both 'target' and 'targets'")
        if self.groups and sum(self.groups.values()) != len(self.inputs):
            raise ValueError("groups: do not have as many columns as there are inputs")
        for name in self.groups:
            if why := unsuitable(name):
                raise ValueError(f"groups: the name {name!r} {why}")
        for name in self.steps.keys() - (self.groups or {INPUT: 1}).keys():
            raise ValueError(f"steps: there is no input {name!r}")
        for name, part in (self.parts or {INPUT: self}).items():
            if part.inputs[0].encoder.makes_sequences and name not in self.steps:
                raise ValueError(f"steps: column {part.names[0]!r} becomes sequences, but has none")
        for name in set(self.targets_per_step) - self.by_output.keys():
            raise ValueError(f"targets_per_step: there is no target {name!r}")
        if self.window is not None and not {*self.window.known} <= {*self.groups}:
            raise ValueError("window.known: must be among several inputs")
        if self.window is not None and (self.steps or self.targets_per_step):
            raise ValueError("window: must not be together with sequences")
        if self.parts:
            return  # each of them was checked
        if len(self.inputs) > 1 and any(column.alone for column in self.inputs):
            raise ValueError("a column of arrays or integers must be the only input")

    @functools.cached_property
    def parts(self) -> dict[str, Preprocessing]:
        """The preprocessing of each of several inputs, by name; empty if there is one."""
        ends = list(itertools.accumulate(self.groups.values()))
        spans = zip(self.groups, [0, *ends], ends, strict=False)
        return {
            name: replace(
                self,
                inputs=self.inputs[start:end],
                groups={},
                steps={INPUT: self.steps[name]} if name in self.steps else {},
                window=self.window and self.window.of_input(name),
            )
            for name, start, end in spans
        }

    @property
    def names(self) -> tuple[str, ...]:
        """The input columns, in order."""
        return tuple(column.name for column in self.inputs)

    @property
    def input_shape(self) -> Shapes:
        """The shape of one example, or those of several inputs by name."""
        if self.groups:
            return {name: part._shape for name, part in self.parts.items()}
        return self._shape

    @property
    def features(self) -> dict[str, Features]:
        """What the features of each input are, by its name, which is "input" for the only one."""
        parts = self.parts or {INPUT: self}
        return {name: part._features for name, part in parts.items()}

    @property
    def _features(self) -> Features:
        numbers, indices, columns, start = list[int](), dict[int, int](), dict[int, str](), 0
        for one in self.inputs:
            width = math.prod(one.encoder.shape[-1:])
            if one.encoder.numeric:
                numbers += range(start, start + width)
            if one.encoder.index_count is not None:
                indices[start], columns[start] = one.encoder.index_count, one.name
            start += math.prod(one.shape[-1:])
        return Features(tuple(numbers), indices, columns)

    def features_of(self, columns: Sequence[str]) -> tuple[int, ...]:
        """Return which features are the numbers of these columns."""
        starts = itertools.accumulate((math.prod(one.shape[-1:]) for one in self.inputs), initial=0)
        pairs = zip(self.inputs, starts, strict=False)
        return tuple(
            n for one, n in pairs if one.name in columns and isinstance(one.encoder, Number)
        )

    @property
    def sequence_columns(self) -> frozenset[str]:
        """The columns, input or target, that hold sequences."""
        parts = self.parts or {INPUT: self}
        of_steps = [column for key in self.steps for column in parts[key].inputs]
        inputs = (column.name for column in of_steps if not column.encoder.makes_sequences)
        targets = (n for one in self.targets_per_step for n in columns_of(self.by_output[one]))
        return frozenset((*inputs, *targets))

    @property
    def _shape(self) -> Shape:
        if self.window is not None:
            return (self.window.length, *replace(self, window=None)._shape)
        steps = (self.steps[INPUT],) if INPUT in self.steps else ()
        if len(self.inputs) == 1:
            return (*steps, *self.inputs[0].shape)
        return (*steps, sum(column.shape[0] for column in self.inputs))

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, or None if the target is numeric."""
        return self.target.names if isinstance(self.target, ClassTarget) else None

    @property
    def target_names(self) -> tuple[str, ...]:
        """The target columns, of all outputs."""
        columns = (name for target in self.by_output.values() for name in columns_of(target))
        return tuple(dict.fromkeys(columns))

    @property
    def by_output(self) -> dict[str, Target]:
        """The target of each output by its name, which is empty for a single one."""
        return dict(self.targets) if self.target is None else {"": self.target}

    @property
    def classes(self) -> int | dict[str, int | None] | None:
        """The number of classes, None of a numeric target; those of several outputs by name."""
        found = {name: _class_count(target) for name, target in self.by_output.items()}
        return found[""] if self.target is not None else found

    @property
    def text(self) -> frozenset[str]:
        """The columns, input or target, that are read as text, so that "007" is not 7."""
        targets = self.by_output.values()
        classes = (target.name for target in targets if isinstance(target, ClassTarget))
        numbers = (one for one in targets if isinstance(one, NumericTarget))
        written = (name for target in numbers if target.formats for name in target.names)
        text = (column.name for column in self.inputs if column.encoder.reads_text)
        labels = (n for t in targets if isinstance(t, LabelTarget) for n in t.names)
        return frozenset([*text, *classes, *written, *labels])

    def require_columns(self, table: Table) -> None:
        """Raise `DataError` unless a table has the input columns, of equal length."""
        absent = [name for name in self.names if name not in table.columns]
        if absent:
            expected = f"the model expects {', '.join(self.names)}"
            hint = suggest(absent[0], table.columns, expected)
            raise DataError(f"{table.origin}: no column {absent[0]!r}{hint}")
        lengths = {name: len(table.columns[name]) for name in self.names}
        if len(set(lengths.values())) > 1:
            raise DataError(f"{table.origin}: the columns differ in length: {lengths}")

    def target_of_rows(self, table: Table) -> Array | None:
        """Return the target of a table for encoders that need it; None if none does.

        There is then one for each row; see `fit_preprocessing`.
        """
        encoders = [column.encoder for column in self.inputs if column.encodes_training]
        if not any(encoder.takes_target for encoder in encoders):
            return None
        per_row = {
            name: t for name, t in self.by_output.items() if name not in self.targets_per_step
        }
        (target,) = [target for target in per_row.values() if columns_of(target)]
        return target.encode(table)

    def encode_training(self, table: Table, target: Array | None) -> dict[str, Array]:
        """Return the columns whose training rows are encoded in a way of their own, by name.

        `target` is that of the rows. Sequences and windows are encoded as later ones are.
        """
        if INPUT in self.steps or self.window is not None:
            return {}
        self.require_columns(table)
        own = [column for column in self.inputs if column.encodes_training]
        return {column.name: column.encode_training(table, target) for column in own}

    def encode(
        self,
        table: Table,
        dtype: npt.DTypeLike | None = None,
        training: Mapping[str, Array] | None = None,
    ) -> Array | Padded | Windows:
        """Return the columns of one input as an array: `(rows, features)`, or `(rows, *shape)`.

        Values are computed in float64, in chunks of rows, then converted to `dtype` if it is given.
        Raises `DataError` for a fraction if `dtype` is one of integers. Columns of sequences become
        `Padded`, a table of windows `Windows`. Columns in `training` are those that
        `encode_training` returned for these rows.
        """
        if isinstance(table, WindowTable):
            return self._encode_windows(table, dtype)
        self.require_columns(table)
        if self.inputs[0].encoder.makes_sequences:
            points, lengths = self.inputs[0].encode_sequences(table)
            return padded(points.astype(dtype or points.dtype), lengths, table.origin)
        known = training or {}
        if INPUT in self.steps:
            return self._encode_steps(table, dtype)
        for name in self.names:
            if isinstance(table.columns[name], Ragged):
                raise DataError(
                    f"{table.origin}: the rows of column {name!r} differ in length; the model was "
                    "trained on others, give all the same length"
                )
        count = len(table.columns[self.inputs[0].name])
        size = max(BLOCK // max(math.prod(self._shape), 1), 1)
        if count <= size:
            return self._encode(table, dtype, known)
        used = replace(table, columns={name: column(table, name) for name in self.names})
        encoded: Array | None = None
        for start in range(0, count, size):
            rows = slice(start, start + size)
            given = {name: values[rows] for name, values in known.items()}
            chunk = self._encode(used.slice_rows(rows), dtype, given)
            if encoded is None:
                encoded = np.empty((count, *chunk.shape[1:]), chunk.dtype)
            encoded[rows] = chunk
        assert encoded is not None  # there are more rows than in a chunk
        return encoded

    def _encode_windows(self, table: WindowTable, dtype: npt.DTypeLike | None) -> Windows:
        """Return the windows, each row of which is encoded once."""
        numbers = rows_to_encode(table, self.inputs)
        rows = table.take_rows(numbers)
        values = replace(self, window=None).encode(rows, dtype)
        assert isinstance(values, np.ndarray)  # rows have one value each
        carry_forward(values, rows, table.groups[numbers], self.inputs)
        relative = self.features_of(table.targets) if table.relative else ()
        return Windows(values, np.searchsorted(numbers, table.starts), table.length, relative)

    def _encode_steps(self, table: Table, dtype: npt.DTypeLike | None) -> Padded:
        """Return columns of sequences, each step encoded as a row is, with padding after them."""
        first = table.columns[self.names[0]]
        if not isinstance(first, Ragged):
            raise DataError(
                f"{table.origin}: column {self.names[0]!r} has one value per row; the model "
                "expects sequences"
            )
        points = replace(self, steps={}).encode(table.steps(self.names), dtype)
        assert isinstance(points, np.ndarray)  # the steps are rows
        return padded(points, first.lengths, table.origin)

    def _encode(
        self, table: Table, dtype: npt.DTypeLike | None, known: Mapping[str, Array]
    ) -> Array:
        parts = [
            known[column.name] if column.name in known else column.encode(table)
            for column in self.inputs
        ]
        encoded = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if dtype is not None and np.dtype(dtype).kind == "i":
            return self._integers(encoded, table)
        if dtype is not None:
            with np.errstate(over="ignore"):
                encoded = encoded.astype(dtype, copy=False)
        if not all_finite(encoded):
            several = len(self.inputs) > 1
            widths = [one.shape[0] if several else 1 for one in self.inputs]
            _refuse_not_finite(table, np.repeat(self.names, widths).tolist(), encoded)
        return encoded

    def _integers(self, values: Array, table: Table) -> Array:
        """Return encoded values as integers. Raises `DataError` for one that is not."""
        with np.errstate(invalid="ignore"):  # a number beyond int64 becomes another one
            integers = values.astype(np.int64)
        wrong = integers != values
        if wrong.any():
            where = tuple(np.argwhere(wrong)[0])
            names = [one.name for one in self.inputs for _ in range(math.prod(one.shape))]
            name = names[where[1]] if len(self.inputs) > 1 else names[0]
            raise DataError(
                f"{table.location(int(where[0]), name)}: found {values[where]:.16g}, but the "
                "network takes integers, such as token indices; fix the value"
            )
        return integers


def _refuse_not_finite(table: Table, names: Sequence[str], encoded: Array) -> NoReturn:
    """Raise `DataError` for the first encoded value that is NaN, or else became infinite."""
    if np.isnan(encoded).any():
        row, *others = map(int, np.argwhere(np.isnan(encoded))[0])
        name = names[others[0]] if len(names) > 1 else names[0]
        raise DataError(
            f"{table.location(row, name)}: its encoder returned NaN for this value; fix the value, "
            "or choose another encoder in data.columns"
        )
    refuse_too_large(table, names, encoded)


def columns_of(target: Target) -> tuple[str, ...]:
    """Return the columns of a target."""
    return target.names if isinstance(target, NumericTarget) else (target.name,)


def _class_count(target: Target) -> int | None:
    if isinstance(target, LabelTarget):
        return len(target.labels)
    return len(target.names) if isinstance(target, ClassTarget) else None


def fits(target: Target, output: Shape) -> bool:
    """Return True if outputs of this shape per example can represent the target."""
    if isinstance(target, NumericTarget):
        return output[-1:] == (len(target.mean),) == (len(target.std),)
    return output[-1:] == (len(target.names),) or (output[-1:] == (1,) and len(target.names) == 2)
