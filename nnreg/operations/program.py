"""A model as a program: from raw columns to predictions, as operations on one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.operations.operation import Operand, Operation, in_order
from nnreg.operations.run import run

Takes: TypeAlias = Literal["number", "text", "array", "steps"]


@dataclass(frozen=True)
class ProgramInput:
    """A column that a program reads: a number (NaN where missing), a text, or an array.

    A column of `sequence` has values `(time, …)`, 0 or None after the end of each; another input,
    that takes "steps", has the number of real ones: that of the column in `of`. `example` is a
    number or a text as in training, None for others.
    """

    name: str
    takes: Takes
    operation: Operation
    of: str = ""
    sequence: bool = False
    example: float | str | None = None

    def given(self, columns: Mapping[str, Sequence[Any]], no_text: str | None = None) -> Array:
        """Return the values `(rows, *shape)` for raw columns; sequences are padded, or cut.

        A missing text is `no_text`.
        """
        values = columns[self.of or self.name]
        if self.takes == "steps":
            return np.array([len(one) for one in values], np.int64)
        text = self.takes == "text"
        found = np.full(
            (len(values), *self.operation.shape), no_text if text else 0, self.operation.dtype
        )
        if not self.sequence:
            found[...] = np.array(list(values), self.operation.dtype)
        else:
            for row, one in zip(found, values, strict=True):
                row[: len(one)] = one[: len(row)]
        if text:
            found[np.equal(found, np.array(None, object))] = no_text
        return found


@dataclass(frozen=True)
class ProgramOutput:
    """What a program computes: values `(rows, *shape)`, and for classes their names."""

    name: str
    operand: Operand
    classes: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Requirement:
    """A condition that each row must fulfil, such as a known category; else it has no answer."""

    operand: Operand
    message: str


@dataclass(frozen=True)
class Program:
    """The computation of a model's predictions for one row.

    `weights` has the parameters and the buffers of the network by name, and `spec` the model's
    JSON, for formats of weights.
    """

    name: str
    inputs: tuple[ProgramInput, ...]
    outputs: tuple[ProgramOutput, ...]
    requirements: tuple[Requirement, ...] = ()
    weights: Mapping[str, Array] = field(default_factory=dict)
    spec: str = "{}"

    @property
    def operations(self) -> list[Operation]:
        """All operations, each after those that it reads."""
        results = [one.operand for one in self.outputs]
        return in_order([*results, *(one.operand for one in self.requirements)])

    def run(self, columns: Mapping[str, Sequence[Any]]) -> dict[str, Array]:
        """Return the outputs by name, computed with NumPy; NaN for rows without an answer."""
        given = {one.operation: one.given(columns) for one in self.inputs}
        found = run([one.operand for one in self.outputs], given)
        met = np.all(run([one.operand for one in self.requirements], given), axis=0)
        met = np.broadcast_to(met, len(found[0]))
        return {
            one.name: np.where(met.reshape(-1, *(1,) * (y.ndim - 1)), y, np.nan)
            for one, y in zip(self.outputs, found, strict=True)
        }
