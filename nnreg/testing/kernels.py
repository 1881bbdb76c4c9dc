"""The conformance checks of kernels: built-in components give the same results as with NumPy's."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nnreg._types import Array, Shape
from nnreg.builtin.activations import Gelu, LeakyRelu, Mish, Relu, Silu, Softmax
from nnreg.builtin.layers.attention import MultiHeadAttention
from nnreg.builtin.layers.convolution import Conv1d, Conv2d, Conv3d
from nnreg.builtin.layers.dense import ActivationLayer, Dense
from nnreg.builtin.layers.embedding import Embedding
from nnreg.builtin.layers.group_normalization import GroupNorm, InstanceNorm
from nnreg.builtin.layers.lstm import Lstm
from nnreg.builtin.layers.normalization import BatchNorm, LayerNorm
from nnreg.builtin.layers.pooling import MaxPool1d, MaxPool2d, MaxPool3d
from nnreg.builtin.layers.row_normalization import RmsNorm
from nnreg.builtin.losses import CrossEntropy
from nnreg.builtin.optimizers import Adam, RmsProp, Sgd
from nnreg.interfaces.context import Context, Workspace
from nnreg.interfaces.kernels import Kernels
from nnreg.interfaces.layer import Layer
from nnreg.interfaces.optimizer import Optimizer, UpdateState
from nnreg.kernels.numpy.dense import MAX_NARROW_FEATURES
from nnreg.kernels.windows import Amounts, Windows
from nnreg.testing.assertions import close
from nnreg.testing.chains import compare_chains, compare_outputs
from nnreg.testing.finite_differences import points
from nnreg.testing.layer_masks import MaskedPass
from nnreg.testing.layer_pass import LayerCase, Pass
from nnreg.testing.threads import threads

LAYERS: tuple[tuple[Layer, Shape], ...] = (
    (Dense(3, Relu()), (5,)),
    (Dense(4, Gelu()), (5,)),
    (Dense(4, Gelu(exact=True)), (5,)),
    (Dense(4, Silu()), (5,)),
    (ActivationLayer(Mish()), (5,)),
    (ActivationLayer(LeakyRelu(0.3)), (5,)),
    (ActivationLayer(Relu()), (5,)),
    (Dense(4, Softmax()), (5,)),
    (Dense(MAX_NARROW_FEATURES + 1, Softmax()), (5,)),
    (Conv2d(3), (6, 5, 2)),
    (Conv2d(3, (2, 3), (2, 1), "same", Relu()), (6, 5, 2)),
    (Conv2d(33, (3, 1), padding="same", dilation=2, activation=Relu()), (5, 6, 5)),
    (Conv1d(3, stride=2), (6, 2)),
    (Conv3d(2, 2, padding=1), (2, 3, 3, 2)),
    (MaxPool1d(3, 1), (6, 3)),
    (MaxPool2d(), (6, 5, 3)),
    (MaxPool2d((3, 2), (1, 2)), (6, 5, 3)),
    (MaxPool3d(), (5, 4, 4, 2)),
    (LayerNorm(), (33,)),
    (RmsNorm(), (33,)),
    (BatchNorm(), (33,)),
    (BatchNorm(), (6, 5, 3)),
    (GroupNorm(2), (6, 5, 4)),
    (InstanceNorm(), (6, 5, 3)),
    (Embedding(4, 6), (5,)),
    (Lstm(4, sequences=True), (3, 2)),
    (Lstm(4, projection=2), (3, 2)),
    (MultiHeadAttention(2), (3, 4)),
)
"""Layers that use kernels, narrow and wide, with the shapes of their inputs."""

MASKED_LAYERS: tuple[tuple[Layer, Shape], ...] = (
    (LayerNorm(), (3, 33)),
    (RmsNorm(), (3, 33)),
    (BatchNorm(), (3, 4)),
    (GroupNorm(2), (3, 4)),
    (Lstm(4), (3, 2)),
    (Lstm(4, sequences=True), (3, 2)),
    (MultiHeadAttention(2), (3, 4)),
    (MultiHeadAttention(2, causal=True), (3, 4)),
)
"""Layers that use kernels and take sequences of different lengths."""

RECURRENT_ROWS = 17
"""A batch of more sequences than there are numbers in a vector of a processor."""

LENGTHS = np.array([3, 1, 0, 2])

TOLERANCES: tuple[tuple[npt.DTypeLike, float], ...] = ((np.float64, 1e-12), (np.float32, 1e-5))


def layers(kernels: Kernels) -> None:
    """The built-in layers give the same results as with NumPy's, forward and backward."""
    for layer, size in LAYERS:
        rows = RECURRENT_ROWS if isinstance(layer, Lstm) else 3
        x = np.arange(15).reshape(3, 5) % 4 if layer.integer_input else points((rows, *size))
        for dtype, tolerance in TOLERANCES:
            plain, tried = (
                Pass(LayerCase(layer, x), dtype=dtype, kernels=k) for k in (Kernels(), kernels)
            )
            _compare(kernels, plain, tried, f"of {layer} in {np.dtype(dtype)}", tolerance)


def masked_layers(kernels: Kernels) -> None:
    """Layers of sequences of different lengths give the same results as with NumPy's."""
    for layer, size in MASKED_LAYERS:
        case = LayerCase(layer, points((4, *size)))
        for dtype, tolerance in TOLERANCES:
            plain, tried = (
                MaskedPass(case, {"0": LENGTHS}, dtype=dtype, kernels=k)
                for k in (Kernels(), kernels)
            )
            _compare(
                kernels, plain, tried, f"of {layer} with a mask in {np.dtype(dtype)}", tolerance
            )


def means(kernels: Kernels) -> None:
    """The means of rows of a table, and their gradient, agree with NumPy's."""
    for (batch, count, features), (dtype, tolerance) in itertools.product(
        ((3, 1, 1), (4, 7, 33)), TOLERANCES
    ):
        index = np.arange(batch * count).reshape(batch, count) * 3 % 8
        found = []
        for k in (Kernels(), kernels):
            scratch = Workspace(dtype, reuse=False, kernels=k)
            table, dy = (points((rows, features)).astype(dtype) for rows in (8, batch))
            y, dtable = np.empty_like(dy), np.empty_like(table)
            k.mean_by_index(table, index, y, scratch)
            k.mean_by_index_backward(dy, index, dtable, scratch)
            found.append((y, dtable))
        (y, dtable), (y_found, dtable_found) = found
        what = f"of {count} rows of {features} features, in {np.dtype(dtype)}"
        close(kernels, f"the mean {what}", y_found, y, tolerance)
        close(kernels, f"the gradient of the mean {what}", dtable_found, dtable, tolerance)


def losses(kernels: Kernels) -> None:
    """The cross-entropy of logits agrees with NumPy's, with few and with many classes."""
    for classes, smoothing in itertools.product((4, MAX_NARROW_FEATURES + 1), (0.0, 0.3)):
        for dtype, tolerance in TOLERANCES:
            z, labels = points((9, classes)).astype(dtype), np.arange(9) % classes
            for weights in (None, np.arange(9, dtype=dtype) / 4):
                (value, dz), (found, dz_found) = (
                    _loss(k, CrossEntropy(smoothing), z, labels, weights)
                    for k in (Kernels(), kernels)
                )
                what = f"of {classes} classes, with smoothing {smoothing}, in {np.dtype(dtype)}"
                what += "" if weights is None else ", with weights"
                close(kernels, f"the loss {what}", np.array(found), np.array(value), tolerance)
                close(kernels, f"the gradient {what}", dz_found, dz, tolerance)


OPTIMIZERS = (
    Adam(0.01),
    RmsProp(0.01, rho=0.999),
    Sgd(0.01, momentum=0.8),
    Sgd(0.01, momentum=0.8, nesterov=True),
)
"""Optimizers that use kernels."""


def optimizers(kernels: Kernels) -> None:
    """Steps of optimizers, and their state, agree with NumPy's, also if g² would overflow."""
    for (dtype, tolerance), size in itertools.product(TOLERANCES, (1.0, 1e20)):
        for optimizer in OPTIMIZERS:
            found, expected = (_trained(k, optimizer, dtype, size) for k in (kernels, Kernels()))
            for name, values in expected.items():
                what = f"{name} of {optimizer}, gradients of up to {size:g} in {np.dtype(dtype)}"
                close(kernels, what, found[name], values, tolerance)


def chains(kernels: Kernels) -> None:
    """Steps and outputs of a chain of layers in one call, if there are any, are those of NumPy."""
    for dtype, tolerance in TOLERANCES:
        compare_chains(kernels, dtype, tolerance)
        compare_outputs(kernels, dtype, tolerance)


POOLED: tuple[tuple[Shape, int, Amounts], ...] = (
    ((6, 7, 3), 5, ((0, 0), (0, 0))),
    ((6, 7, 16), 16, ((1, 1), (1, 1))),
)
"""Images, filters and padding of convolutions that are pooled."""


def pooled_convolutions(kernels: Kernels) -> None:
    """A convolution and the pooling after it are those of NumPy."""
    windows = Windows((3, 3), (1, 1), (1, 1))
    for (shape, filters, padding), (dtype, tolerance) in itertools.product(POOLED, TOLERANCES):
        images, weight = points((3, *shape)), points((3, 3, shape[-1], filters), seed=1)
        bias, (height, width) = points((filters,), seed=2), windows.count(shape[:2])
        (above, below), (left, right) = padding
        out = (height + above + below) // 2, (width + left + right) // 2
        images, weight, bias = (one.astype(dtype) for one in (images, weight, bias))
        found = []
        for one in (Kernels(), kernels):
            y = np.zeros((3, *out, filters), dtype)
            scratch = Workspace(dtype, reuse=False, kernels=one)
            one.convolve_max_pool(
                images, weight, bias, y, windows, padding, (2, 2), (2, 2), scratch
            )
            found.append(y)
        what = f"a pooled convolution of {shape} in {np.dtype(dtype)}"
        close(kernels, what, found[1], found[0], tolerance)


CHECKS = (
    layers, masked_layers, means, losses, optimizers, chains, pooled_convolutions, threads
)  # fmt: skip


def checks_of(cls: type[Kernels]) -> Sequence[Any]:
    """Return the checks that apply to this class."""
    return CHECKS


def cases(kernels: Kernels) -> Sequence[Kernels]:
    """Return the arguments of the checks."""
    return [kernels]


def _compare(kernels: Kernels, plain: Pass, tried: Pass, what: str, tolerance: float) -> None:
    """Require the same results of a layer with two kernels."""
    (y, dx), (found, dx_found) = plain.run(), tried.run()
    close(kernels, f"the output {what}", found, y, tolerance)
    close(kernels, f"the gradient {what}", tried.gradient, plain.gradient, tolerance)
    if dx is not None and dx_found is not None:
        close(kernels, f"the input's gradient {what}", dx_found, dx, tolerance)


def _loss(
    kernels: Kernels, loss: CrossEntropy, z: Array, labels: Array, weights: Array | None
) -> tuple[float, Array]:
    context = Context({}, {}, {}, {}, Workspace(z.dtype, reuse=False, kernels=kernels))
    if weights is None:
        value, backward = loss.forward_with_workspace(z.copy(), labels, context, logits=True)
    else:
        value, backward = loss.forward_weighted(z.copy(), labels, weights, context, logits=True)
    return value, backward().copy()


def _trained(
    kernels: Kernels, optimizer: Optimizer, dtype: npt.DTypeLike, size: float
) -> dict[str, Array]:
    """Return the parameters and the state after three steps of an optimizer."""
    parameters = points((99,)).astype(dtype)
    vectors = {name: np.zeros_like(parameters) for name in optimizer.state_names}
    for count in (1, 2, 3):
        state = UpdateState(count, vectors, Workspace(dtype, reuse=False, kernels=kernels))
        gradient = size * points((99,), seed=count)
        optimizer.update(parameters, gradient.astype(dtype), state)
    return {"a parameter": parameters, **vectors}
