"""Training steps of a chain of dense layers, compiled once for all chains.

Values are `(features, batch)`, so that loops over the batch are vectorized however narrow a layer
is. The batch is filled up to whole vectors, of at least 8 values, with a repeated row of weight 0.
Below the inputs of a layer with a bias is a row of ones: the bias follows the weight in the vector
of parameters, as one more row of it, so that products with the weight have the bias and its
gradient too.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.kernels.numba.chain_codes import (
    BINARY_CROSS_ENTROPY,
    CROSS_ENTROPY,
    FACTORS,
    GRADIENT,
    OTHER_GRADIENT,
    SCRATCH,
    SCRATCH_ROWS,
    TARGETS,
)
from nnreg.kernels.numba.chain_functions import (
    activate,
    activate_backward,
    binary_cross_entropy,
    cross_entropy,
    error,
)
from nnreg.kernels.numba.chain_updates import clear_tiny, clip, penalize, update
from nnreg.kernels.numba.compile import compiled, compiled_exactly, inlined
from nnreg.kernels.numba.tiles import dots, product
from nnreg.kernels.numba.vectors import VECTOR_BYTES

INPUTS, FEATURES, UNITS, WEIGHT, ACTIVATION, READ, WRITTEN, MASK, DRAWS = range(9)
"""The columns of the plan, see `steps`."""


@compiled_exactly
def rows_of(work: Array, first: int, count: int, width: int) -> Array:
    """Return `count` rows of what the steps work on."""
    return work[first * width : (first + count) * width].reshape(count, width)


@inlined
def gather(x: Array, order: Array, out: Array) -> None:
    """Write rows of x to the columns of `out`, whose number is a multiple of 8."""
    for start in range(0, out.shape[1], 8):
        for f in range(x.shape[1]):
            for b in range(start, start + 8):
                out[f, b] = x[order[b], f]


@compiled_exactly
def _transpose(a: Array, out: Array) -> None:
    """Write a matrix transposed; the number of its columns is a multiple of 8."""
    for start in range(0, a.shape[1], 8):
        for row in range(a.shape[0]):
            for column in range(start, start + 8):
                out[column, row] = a[row, column]


@inlined
def drop(y: Array, draws: Array, rate: float, mask: Array, out: Array) -> None:
    """Write the factors of dropout to `mask` and y times these to `out`.

    `draws` are `(rows, units)`; y and the others have a column for each row, or more.
    """
    kept = y.dtype.type(1 / (1 - rate))
    limit, zero = np.float32(rate), y.dtype.type(0)
    rows, units = draws.shape
    for u in range(units):
        for b in range(rows):
            mask[u, b] = kept if draws[b, u] >= limit else zero
        for b in range(rows, y.shape[1]):
            mask[u, b] = zero
        for b in range(y.shape[1]):
            out[u, b] = y[u, b] * mask[u, b]


@compiled_exactly
def multiply(a: Array, b: Array) -> None:
    """Multiply a by b, value by value."""
    for k in range(a.size):
        a[k] *= b[k]


@inlined
def _forward(
    plan: Array, options: Array, parameters: Array, work: Array, width: int, draws: Array, rows: int
) -> None:
    """Run all layers."""
    for layer in range(plan.shape[0]):
        depth, units, weight = plan[layer, INPUTS], plan[layer, UNITS], plan[layer, WEIGHT]
        read, written = plan[layer, READ] * width, plan[layer, WRITTEN] * width
        if depth > plan[layer, FEATURES]:
            last = read + plan[layer, FEATURES] * width
            for b in range(last, last + width):
                work[b] = 1
        product(
            work, written, width, parameters, weight, 1, units, work, read, width, None, 0,
            units, width, depth, False,
        )  # fmt: skip
        size = units * width
        activate(work[written : written + size], plan[layer, ACTIVATION], options[layer, 0])
        if plan[layer, MASK] >= 0:
            start = plan[layer, DRAWS] * rows
            drop(
                rows_of(work, plan[layer, WRITTEN], units, width),
                draws[start : start + units * rows].reshape(rows, units),
                options[layer, 1],
                rows_of(work, plan[layer, MASK], units, width),
                rows_of(work, plan[layer + 1, READ], units, width),
            )


@compiled_exactly
def _backward(
    plan: Array,
    options: Array,
    parameters: Array,
    gradient: Array,
    work: Array,
    width: int,
    places: Array,
) -> None:
    """Write the gradient, given that of the scores.

    Sums of many products over few rows are faster with a transposed copy, where no values within a
    vector are to be added.
    """
    here, there = places[GRADIENT] * width, places[OTHER_GRADIENT] * width
    for layer in range(plan.shape[0] - 1, -1, -1):
        depth, units, weight = plan[layer, INPUTS], plan[layer, UNITS], plan[layer, WEIGHT]
        size = units * width
        dz = work[here : here + size]
        if plan[layer, MASK] >= 0:
            mask = plan[layer, MASK] * width
            multiply(dz, work[mask : mask + size])
        y = plan[layer, WRITTEN] * width
        activate_backward(dz, work[y : y + size], plan[layer, ACTIVATION], options[layer, 0])
        read = plan[layer, READ] * width
        if units >= VECTOR_BYTES // work.itemsize and 2 * depth > width:
            rows = work[there : there + size].reshape(width, units)
            _transpose(dz.reshape(units, width), rows)
            product(
                gradient, weight, units, work, read, width, 1, work, there, units, None, 0,
                depth, units, width, False,
            )  # fmt: skip
        else:
            dots(gradient, weight, units, work, read, width, work, here, width, depth, units, width)
        if layer > 0:
            features = plan[layer, FEATURES]
            product(
                work, there, width, parameters, weight, units, 1, work, here, width, None, 0,
                features, width, units, False,
            )  # fmt: skip
            here, there = there, here


@inlined
def take_targets(
    codes: Array,
    labels: Array,
    targets: Array,
    weights: Array,
    filled: Array,
    rows: int,
    own: Array,
    t: Array,
    factors: Array,
) -> None:
    """Write the labels or targets of a batch, and the factors of its losses.

    `filled` are its rows, of which those after the first `rows` count for nothing.
    """
    scale = 1.0 / rows
    if codes[0] == CROSS_ENTROPY:
        for b in range(filled.size):
            own[b] = labels[filled[b]]
    else:
        scale /= t.shape[0]
        gather(targets, filled, t)
    for b in range(filled.size):
        factors[b] = scale if b < rows else 0
    if weights.size:
        for b in range(rows):
            factors[b] *= weights[filled[b]]


@inlined
def write_scores(z: Array, scores: Array) -> None:
    """Write the columns of z to the rows of `scores`."""
    for b in range(scores.shape[0]):
        for u in range(z.shape[0]):
            scores[b, u] = z[u, b]


@inlined
def loss_of(
    codes: Array,
    option: float,
    z: Array,
    dz: Array,
    labels: Array,
    t: Array,
    weights: Array,
    scratch: Array,
    rows: int,
) -> Any:
    """Return the mean loss of scores z, and write its gradient."""
    if codes[0] == CROSS_ENTROPY:
        return cross_entropy(z, dz, labels, weights, scratch, option, rows)
    if codes[0] == BINARY_CROSS_ENTROPY:
        return binary_cross_entropy(z, dz, t, weights, option)
    return error(z, dz, t, weights, codes[0], option)


@compiled
def steps(
    plan: Array,
    places: Array,
    options: Array,
    codes: Array,
    settings: Array,
    batch: int,
    x: Array,
    labels: Array,
    targets: Array,
    weights: Array,
    order: Array,
    draws: Array,
    parameters: Array,
    gradient: Array,
    first: Array,
    second: Array,
    rates: Array,
    count: int,
    losses: Array,
    scores: Array,
    work: Array,
) -> int:
    """Make a step on each batch of `order`; return how many were made.

    The first whose loss is not finite is not made, and those after it are not begun.

    Each row of the `plan` is a layer: the rows of its inputs with the ones, its features and units,
    where its weight begins, the code of its activation, and in rows of `work` where it reads and
    writes, where the factors of dropout are (-1 without), and how many draws of a row precede its
    own. `places` are the other rows of `work`, by their numbers in `chain_codes`. `options` are
    those of the activations and the rates of dropout. `codes` are those of the loss and of the
    optimizer, `settings` the option of the loss, l1, l2, the limits of the gradient's norm and
    values, the weight decay, the steps between two that clear tiny values of the state, and the
    options of the optimizer. `labels` or `targets`, `weights` and `draws` are empty if there are
    none, and so are `scores`, whose rows are those of all steps. `rates` are the learning rates of
    the steps, the first of which is the `count`-th.
    """
    total, units = order.size, plan[-1, UNITS]
    drawn = draws.size // max(total, 1)
    vector = max(VECTOR_BYTES // x.itemsize, 8)  # as `gather` and `_transpose` need
    filled = own = np.empty(0, order.dtype)
    l1, l2, norm, value, decay = settings[1], settings[2], settings[3], settings[4], settings[5]
    for step in range(losses.size):
        start = step * batch
        rows = min(batch, total - start)
        width = (rows + vector - 1) // vector * vector
        if filled.size != width:
            filled, own = np.empty(width, order.dtype), np.empty(width, order.dtype)
        for b in range(width):
            filled[b] = order[start + b if b < rows else start]
        gather(x, filled, rows_of(work, 0, x.shape[1], width))
        own_draws = draws[start * drawn : (start + rows) * drawn]
        _forward(plan, options, parameters, work, width, own_draws, rows)
        z = rows_of(work, plan[-1, WRITTEN], units, width)
        dz = rows_of(work, places[GRADIENT], units, width)
        scratch = rows_of(work, places[SCRATCH], SCRATCH_ROWS, width)
        factors = rows_of(work, places[FACTORS], 1, width)[0]
        t = rows_of(work, places[TARGETS], units, width)
        take_targets(codes, labels, targets, weights, filled, rows, own, t, factors)
        if scores.size:
            write_scores(z, scores[start : start + rows])
        loss = loss_of(codes, settings[0], z, dz, own, t, factors, scratch, rows)
        losses[step] = loss
        if not math.isfinite(loss):
            return step
        _backward(plan, options, parameters, gradient, work, width, places)
        if l1 > 0 or l2 > 0:
            for layer in range(plan.shape[0]):
                begin = plan[layer, WEIGHT]
                end = begin + plan[layer, FEATURES] * plan[layer, UNITS]
                penalize(parameters[begin:end], gradient[begin:end], l1, l2)
        if norm > 0 or value > 0:
            clip(gradient, norm, value)
        if decay > 0:
            kept = x.dtype.type(1 - rates[step] * decay)
            for layer in range(plan.shape[0]):
                begin = plan[layer, WEIGHT]
                for k in range(begin, begin + plan[layer, FEATURES] * plan[layer, UNITS]):
                    parameters[k] *= kept
        update(
            parameters, gradient, first, second, codes[1], settings[7:], rates[step], count + step
        )
        if (count + step) % int(settings[6]) == 0:
            clear_tiny(first)
            clear_tiny(second)
    return losses.size
