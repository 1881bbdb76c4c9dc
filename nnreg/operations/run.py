"""Computing recorded operations with NumPy, for many rows at a time."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.operations import functions
from nnreg.operations.operation import Operand, Operation, in_order
from nnreg.operations.recorded import ELEMENTWISE

FUNCTIONS = {name: function for function, name in reversed(list(ELEMENTWISE.items()))}


def run(results: Sequence[Operand], inputs: Mapping[Operation, Array]) -> list[Array]:
    """Return the values `(rows, …)` of results, for those of the inputs."""
    rows = len(next(iter(inputs.values())))
    known = dict(inputs)
    for one in in_order(results):
        if one not in known:
            known[one] = _value(one, known, rows)
    return [_operand(one, known, rows) for one in results]


def _operand(operand: Operand, known: Mapping[Operation, Any], rows: int) -> Array:
    if isinstance(operand, Operation):
        found: Array = known[operand]
        return found
    return np.broadcast_to(operand, (rows, *operand.shape))


def _value(one: Operation, known: Mapping[Operation, Any], rows: int) -> Any:
    if one.name == "scan":
        return _scan(one, known, rows)
    values = [known[x] if isinstance(x, Operation) else x for x in one.inputs]
    if one.name in FUNCTIONS:
        with np.errstate(all="ignore"):
            return FUNCTIONS[one.name](*values)
    if "compute" in one.attributes:
        return one.attributes["compute"](*values)
    return VALUES[one.name](one, *values)


def _scan(one: Operation, known: Mapping[Operation, Any], rows: int) -> list[Array]:
    body, count = one.attributes["body"], one.attributes["carried"]
    given = [_operand(x, known, rows) for x in one.inputs]

    def step(carried: Sequence[Any], items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        own = dict(known) | dict(zip(body.arguments, (*carried, *items), strict=True))
        for inner in body.operations:
            own[inner] = _value(inner, own, rows)
        found = [_operand(x, own, rows) for x in body.results]
        return found[:count], found[count:]

    carried, results = functions.scan(
        step, given[:count], given[count:], backwards=one.attributes["backwards"]
    )
    return [*carried, *results]


def _shape(one: Operation, x: Array) -> tuple[int, ...]:
    return (len(x), *one.shape)


def _axes(one: Operation) -> tuple[int, ...]:
    return tuple(axis + 1 for axis in one.attributes["axes"])


def _reduced(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda one, x: function(x, axis=_axes(one), keepdims=one.attributes["keepdims"])


def _concatenate(one: Operation, *parts: Array) -> Array:
    rows = max(
        len(x) for x, read in zip(parts, one.inputs, strict=True) if isinstance(read, Operation)
    )
    whole = [
        x if isinstance(read, Operation) else np.broadcast_to(x, (rows, *x.shape))
        for x, read in zip(parts, one.inputs, strict=True)
    ]
    return np.concatenate(whole, one.attributes["axis"] + 1)


def _einsum(one: Operation, *values: Array) -> Array:
    reads, _, result = one.attributes["subscripts"].partition("->")
    letters = [
        f"...{own}" if isinstance(read, Operation) else own
        for own, read in zip(reads.split(","), one.inputs, strict=True)
    ]
    found: Array = np.einsum(f"{','.join(letters)}->...{result}", *values)
    return found


VALUES: Mapping[str, Callable[..., Any]] = {
    "as_type": lambda one, x: x.astype(one.dtype),
    "where": lambda one, condition, x, y: np.where(condition, x, y),
    "erf": lambda one, x: functions.erf(x),
    "reshape": lambda one, x: x.reshape(_shape(one, x)),
    "transpose": lambda one, x: x.transpose(0, *(axis + 1 for axis in one.attributes["axes"])),
    "broadcast": lambda one, x: np.broadcast_to(x, _shape(one, x)),
    "concatenate": _concatenate,
    "take": lambda one, x: np.take(x, one.attributes["indices"], one.attributes["axis"] + 1),
    "gather": lambda one, table, at: table[at],
    "lookup": lambda one, texts: functions.lookup(texts, one.attributes["known"]),
    "sum": _reduced(np.sum),
    "max": _reduced(np.max),
    "min": _reduced(np.min),
    "argmax": lambda one, x: np.argmax(x, one.attributes["axis"] + 1),
    "cumulative_sum": lambda one, x: np.cumsum(x, one.attributes["axis"] + 1),
    "sort": lambda one, x: np.sort(x, one.attributes["axis"] + 1),
    "einsum": _einsum,
    "matmul": lambda one, a, b: a @ b,
    "convolve": lambda one, x, weight: functions.convolve(x, weight, **one.attributes),
    "max_pool": lambda one, x: functions.pool("max", x, **one.attributes),
    "mean_pool": lambda one, x: functions.pool("mean", x, **one.attributes),
    "part": lambda one, parts: operator.getitem(parts, one.attributes["index"]),
}
"""The value of an operation for the values `(rows, …)` that it reads, by its name."""
