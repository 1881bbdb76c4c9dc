"""Functions of arrays for which NumPy has no single call.

They compute with plain arrays, and record with recorded ones.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from nnreg._types import Array
from nnreg.operations.operation import Body, Operation
from nnreg.operations.recorded import Recorded, collecting, is_recorded, recorded, value_of

Step: TypeAlias = Callable[[Sequence[Any], Sequence[Any]], tuple[Sequence[Any], Sequence[Any]]]


def erf(x: Any) -> Any:
    """Return the error function of each value."""
    if isinstance(x, Recorded):
        return recorded("erf", [x], erf(x.value))
    return np.frompyfunc(math.erf, 1, 1)(x).astype(x.dtype)


def gather(table: Array, indices: Any) -> Any:
    """Return the rows of a constant table `(count, *shape)` at integers `(rows, …)`."""
    if isinstance(indices, Recorded):
        return recorded("gather", [table, indices], table[indices.value])
    return table[indices]


def lookup(texts: Any, known: Sequence[str | None]) -> Any:
    """Return the position of each text `(rows,)` among known ones, -1 for another or a missing one.

    A missing text is None.
    """
    if isinstance(texts, Recorded):
        return recorded("lookup", [texts], lookup(texts.value, known), known=tuple(known))
    places = {text: place for place, text in enumerate(known)}
    return np.array([places.get(text, -1) for text in texts], np.int64)


def of_texts(name: str, texts: Any, compute: Callable[[Any], Array], **attributes: Any) -> Any:
    """Return `compute(texts)`, numbers `(rows, …)` for texts `(rows,)`, None where missing.

    An exporter writes the same function by its name and its attributes.
    """
    if isinstance(texts, Recorded):
        value = compute(texts.value)
        return recorded(name, [texts], value, compute=compute, **attributes)
    return compute(texts)


def convolve(
    x: Any,
    weight: Array,
    strides: Sequence[int],
    dilation: Sequence[int],
    groups: int = 1,
) -> Any:
    """Return Σ weight · window of `(rows, *space, channels)`, for all windows inside it.

    `weight` is `(*size, channels / groups, filters)`. The result is `(rows, *space, filters)`.
    """
    if isinstance(x, Recorded):
        value = convolve(x.value, weight, strides, dilation, groups)
        settings = {"strides": tuple(strides), "dilation": tuple(dilation), "groups": groups}
        return recorded("convolve", [x, weight], value, **settings)
    windows = _windows(x, weight.shape[:-2], strides, dilation)  # (rows, *out, channels, *size)
    channels, filters = weight.shape[-2:]
    axes = len(strides)
    parts = []
    for group in range(groups):
        own = slice(group * channels, (group + 1) * channels)
        place: Any = (..., own, *(slice(None),) * axes)
        columns = windows[place]
        kernel = weight[..., group * (filters // groups) : (group + 1) * (filters // groups)]
        kernel = np.moveaxis(kernel, -2, 0)  # (channels, *size, filters)
        inner = range(-axes - 1, 0)
        parts.append(np.tensordot(columns, kernel, (list(inner), list(range(axes + 1)))))
    return np.concatenate(parts, -1).astype(x.dtype)


def pool(name: Literal["max", "mean"], x: Any, size: Sequence[int], strides: Sequence[int]) -> Any:
    """Return the largest or the mean value of each window of `(rows, *space, channels)`."""
    if isinstance(x, Recorded):
        value = pool(name, x.value, size, strides)
        return recorded(f"{name}_pool", [x], value, size=tuple(size), strides=tuple(strides))
    windows = _windows(x, size, strides, (1,) * len(size))
    function = np.max if name == "max" else np.mean
    return function(windows, axis=tuple(range(-len(size), 0)))


def _windows(
    x: Array, size: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Array:
    """Return a view of windows `(rows, *out, channels, *size)`."""
    spans = tuple((n - 1) * d + 1 for n, d in zip(size, dilation, strict=True))
    axes = tuple(range(1, len(size) + 1))
    windows = sliding_window_view(x, spans, axes)
    every = (slice(None), *(slice(None, None, s) for s in strides), slice(None))
    found: Array = windows[(*every, *(slice(None, None, d) for d in dilation))]
    return found


def scan(
    step: Step, carried: Sequence[Any], sequences: Sequence[Any], *, backwards: bool = False
) -> tuple[list[Any], list[Any]]:
    """Return what `step(carried, values)` carries and returns, for all steps of sequences in turn.

    Sequences are `(rows, time, …)`; a step gets their values `(rows, …)`, and returns the new
    carried arrays, and results, which are put together along the time.
    """
    if not is_recorded([*carried, *sequences]):
        return _loop(step, carried, sequences, backwards)
    rows = len(next(one for one in [*carried, *sequences] if isinstance(one, Recorded)))
    before = [np.broadcast_to(value_of(one), (rows, *one.shape[1:])) for one in carried]
    after, results = _loop(step, before, [value_of(one) for one in sequences], backwards)
    first = -1 if backwards else 0
    items = [value_of(one)[:, first] for one in sequences]
    arguments = [_argument(one) for one in (*before, *items)]
    with collecting(None):  # a condition of one step is none of a row
        new, made = step(arguments[: len(before)], arguments[len(before) :])
    body = Body(
        tuple(one.operation for one in arguments),
        tuple(one.operation if isinstance(one, Recorded) else one for one in (*new, *made)),
    )
    operation = Operation(
        "scan",
        tuple(
            one.operation if isinstance(one, Recorded) else one[0] for one in [*carried, *sequences]
        ),
        (),
        np.dtype(np.float64),
        {"body": body, "carried": len(before), "backwards": backwards},
    )
    parts = [
        Recorded(Operation("part", (operation,), one.shape[1:], one.dtype, {"index": index}), one)
        for index, one in enumerate([*after, *results])
    ]
    return list(parts[: len(after)]), list(parts[len(after) :])


def _argument(value: Array) -> Recorded:
    return Recorded(Operation("argument", (), value.shape[1:], value.dtype), value)


def _loop(
    step: Step, carried: Sequence[Any], sequences: Sequence[Any], backwards: bool
) -> tuple[list[Any], list[Any]]:
    steps = range(sequences[0].shape[1])
    found = []
    for index in reversed(steps) if backwards else steps:
        carried, results = step(carried, [one[:, index] for one in sequences])
        found.append(results)
    ordered = found[::-1] if backwards else found
    return list(carried), [np.stack(one, axis=1) for one in zip(*ordered, strict=True)]
