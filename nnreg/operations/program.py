"""A model as a program: from raw columns to predictions, as operations on one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import numpy as np

from nnreg._types import Array
from nnreg.operations.operation import Operand, Operation, in_order
from nnreg.operations.run import run

Takes: TypeAlias = Literal["number", "text", "array", "integers"]


@dataclass(frozen=True)
class ProgramInput:
    """A column that a program reads: a number (NaN where missing), a text, or an array."""

    name: str
    takes: Takes
    operation: Operation


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
        given = {one.operation: _column(one, columns[one.name]) for one in self.inputs}
        found = run([one.operand for one in self.outputs], given)
        met = np.all(run([one.operand for one in self.requirements], given), axis=0)
        met = np.broadcast_to(met, len(found[0]))
        return {
            one.name: np.where(met.reshape(-1, *(1,) * (y.ndim - 1)), y, np.nan)
            for one, y in zip(self.outputs, found, strict=True)
        }


def _column(one: ProgramInput, values: Sequence[Any]) -> Array:
    if one.takes == "text":
        return np.array(values, object)
    return np.asarray(values, one.operation.dtype)
