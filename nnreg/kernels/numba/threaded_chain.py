"""Training steps of a chain of wide dense layers, which several threads make together.

Each thread runs `steps` on its own parts of every matrix, and waits where it needs those of the
others. The products are those of a BLAS. The layout is that of `chain`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from nnreg._types import Array
from nnreg.kernels.cblas import AS_IS, TRANSPOSED
from nnreg.kernels.numba.barrier import wait
from nnreg.kernels.numba.c_calls import gemm
from nnreg.kernels.numba.chain import (
    ACTIVATION,
    DRAWS,
    FEATURES,
    INPUTS,
    MASK,
    READ,
    UNITS,
    WEIGHT,
    WRITTEN,
    drop,
    gather,
    loss_of,
    multiply,
    rows_of,
    take_targets,
    write_scores,
)
from nnreg.kernels.numba.chain_codes import (
    FACTORS,
    GRADIENT,
    OTHER_GRADIENT,
    SCRATCH,
    SCRATCH_ROWS,
    TARGETS,
)
from nnreg.kernels.numba.chain_functions import activate, activate_backward
from nnreg.kernels.numba.chain_updates import clear_tiny, clip, penalize, update
from nnreg.kernels.numba.compile import compiled, inlined

OUTPUTS, INPUT_GRADIENT, WEIGHT_GRADIENT = range(3)
"""The products of a layer: with its inputs, with its weight backwards, and of the two others."""


class _Chain(NamedTuple):
    """What the functions below share; see `steps`. `width` is the number of columns of `work`."""

    parts: Array
    blas: Array
    plan: Array
    options: Array
    codes: Array
    settings: Array
    parameters: Array
    gradient: Array
    first: Array
    second: Array
    work: Array
    width: int


@inlined
def _forward(chain: _Chain, draws: Array, rows: int, layer: int) -> None:
    """Compute the outputs of a layer's own units."""
    plan, work, width = chain.plan, chain.work, chain.width
    depth, units, weight = plan[layer, INPUTS], plan[layer, UNITS], plan[layer, WEIGHT]
    read, written = plan[layer, READ] * width, plan[layer, WRITTEN] * width
    own = chain.parts[layer, OUTPUTS]
    for k in range(1, own[0] + 1):
        first, count = own[k], own[k + 1] - own[k]
        gemm(
            chain.blas, TRANSPOSED, AS_IS, count, width, depth, chain.parameters, weight + first,
            units, work, read, width, work, written + first * width, width,
        )  # fmt: skip
    first, last = own[1], own[own[0] + 1]
    y = work[written + first * width : written + last * width]
    activate(y, plan[layer, ACTIVATION], chain.options[layer, 0])
    if plan[layer, MASK] >= 0 and last > first:
        start = plan[layer, DRAWS] * rows
        drop(
            rows_of(work, plan[layer, WRITTEN] + first, last - first, width),
            draws[start : start + units * rows].reshape(rows, units)[:, first:last],
            chain.options[layer, 1],
            rows_of(work, plan[layer, MASK] + first, last - first, width),
            rows_of(work, plan[layer + 1, READ] + first, last - first, width),
        )


@inlined
def _differentiate(chain: _Chain, here: int, there: int, layer: int) -> None:
    """Write the gradient of own inputs, before the activation of the layer that made them."""
    units, weight = chain.plan[layer, UNITS], chain.plan[layer, WEIGHT]
    work, width = chain.work, chain.width
    own = chain.parts[layer, INPUT_GRADIENT]
    for k in range(1, own[0] + 1):
        first, count = own[k], own[k + 1] - own[k]
        gemm(
            chain.blas, AS_IS, AS_IS, count, width, units, chain.parameters, weight + first * units,
            units, work, here, width, work, there + first * width, width,
        )  # fmt: skip
    _differentiate_activation(chain, there, layer - 1, own[1], own[own[0] + 1])


@inlined
def _differentiate_activation(chain: _Chain, place: int, layer: int, first: int, last: int) -> None:
    """Replace the gradient of some outputs of a layer by that before dropout and activation."""
    plan, work, begin, end = chain.plan, chain.work, first * chain.width, last * chain.width
    dz = work[place + begin : place + end]
    if plan[layer, MASK] >= 0:
        mask = plan[layer, MASK] * chain.width
        multiply(dz, work[mask + begin : mask + end])
    y = plan[layer, WRITTEN] * chain.width
    activate_backward(
        dz, work[y + begin : y + end], plan[layer, ACTIVATION], chain.options[layer, 0]
    )


@inlined
def _weight_gradient(chain: _Chain, here: int, layer: int) -> None:
    """Write own rows of the gradient of a weight, with the bias below."""
    units, weight, width = chain.plan[layer, UNITS], chain.plan[layer, WEIGHT], chain.width
    own, read = chain.parts[layer, WEIGHT_GRADIENT], chain.plan[layer, READ] * width
    for k in range(1, own[0] + 1):
        first, count = own[k], own[k + 1] - own[k]
        gemm(
            chain.blas, AS_IS, TRANSPOSED, count, units, width, chain.work, read + first * width,
            width, chain.work, here, width, chain.gradient, weight + first * units, units,
        )  # fmt: skip


@inlined
def _update(chain: _Chain, rate: float, count: int, layer: int) -> None:
    """Change own rows of a weight by their gradient, which is still in the cache."""
    own, units = chain.parts[layer, WEIGHT_GRADIENT], chain.plan[layer, UNITS]
    weight, settings = chain.plan[layer, WEIGHT], chain.settings
    begin, end = weight + own[1] * units, weight + own[own[0] + 1] * units
    bias = max(min(weight + chain.plan[layer, FEATURES] * units, end), begin)
    p, g = chain.parameters[begin:end], chain.gradient[begin:end]
    m, v = chain.first[begin:end], chain.second[begin:end]
    weights = p[: bias - begin]
    l1, l2, value, decay = settings[1], settings[2], settings[4], settings[5]
    if l1 > 0 or l2 > 0:
        penalize(weights, g[: bias - begin], l1, l2)
    if value > 0:
        clip(g, 0.0, value)
    if decay > 0:
        kept = p.dtype.type(1 - rate * decay)
        for k in range(weights.size):
            weights[k] *= kept
    update(p, g, m, v, chain.codes[1], settings[7:], rate, count)
    if count % int(settings[6]) == 0:
        clear_tiny(m)
        clear_tiny(v)


@compiled
def steps(
    index: int,
    reached: Array,
    yield_core: int,
    parts: Array,
    blas: Array,
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
    """Make a step on each batch of `order`, all of the same size; return how many were made.

    This is the `index`-th of the threads that `reached` has, see `wait`; `yield_core` is the
    address of a function that lets others have the core. Its `parts` `(layers, 3, …)` are, for each
    product of a layer, how many blocks of rows of the result it computes, and where these begin and
    the last ends. `blas` describes the products, see `gemm`. The others are as in `chain.steps`;
    gradients are not limited by their norm, for which all of them would have to be known.
    """
    threads, layers, features = reached.shape[0] - 1, plan.shape[0], x.shape[1]
    rows, units = min(batch, order.size), plan[-1, UNITS]
    width = work.size // (places[TARGETS] + units)
    chain = _Chain(
        parts, blas, plan, options, codes, settings, parameters, gradient, first, second, work,
        width,
    )  # fmt: skip
    drawn = draws.size // max(order.size, 1)
    filled, own = np.empty(width, order.dtype), np.empty(width, order.dtype)
    begin, end = features * index // threads, features * (index + 1) // threads
    if index == 0:
        for layer in range(layers):
            if plan[layer, INPUTS] > plan[layer, FEATURES]:
                rows_of(work, plan[layer, READ] + plan[layer, FEATURES], 1, width)[:] = 1
    for step in range(losses.size):
        start = step * rows
        for b in range(width):
            filled[b] = order[start + b if b < rows else start]
        gather(x[:, begin:end], filled, rows_of(work, begin, end - begin, width))
        z = rows_of(work, plan[-1, WRITTEN], units, width)
        dz = rows_of(work, places[GRADIENT], units, width)
        scratch = rows_of(work, places[SCRATCH], SCRATCH_ROWS, width)
        factors = rows_of(work, places[FACTORS], 1, width)[0]
        t = rows_of(work, places[TARGETS], units, width)
        if index == 0:
            take_targets(codes, labels, targets, weights, filled, rows, own, t, factors)
        own_draws = draws[start * drawn : (start + rows) * drawn]
        for layer in range(layers):
            if not wait(reached, index, yield_core):
                return -1
            _forward(chain, own_draws, rows, layer)
        if not wait(reached, index, yield_core):
            return -1
        if index == 0:
            if scores.size:
                write_scores(z, scores[start : start + rows])
            losses[step] = loss_of(codes, settings[0], z, dz, own, t, factors, scratch, rows)
            _differentiate_activation(chain, places[GRADIENT] * width, layers - 1, 0, units)
        here, there = places[GRADIENT] * width, places[OTHER_GRADIENT] * width
        for layer in range(layers - 1, -2, -1):
            if not wait(reached, index, yield_core):
                return -1
            if not math.isfinite(losses[step]):
                return step
            for turn in range(2):  # half of the threads reads memory while the others multiply
                if turn == index % 2:
                    if layer < layers - 1:  # whose weight no thread needs any more
                        _update(chain, rates[step], count + step, layer + 1)
                else:
                    if layer > 0:
                        _differentiate(chain, here, there, layer)
                    if layer >= 0:
                        _weight_gradient(chain, here, layer)
            here, there = there, here
        if not wait(reached, index, yield_core):
            return -1
    return losses.size
