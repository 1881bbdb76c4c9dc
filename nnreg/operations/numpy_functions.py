"""How calls of NumPy's functions on recorded arrays are recorded."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array, Shape
from nnreg.operations.functions import gather
from nnreg.operations.recorded import (
    Recorded,
    as_type,
    common_dtype,
    is_recorded,
    operand_of_row,
    recorded,
    records,
    refuse,
    row_axis,
    value_of,
)

# functions of each value that others compute


@records(np.square)
def _square(x: Recorded) -> Any:
    return x * x


@records(np.reciprocal)
def _reciprocal(x: Recorded) -> Any:
    return 1.0 / x


@records(np.logaddexp)
def _logaddexp(a: Any, b: Any) -> Any:
    return np.maximum(a, b) + np.log1p(np.exp(-np.abs(a - b)))


@records(np.hypot)
def _hypot(a: Any, b: Any) -> Any:
    return np.sqrt(a * a + b * b)


@records(np.isfinite)
def _isfinite(x: Recorded) -> Any:
    return np.abs(x) < np.inf


@records(np.copysign)
def _copysign(x: Any, sign: Any) -> Any:
    return np.where(sign < 0, -np.abs(x), np.abs(x))


@records(np.clip)
def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    if low is not None:
        x = np.maximum(x, low)
    return x if high is None else np.minimum(x, high)


@records(np.where)
def _where(condition: Any, x: Any, y: Any) -> Recorded:
    value = np.where(*map(value_of, (condition, x, y)))
    dtype = common_dtype((x, y))
    operands = [operand_of_row(condition, value, np.dtype(bool))]
    operands += [operand_of_row(one, value, dtype) for one in (x, y)]
    return recorded("where", operands, value)


@records(np.astype)
def _astype(x: Recorded, dtype: Any, *, copy: bool = True) -> Recorded:
    return x if x.dtype == np.dtype(dtype) else as_type(x, dtype)


@records(np.zeros_like, np.ones_like)
def _refused_like(x: Recorded, **_: Any) -> Any:
    refuse("np.zeros_like and np.ones_like", "write 0 * x, or a number that is broadcast")


@records(np.interp)
def _interp(x: Recorded, xs: Any, ys: Any) -> Any:
    """Record an interpolation between points in ascending order, constant beyond them."""
    xs, ys = np.asarray(xs, x.dtype), np.asarray(ys, x.dtype)
    place = np.sum(x[..., None] >= xs[1:-1], axis=-1)
    low, high = gather(xs[:-1], place), gather(xs[1:], place)
    part = np.clip((x - low) / np.where(high > low, high - low, 1), 0, 1)
    start, end = gather(ys[:-1], place), gather(ys[1:], place)
    return np.where(x == high, end, start + part * (end - start))


@records(np.polyval)
def _polyval(coefficients: Any, x: Recorded) -> Any:
    y: Any = 0.0
    for one in coefficients:
        y = y * x + one
    return y


# shapes


@records(np.reshape)
def _reshape(x: Recorded, shape: Any) -> Any:
    given = (shape,) if isinstance(shape, int) else tuple(shape)
    value = np.reshape(x.value, given)
    if len(value) != len(x.value) or (x.ndim > 1 and given[0] == -1 and value.size == 0):
        refuse(f"a change of the shape {x.shape} to {given}, which mixes rows")
    return x if value.shape == x.shape else recorded("reshape", [x], value)


@records(np.ravel)
def _ravel(x: Recorded) -> Any:
    refuse("a flat array, whose first axis are not the rows", "write x.reshape(len(x), -1)")


@records(np.transpose)
def _transpose(x: Recorded, axes: Sequence[int] | None = None) -> Any:
    order = [axis % x.ndim for axis in axes or range(x.ndim - 1, -1, -1)]
    if order[0] != 0:
        refuse("a transposed array whose first axis are not the rows", "use np.swapaxes")
    if order == list(range(x.ndim)):
        return x
    value = np.ascontiguousarray(x.value.transpose(order))
    return recorded("transpose", [x], value, axes=tuple(axis - 1 for axis in order[1:]))


@records(np.swapaxes)
def _swapaxes(x: Recorded, first: int, second: int) -> Any:
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return _transpose(x, order)


@records(np.moveaxis)
def _moveaxis(x: Recorded, source: int, destination: int) -> Any:
    order = list(range(x.ndim))
    order.insert(destination % x.ndim, order.pop(source))
    return _transpose(x, order)


@records(np.expand_dims)
def _expand_dims(x: Recorded, axis: int | tuple[int, ...]) -> Any:
    return _reshape(x, np.expand_dims(x.value, axis).shape)


@records(np.squeeze)
def _squeeze(x: Recorded, axis: int | tuple[int, ...] | None = None) -> Any:
    return _reshape(x, np.squeeze(x.value, axis).shape)


@records(np.broadcast_to)
def _broadcast_to(x: Recorded, shape: Shape) -> Recorded:
    value = np.ascontiguousarray(np.broadcast_to(x.value, shape))
    if len(value) != len(x.value) or value.ndim != x.ndim:
        refuse(f"an array of shape {x.shape} that is broadcast to {shape}")
    return recorded("broadcast", [x], value)


@records(np.concatenate)
def _concatenate(arrays: Sequence[Any], axis: int = 0) -> Recorded:
    rows = next(len(one.value) for one in arrays if isinstance(one, Recorded))
    dtype = common_dtype(arrays)
    values = [_of_rows(value_of(one), rows) for one in arrays]
    value = np.concatenate(values, axis)
    operands = [operand_of_row(one, value, dtype) for one in arrays]
    return recorded("concatenate", operands, value, axis=row_axis(axis, value.ndim))


def _of_rows(value: Array, rows: int) -> Array:
    """Return an array of that many rows: a constant has one."""
    return value if len(value) == rows else np.broadcast_to(value, (rows, *value.shape[1:]))


@records(np.stack)
def _stack(arrays: Sequence[Any], axis: int = 0) -> Any:
    return _concatenate([np.expand_dims(one, axis) for one in arrays], axis)


@records(np.hstack)
def _hstack(arrays: Sequence[Any]) -> Any:
    return _concatenate(arrays, 1)


@records(np.split)
def _split(x: Recorded, parts: Any, axis: int = 0) -> list[Any]:
    length = x.shape[axis]
    ends = np.arange(1, parts) * (length // parts) if isinstance(parts, int) else parts
    place = (slice(None),) * (axis % x.ndim)
    return [
        x[(*place, slice(int(start), int(end)))]
        for start, end in zip([0, *ends], [*ends, length], strict=True)
    ]


@records(np.repeat)
def _repeat(x: Recorded, repeats: int, axis: int) -> Any:
    return _take(x, np.repeat(np.arange(x.shape[axis]), repeats), axis)


@records(np.flip)
def _flip(x: Recorded, axis: int) -> Any:
    return _take(x, np.arange(x.shape[axis])[::-1], axis)


@records(np.tile)
def _tile(x: Recorded, repetitions: Sequence[int]) -> Any:
    for axis, count in enumerate(repetitions):
        if count != 1:
            x = _take(x, np.tile(np.arange(x.shape[axis]), count), axis)
    return x


@records(np.take)
def _take(x: Recorded, indices: Any, axis: int | None = None) -> Any:
    """Record values at constant positions along an axis."""
    where, at = row_axis(0 if axis is None else axis, x.ndim), np.asarray(indices)
    if at.ndim != 1:
        refuse(f"np.take with indices of shape {at.shape}")
    value = np.take(x.value, at, where + 1)
    return recorded("take", [x], value, axis=where, indices=at % x.shape[where + 1])


@records(Recorded.__getitem__)
def _getitem(x: Recorded, key: Any) -> Any:
    keys = list(key) if isinstance(key, tuple) else [key]
    if is_recorded(keys):
        refuse("an index that was computed", "use nnreg.operations.gather")
    if Ellipsis in keys:
        place = keys.index(Ellipsis)
        given = sum(one is not None for one in keys) - 1
        keys[place : place + 1] = [slice(None)] * (x.ndim - given)
    if not keys or keys[0] != slice(None):
        refuse("an index of rows", "write x[:, index]")
    axis, shape = 0, list[int]()
    for one in keys:
        if one is None:
            shape.append(1)
            continue
        x, kept = _one_index(x, axis, one)
        shape += x.shape[axis : axis + 1] if kept else ()
        axis += 1
    return _reshape(x, (*shape, *x.shape[axis:]))


def _one_index(x: Recorded, axis: int, key: Any) -> tuple[Recorded, bool]:
    """Return the values at a key along an axis, and whether the axis is kept."""
    length = x.shape[axis]
    if isinstance(key, int | np.integer):
        return _take(x, [int(key)], axis) if length > 1 else x, False
    if isinstance(key, slice):
        at = np.arange(length)[key]
        return (x if len(at) == length and key.step in (None, 1) else _take(x, at, axis)), True
    return _take(x, key, axis), True


@records(np.pad)
def _pad(x: Recorded, width: Sequence[Sequence[int]], mode: str = "constant", **values: Any) -> Any:
    for axis, (before, after) in enumerate(width):
        if not before and not after:
            continue
        if mode == "constant":
            x = _padded(x, axis, before, after, values.get("constant_values", 0))
        else:
            at = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)  # type: ignore[call-overload]
            x = _take(x, at, axis)
    return x


def _padded(x: Recorded, axis: int, before: int, after: int, value: float) -> Any:
    def constant(count: int) -> Array:
        shape = [1, *x.shape[1:]]
        shape[axis] = count
        return np.full(shape, value, x.dtype)

    parts = [constant(before)] * bool(before) + [x] + [constant(after)] * bool(after)
    return _concatenate(parts, axis)


# along axes


def _reduced(name: str, function: Any, x: Recorded, axis: Any, keepdims: bool) -> Recorded:
    if axis is None:
        refuse(f"np.{function.__name__} of all values, which mixes rows", "give the axes")
    axes = tuple(axis) if isinstance(axis, tuple) else (axis,)
    value = np.asarray(function(x.value, axis=axes, keepdims=keepdims))
    of_row = tuple(sorted(row_axis(one, x.ndim) for one in axes))
    return recorded(name, [x], value, axes=of_row, keepdims=keepdims)


@records(np.sum)
def _sum(x: Recorded, axis: Any = None, *, dtype: Any = None, keepdims: bool = False) -> Recorded:
    source = x if dtype is None or x.dtype == np.dtype(dtype) else as_type(x, dtype)
    if source.dtype == bool:
        source = as_type(source, np.int64)
    return _reduced("sum", np.sum, source, axis, keepdims)


@records(np.max, np.amax)
def _max(x: Recorded, axis: Any = None, *, keepdims: bool = False, **_: Any) -> Recorded:
    return _reduced("max", np.max, x, axis, keepdims)


@records(np.min, np.amin)
def _min(x: Recorded, axis: Any = None, *, keepdims: bool = False, **_: Any) -> Recorded:
    return _reduced("min", np.min, x, axis, keepdims)


@records(np.any)
def _any(x: Recorded, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced("max", np.max, as_type(x, np.int64), axis, keepdims) > 0


@records(np.all)
def _all(x: Recorded, axis: Any = None, *, keepdims: bool = False) -> Any:
    return _reduced("min", np.min, as_type(x, np.int64), axis, keepdims) > 0


@records(np.mean)
def _mean(x: Recorded, axis: Any = None, *, keepdims: bool = False, **_: Any) -> Any:
    axes = axis if isinstance(axis, tuple) else (axis,)
    count = math.prod(x.shape[one] for one in axes if one is not None)
    return _sum(x, axis, keepdims=keepdims) / count


@records(np.var)
def _var(x: Recorded, axis: Any = None, *, keepdims: bool = False) -> Any:
    difference = x - _mean(x, axis, keepdims=True)
    return _mean(difference * difference, axis, keepdims=keepdims)


@records(np.std)
def _std(x: Recorded, axis: Any = None, *, keepdims: bool = False) -> Any:
    return np.sqrt(_var(x, axis, keepdims=keepdims))


@records(np.argmax)
def _argmax(x: Recorded, axis: int | None = None) -> Recorded:
    if axis is None:
        refuse("np.argmax of all values, which mixes rows", "give the axis")
    value = np.argmax(x.value, axis=axis)
    return recorded("argmax", [x], value, axis=row_axis(axis, x.ndim))


@records(np.cumsum)
def _cumsum(x: Recorded, axis: int | None = None) -> Recorded:
    if axis is None:
        refuse("np.cumsum of all values, which mixes rows", "give the axis")
    return recorded("cumulative_sum", [x], np.cumsum(x.value, axis), axis=row_axis(axis, x.ndim))


@records(np.sort)
def _sort(x: Recorded, axis: int = -1) -> Recorded:
    return recorded("sort", [x], np.sort(x.value, axis), axis=row_axis(axis, x.ndim))


# products


@records(np.matmul, np.dot)
def _matmul(a: Any, b: Any) -> Recorded:
    """Record a product of `(rows, …, m, k)` or `(rows, k)` and `(k, n)` or `(rows, …, k, n)`."""
    value = np.matmul(value_of(a), value_of(b))
    dtype = common_dtype((a, b))
    if isinstance(a, Recorded) and not isinstance(b, Recorded):
        weight = np.asarray(b, dtype)
        if weight.ndim > a.ndim - 1 and not (weight.ndim == 2 and a.ndim == 2):
            refuse(f"a product of shapes {a.shape} and {weight.shape}")
        return recorded("matmul", _of_type((a, weight), dtype), value)
    if value.ndim < 3:
        refuse("a product of two computed vectors", "write np.sum(a * b, axis=-1)")
    return recorded("matmul", _of_type((a, b), dtype), value)


def _of_type(operands: Sequence[Any], dtype: Any) -> list[Any]:
    """Return operands of a product in the type of its result."""
    return [
        np.asarray(one, dtype) if not isinstance(one, Recorded) else _astype(one, dtype)
        for one in operands
    ]


@records(np.einsum)
def _einsum(subscripts: str, *operands: Any) -> Recorded:
    """Record a sum of products, whose letters are those of one row; constants have no rows."""
    reads, _, result = subscripts.partition("->")
    letters = reads.split(",")
    rows = {one[0] for one, x in zip(letters, operands, strict=True) if isinstance(x, Recorded)}
    if "." in subscripts or not result or rows != {result[0]}:
        refuse(f"np.einsum of {subscripts!r}", "name every axis, with that of the rows first")
    value = np.einsum(subscripts, *map(value_of, operands))
    of_row = ",".join(one.replace(result[0], "") for one in letters)
    operands = tuple(_of_type(operands, value.dtype))
    return recorded("einsum", operands, value, subscripts=f"{of_row}->{result[1:]}")
