"""Chains of dense layers by Numba's loops: which components these have, in training and not."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from nnreg._types import Array
from nnreg.builtin.activations import Identity, LeakyRelu, Relu, Sigmoid, Softmax, Tanh
from nnreg.builtin.losses import (
    BinaryCrossEntropy,
    CrossEntropy,
    Huber,
    MeanAbsoluteError,
    MeanSquaredError,
)
from nnreg.builtin.optimizers import Adam, AdamW, RmsProp, Sgd
from nnreg.interfaces.dense_chain import (
    ChainArrays,
    ChainLayer,
    ChainOutputs,
    ChainSteps,
    ChainTraining,
    DenseChain,
)
from nnreg.kernels.numba.chain_codes import (
    ADAM,
    ADAMW,
    FACTORS,
    GRADIENT,
    MOMENTUM,
    NESTEROV,
    OTHER_GRADIENT,
    RMSPROP,
    SCRATCH,
    SCRATCH_ROWS,
    SGD,
    TARGETS,
)

ACTIVATIONS = (Identity, Relu, LeakyRelu, Tanh, Sigmoid)
LOSSES = (CrossEntropy, BinaryCrossEntropy, MeanSquaredError, MeanAbsoluteError, Huber)
"""The classes by their numbers in `chain_codes`."""

LOGITS = (CrossEntropy, BinaryCrossEntropy)
"""The losses that are computed from logits; there are no loops for them otherwise."""

ALIGNMENT = 64


def compiled_steps(
    chain: DenseChain, training: ChainTraining, arrays: ChainArrays
) -> ChainSteps | None:
    """Return the steps of a chain; None if there are no loops for one of its components."""
    if not has_loops(chain, training, arrays.x, arrays.targets):
        return None
    return Steps(chain, training, arrays)


def has_loops(chain: DenseChain, training: ChainTraining, x: Array, targets: Array) -> bool:
    """Return whether there are loops for all components of a chain, and for its examples."""
    loss, kinds = training.loss, [type(layer.activation) for layer in chain.layers]
    if _optimizer(training.optimizer) is None or any(kind not in ACTIVATIONS for kind in kinds):
        return False
    if chain.layers[-1].dropout or not all(map(_bias_follows, chain.layers)):
        return False
    if type(loss) not in LOSSES or training.logits != (type(loss) in LOGITS):
        return False
    labels = targets.dtype.kind in "iu"
    return labels == isinstance(loss, CrossEntropy) and x.dtype in ("f4", "f8")


def compiled_outputs(chain: DenseChain, parameters: Array) -> ChainOutputs | None:
    """Return the outputs of a chain; None if there are no loops for one of its activations."""
    last = chain.output_activation or Identity()
    softmax = type(last) is Softmax
    activations = [*(layer.activation for layer in chain.layers), Identity() if softmax else last]
    if any(type(one) not in ACTIVATIONS for one in activations):
        return None
    codes = [ACTIVATIONS.index(type(one)) for one in activations]
    plan = [
        [one.features, one.units, one.weight, -1 if one.bias is None else one.bias, code]
        for one, code in zip(chain.layers, codes, strict=False)
    ]
    plan.append([0, 0, 0, 0, codes[-1]])
    options = [getattr(one, "slope", 0.0) for one in activations]
    arguments = np.array(plan), np.array(options), softmax, parameters
    loop, units, dtype = _outputs(), chain.units, parameters.dtype

    def outputs(x: Array) -> Array | None:
        if not x.flags.writeable:  # another type for Numba, which would compile again
            x = x.copy()
        out = np.empty((len(x), units), dtype)
        return out if loop(*arguments, x, out) else None

    return outputs


@functools.cache
def _outputs() -> Any:
    from nnreg.kernels.numba.chain_outputs import outputs

    return outputs


def _bias_follows(layer: ChainLayer) -> bool:
    """Return whether a bias is one more row of the weight in the vector of parameters."""
    return layer.bias in (None, layer.weight + layer.features * layer.units)


def _optimizer(optimizer: Any) -> tuple[int, Sequence[str], Sequence[float]] | None:
    """Return the code of an optimizer, the names of its vectors, and its options."""
    kind = type(optimizer)
    if kind is Sgd:
        with_momentum = NESTEROV if optimizer.nesterov else MOMENTUM
        code = with_momentum if optimizer.momentum else SGD
        return code, ["velocity"], [optimizer.momentum]
    if kind is RmsProp:
        return RMSPROP, ["square"], [optimizer.rho, optimizer.epsilon]
    if kind in (Adam, AdamW):
        options = [optimizer.beta1, optimizer.beta2, optimizer.epsilon]
        decay = getattr(optimizer, "weight_decay", 0.0)
        return (ADAM if kind is Adam else ADAMW), ["m", "v"], [*options, decay]
    return None


class Steps:
    """Steps of a chain for which there are loops: the arguments that stay the same."""

    def __init__(self, chain: DenseChain, training: ChainTraining, arrays: ChainArrays) -> None:
        dtype, code = arrays.x.dtype, LOSSES.index(type(training.loss))
        empty = np.empty(0, dtype)
        labels = arrays.targets.dtype.kind == "i"
        option = getattr(training.loss, "label_smoothing", getattr(training.loss, "delta", 0.0))
        optimizer = _optimizer(training.optimizer)
        assert optimizer is not None, "there are loops for it"
        number, names, options = optimizer
        settings = [
            option,
            training.l1,
            training.l2,
            training.clip_norm or 0.0,
            training.clip_value or 0.0,
            training.weight_decay,
            training.cleared_every,
            *options,
        ]
        plan, places, of_layers, rows = _plan(chain)
        states = [arrays.state[name] for name in names]
        self._rows = rows
        self._examples = (
            plan,
            places,
            of_layers,
            np.array([code, number]),
            np.array(settings),
            training.batch_size,
            arrays.x,
            arrays.targets if labels else np.empty(0, np.int64),
            empty.reshape(0, 0) if labels else arrays.targets,
            empty if arrays.weights is None else arrays.weights,
        )
        self._vectors = arrays.parameters, arrays.gradient, states[0], states[-1]
        width = self._width(min(training.batch_size, len(arrays.x)))
        self._work = _aligned(rows * width, dtype)

    def _width(self, batch: int) -> int:
        """Return the columns for a batch, whole vectors of the processor."""
        vector = ALIGNMENT // self._vectors[0].itemsize
        return -(-batch // vector) * vector

    def __call__(
        self, order: Array, draws: Array, rates: Array, count: int, losses: Array, scores: Array
    ) -> int:
        done: int = _loop()(
            *self._examples, order, draws, *self._vectors, rates, count, losses, scores, self._work
        )
        return done


@functools.cache
def _loop() -> Any:
    from nnreg.kernels.numba.chain import steps

    return steps


class _Layout:
    """Gives away the rows of an array, one place after the other."""

    rows = 0

    def add(self, count: int) -> int:
        """Return where the next place, of `count` rows, begins."""
        self.rows += count
        return self.rows - count


def _plan(chain: DenseChain) -> tuple[Array, Array, Array, int]:
    """Return the plan of a chain, its places, its options, and how many rows it works on.

    The layers' outputs have a row more, of ones, for the bias of the next layer.
    """
    plan, options, layout, draws = list[list[int]](), list[list[float]](), _Layout(), 0
    read = layout.add(chain.features + 1)
    for layer in chain.layers:
        written = next_read = layout.add(layer.units + 1)
        mask = -1
        if layer.dropout:
            mask, next_read = layout.add(layer.units), layout.add(layer.units + 1)
        plan.append([
            layer.features + (layer.bias is not None),
            layer.features,
            layer.units,
            layer.weight,
            ACTIVATIONS.index(type(layer.activation)),
            read,
            written,
            mask,
            draws,
        ])  # fmt: skip
        options.append([getattr(layer.activation, "slope", 0.0), layer.dropout])
        draws += layer.units if layer.dropout else 0
        read = next_read
    widest = max(layer.units for layer in chain.layers)
    sizes = {
        GRADIENT: widest,
        OTHER_GRADIENT: widest,
        SCRATCH: SCRATCH_ROWS,
        FACTORS: 1,
        TARGETS: chain.units,
    }
    places = [layout.add(sizes[place]) for place in range(len(sizes))]
    return np.array(plan), np.array(places), np.array(options), layout.rows


def _aligned(size: int, dtype: np.dtype[Any]) -> Array:
    """Return a vector that begins where a vector register's values do in memory."""
    raw = np.zeros(size * dtype.itemsize + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    found: Array = raw[start : start + size * dtype.itemsize].view(dtype)
    return found
