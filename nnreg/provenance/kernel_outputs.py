"""The outputs of each method of kernels for fixed inputs.

They are computed in the type of the network, because kernels may have loops for one type only. The
arrays are so small that those of float32 differ by less than the tolerance of fingerprints.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nnreg._types import Array
from nnreg._utils.threads import ThreadPool
from nnreg.interfaces.context import Workspace
from nnreg.interfaces.dense_chain import (
    ChainArrays,
    ChainLayer,
    ChainSteps,
    ChainTraining,
    DenseChain,
)
from nnreg.interfaces.kernels import Kernels
from nnreg.kernels.numpy.activations import ACTIVATIONS
from nnreg.kernels.windows import Windows
from nnreg.provenance.fixed_inputs import fixed_input

Output: TypeAlias = Callable[[Kernels, npt.DTypeLike], tuple[Array | float, ...]]

_WINDOWS = Windows((2, 2), (1, 1), (1, 1)), ((0, 1), (0, 1))
"""Windows of two by two pixels, and padding after each axis."""


def _x(dtype: npt.DTypeLike, *shape: int) -> Array:
    return fixed_input(shape).astype(dtype)


def _scratch(kernels: Kernels, dtype: npt.DTypeLike) -> Workspace:
    return Workspace(dtype, reuse=False, kernels=kernels)


def _matmul(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    return (kernels.matmul(_x(dtype, 3, 4), _x(dtype, 2, 4).T, np.zeros((3, 2), dtype)),)


def _sum_rows(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    out = np.zeros(6, dtype)
    kernels.sum_rows(_x(dtype, 2, 6), out, _scratch(kernels, dtype))
    return (out,)


def _add_bias(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    x = _x(dtype, 2, 6)
    kernels.add_bias(x, _x(dtype, 6), _scratch(kernels, dtype))
    return (x,)


def _relu(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    x, biased = _x(dtype, 2, 3), _x(dtype, 2, 3)
    kernels.relu(x, None, _scratch(kernels, dtype))
    kernels.relu(biased, _x(dtype, 3), _scratch(kernels, dtype))
    return x, biased


def _relu_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dy, y = _x(dtype, 2, 4), np.maximum(_x(dtype, 4, 2).reshape(2, 4)[::-1].copy(), 0)
    dx, dbias = np.zeros_like(dy), np.zeros(4, dtype)
    kernels.relu_backward(dy, y, dx, dbias, _scratch(kernels, dtype))
    return dx, dbias


def _activate(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    found, scratch = [], _scratch(kernels, dtype)
    for name in ACTIVATIONS:
        y = np.zeros((1, 2), dtype)
        kernels.activate(name, 0.5, _x(dtype, 1, 2), _x(dtype, 2), y, scratch)
        found.append(y)
    return tuple(found)


def _activate_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    found, scratch = [], _scratch(kernels, dtype)
    for name in ACTIVATIONS:
        dx, dbias = np.zeros((1, 2), dtype), np.zeros(2, dtype)
        kernels.activate_backward(name, 0.5, np.ones_like(dx), _x(dtype, 1, 2), dx, dbias, scratch)
        found.append(dx)
    return tuple(found)


def _softmax(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    x = _x(dtype, 2, 6)
    kernels.softmax(x, _scratch(kernels, dtype))
    return (x,)


def _softmax_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dy, y = _x(dtype, 2, 6), np.full((2, 6), 1 / 6, dtype)
    dx = np.zeros_like(dy)
    kernels.softmax_backward(dy, y, dx, _scratch(kernels, dtype))
    return (dx,)


def _softmax_cross_entropy(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array | float, ...]:
    z, labels = _x(dtype, 2, 5), np.array([3, 1])
    dz = np.zeros_like(z)
    value = kernels.softmax_cross_entropy(z, labels, dz, _scratch(kernels, dtype), smoothing=0.1)
    return value, dz


def _weighted_softmax_cross_entropy(
    kernels: Kernels, dtype: npt.DTypeLike
) -> tuple[Array | float, ...]:
    z, labels, weights = _x(dtype, 2, 5), np.array([3, 1]), np.array([0.5, 2.0], dtype)
    dz, scratch = np.zeros_like(z), _scratch(kernels, dtype)
    value = kernels.weighted_softmax_cross_entropy(z, labels, weights, dz, scratch, smoothing=0.1)
    return value, dz


def _adam(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    parameters, gradient, m = (np.ascontiguousarray(row) for row in _x(dtype, 3, 4))
    v = gradient**2
    scratch = _scratch(kernels, dtype)
    options = {"rate": 0.1, "beta1": 0.8, "beta2": 0.9, "epsilon": 0.01}
    kernels.adam(parameters, gradient, m, v, scratch, **options)
    return parameters, m, v


def _rms_prop(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    parameters, gradient = (np.ascontiguousarray(row) for row in _x(dtype, 2, 4))
    square, scratch = gradient**2, _scratch(kernels, dtype)
    kernels.rms_prop(parameters, gradient, square, scratch, rate=0.1, rho=0.8, epsilon=0.01)
    return parameters, square


def _momentum(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    found, scratch = [], _scratch(kernels, dtype)
    for nesterov in (False, True):
        p, g, velocity = (np.ascontiguousarray(row) for row in _x(dtype, 3, 4))
        kernels.momentum(p, g, velocity, scratch, rate=0.1, momentum=0.8, nesterov=nesterov)
        found += [p, velocity]
    return tuple(found)


def _im2col(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    columns = np.zeros((1, 2, 1, 2, 2, 2), dtype)
    kernels.im2col(_x(dtype, 1, 3, 2, 2), columns, (1, 1))
    return (columns,)


def _col2im(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    images = np.zeros((1, 3, 2, 2), dtype)
    kernels.col2im(_x(dtype, 1, 2, 1, 2, 2, 2), images, (1, 1))
    return (images,)


def _convolve(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    z, clipped = np.zeros((1, 3, 1, 2), dtype), np.zeros((1, 3, 1, 2), dtype)
    images, weight, bias = _x(dtype, 1, 3, 1, 1), _x(dtype, 2, 2, 1, 2), _x(dtype, 2)
    scratch = _scratch(kernels, dtype)
    kernels.convolve(images, weight, bias, z, *_WINDOWS, scratch)
    kernels.convolve(images, weight, None, clipped, *_WINDOWS, scratch, relu=True)
    return z, clipped


def _convolve_max_pool(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    y, scratch = np.zeros((1, 2, 1, 2), dtype), _scratch(kernels, dtype)
    images, weight, bias = _x(dtype, 1, 3, 1, 1), _x(dtype, 2, 2, 1, 2), _x(dtype, 2)
    kernels.convolve_max_pool(images, weight, bias, y, *_WINDOWS, (2, 1), (1, 1), scratch)
    return (y,)


def _convolve_weight_gradient(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dweight, scratch = np.zeros((2, 2, 1, 2), dtype), _scratch(kernels, dtype)
    images, dz = _x(dtype, 1, 3, 2, 1), _x(dtype, 1, 3, 2, 2)
    kernels.convolve_weight_gradient(images, dz, dweight, *_WINDOWS, scratch)
    return (dweight,)


def _convolve_input_gradient(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dimages, scratch = np.zeros((1, 3, 1, 1), dtype), _scratch(kernels, dtype)
    dz, weight = _x(dtype, 1, 3, 1, 2), _x(dtype, 2, 2, 1, 2)
    kernels.convolve_input_gradient(dz, weight, dimages, *_WINDOWS, scratch)
    return (dimages,)


def _max_pool(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    y = np.zeros((1, 2, 2, 2), dtype)
    kernels.max_pool(_x(dtype, 1, 3, 3, 2), y, (2, 2), (1, 1))
    return (y,)


def _max_pool_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    x, dy = _x(dtype, 1, 3, 2, 2), _x(dtype, 1, 2, 1, 2)
    y = np.maximum.reduce([x[:, i : i + 2, j : j + 1] for i in (0, 1) for j in (0, 1)])
    dx, scratch = np.zeros_like(x), _scratch(kernels, dtype)
    kernels.max_pool_backward(dy, x, y, dx, (2, 2), (1, 1), scratch)
    return (dx,)


def _layer_norm(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    x, scratch = _x(dtype, 2, 4), _scratch(kernels, dtype)
    y, rms, mean, scale, rms_scale = *np.zeros((2, 2, 4), dtype), *np.zeros((3, 2), dtype)
    gamma, beta = (np.ascontiguousarray(row) for row in _x(dtype, 2, 4)[::-1])
    kernels.layer_norm(x, gamma, beta, y, mean, scale, 0.01, scratch)
    kernels.layer_norm(x, gamma, None, rms, None, rms_scale, 0.01, scratch)
    return y, mean, scale, rms, rms_scale


def _layer_norm_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dy, x, gamma = _x(dtype, 2, 4), _x(dtype, 4, 2).reshape(2, 4)[::-1].copy(), _x(dtype, 4)
    outputs = dx, dgamma, dbeta = np.zeros_like(dy), np.zeros(4, dtype), np.zeros(4, dtype)
    of_rms = dx_of_rms, dgamma_of_rms = np.zeros_like(dy), np.zeros(4, dtype)
    mean, scale, scratch = _x(dtype, 2), np.array([0.5, 2], dtype), _scratch(kernels, dtype)
    kernels.layer_norm_backward(dy, x, gamma, mean, scale, dx, dgamma, dbeta, scratch)
    kernels.layer_norm_backward(dy, x, gamma, None, scale, dx_of_rms, dgamma_of_rms, None, scratch)
    return *outputs, *of_rms


def _column_moments(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    outputs = mean, squares = np.zeros((1, 2), dtype), np.zeros((1, 2), dtype)
    kernels.column_moments(_x(dtype, 1, 3, 2), mean, squares, _scratch(kernels, dtype))
    return outputs


def _normalize_columns(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    y, scratch = np.zeros((1, 3, 2), dtype), _scratch(kernels, dtype)
    mean, slope, shift = (np.ascontiguousarray(rows) for rows in _x(dtype, 3, 1, 2))
    kernels.normalize_columns(_x(dtype, 1, 3, 2), mean, slope, shift, y, scratch)
    return (y,)


def _column_products(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    outputs = total, products = np.zeros((1, 2), dtype), np.zeros((1, 2), dtype)
    dy, x = _x(dtype, 1, 3, 2), _x(dtype, 1, 2, 3).reshape(1, 3, 2)
    kernels.column_products(dy, x, _x(dtype, 1, 2), total, products, _scratch(kernels, dtype))
    return outputs


def _normalize_columns_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dy, x = _x(dtype, 1, 3, 2), _x(dtype, 1, 2, 3).reshape(1, 3, 2)
    dx, scratch = np.zeros_like(x), _scratch(kernels, dtype)
    mean, slope, change, shift = (np.ascontiguousarray(rows) for rows in _x(dtype, 4, 1, 2))
    kernels.normalize_columns_backward(dy, x, mean, slope, change, shift, dx, scratch)
    return (dx,)


def _lstm_steps(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    weights, below, states = _x(dtype, 3, 4), _x(dtype, 3, 3, 16), _x(dtype, 3, 5, 16)
    tanh_c, scratch = np.zeros((2, 1, 16), dtype), _scratch(kernels, dtype)
    kernels.lstm_steps(weights, below, states, tanh_c, below[1:, :1], None, scratch)
    return states, tanh_c, below


def _lstm_steps_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dh, dc = (np.ascontiguousarray(rows) for rows in _x(dtype, 2, 1, 16))
    weights, above, states = _x(dtype, 1, 4), _x(dtype, 2, 1, 16), np.tanh(_x(dtype, 2, 5, 16))
    tanh_c, dgates = np.tanh(_x(dtype, 2, 1, 16)), np.zeros((4, 2, 16), dtype)
    kernels.lstm_steps_backward(
        weights, above, dh, dc, states, tanh_c, dgates, None, None, _scratch(kernels, dtype)
    )
    return dgates, dh, dc


def _steps_gradient(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    below, gradient = _x(dtype, 2, 3, 2), np.zeros((4, 3), dtype)
    below[:, -1] = 1
    kernels.steps_gradient(below, _x(dtype, 4, 2, 2), gradient, _scratch(kernels, dtype))
    return (gradient,)


def _sum_by_index(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    out = np.zeros((3, 2), dtype)
    kernels.sum_by_index(_x(dtype, 4, 2), np.array([2, 0, 2, 2]), out)
    return (out,)


def _mean_by_index(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    y, index = np.zeros((2, 3), dtype), np.array([[2, 0], [1, 1]])
    kernels.mean_by_index(_x(dtype, 3, 3), index, y, _scratch(kernels, dtype))
    return (y,)


def _mean_by_index_backward(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    dtable, index = np.zeros((3, 2), dtype), np.array([[2, 0], [2, 2]])
    kernels.mean_by_index_backward(_x(dtype, 2, 2), index, dtable, _scratch(kernels, dtype))
    return (dtable,)


def _chain_steps(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    return _of_steps(kernels.chain_steps, dtype)


def _threaded_chain_steps(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    return _of_steps(partial(kernels.threaded_chain_steps, pool=ThreadPool(1)), dtype)


def _of_steps(
    make: Callable[[DenseChain, ChainTraining, ChainArrays], ChainSteps | None],
    dtype: npt.DTypeLike,
) -> tuple[Array, ...]:
    """Return the losses of two steps and the parameters; nothing if the kernels have no steps."""
    from nnreg.builtin.activations import Identity, Relu
    from nnreg.builtin.losses import MeanSquaredError
    from nnreg.builtin.optimizers import Sgd

    layers = ChainLayer(2, 3, 0, 6, Relu()), ChainLayer(3, 2, 9, 15, Identity())
    training = ChainTraining(MeanSquaredError(), False, Sgd(0.1), 2)
    parameters, gradient, velocity = (np.ascontiguousarray(row) for row in _x(dtype, 3, 17))
    x, targets = _x(dtype, 4, 2), _x(dtype, 4, 2)[::-1].copy()
    state = {"velocity": velocity}
    arrays = ChainArrays(x, targets, None, parameters, gradient, state)
    steps = make(DenseChain(layers, None, 17), training, arrays)
    if steps is None:
        return ()
    losses, draws, no_scores = np.zeros(2), np.zeros(0, np.float32), np.zeros((0, 0), dtype)
    steps(np.arange(4), draws, np.array([0.1, 0.2]), 1, losses, no_scores)
    return losses, parameters, gradient


def _chain_outputs(kernels: Kernels, dtype: npt.DTypeLike) -> tuple[Array, ...]:
    """Return the outputs of a chain for two rows; nothing if the kernels have none."""
    from nnreg.builtin.activations import Identity, Softmax, Tanh

    layers = ChainLayer(2, 3, 0, 6, Tanh()), ChainLayer(3, 2, 9, None, Identity())
    outputs = kernels.chain_outputs(DenseChain(layers, Softmax(), 15), _x(dtype, 15))
    found = None if outputs is None else outputs(_x(dtype, 2, 2))
    return () if found is None else (found,)


OUTPUTS: Mapping[str, Output] = {
    "matmul": _matmul,
    "sum_rows": _sum_rows,
    "add_bias": _add_bias,
    "relu": _relu,
    "relu_backward": _relu_backward,
    "activate": _activate,
    "activate_backward": _activate_backward,
    "softmax": _softmax,
    "softmax_backward": _softmax_backward,
    "softmax_cross_entropy": _softmax_cross_entropy,
    "weighted_softmax_cross_entropy": _weighted_softmax_cross_entropy,
    "adam": _adam,
    "rms_prop": _rms_prop,
    "momentum": _momentum,
    "im2col": _im2col,
    "col2im": _col2im,
    "convolve": _convolve,
    "convolve_max_pool": _convolve_max_pool,
    "convolve_weight_gradient": _convolve_weight_gradient,
    "convolve_input_gradient": _convolve_input_gradient,
    "max_pool": _max_pool,
    "max_pool_backward": _max_pool_backward,
    "layer_norm": _layer_norm,
    "layer_norm_backward": _layer_norm_backward,
    "column_moments": _column_moments,
    "normalize_columns": _normalize_columns,
    "column_products": _column_products,
    "normalize_columns_backward": _normalize_columns_backward,
    "lstm_steps": _lstm_steps,
    "lstm_steps_backward": _lstm_steps_backward,
    "steps_gradient": _steps_gradient,
    "sum_by_index": _sum_by_index,
    "mean_by_index": _mean_by_index,
    "mean_by_index_backward": _mean_by_index_backward,
    "chain_steps": _chain_steps,
    "threaded_chain_steps": _threaded_chain_steps,
    "chain_outputs": _chain_outputs,
}
"""For each method of `Kernels`, a function that returns what the method writes and returns."""


@dataclass(frozen=True)
class RecordingKernels(Kernels):
    """NumPy's kernels, which record the names of the methods that are called.

    The arrays are small; those of the network may be large enough for every method.
    """

    min_activated_values = 0

    called: set[str] = field(default_factory=set)

    def __getattribute__(self, name: str) -> Any:
        """Return an attribute, as always."""
        if name in OUTPUTS:
            self.called.add(name)
        return super().__getattribute__(name)

    def matmul(self, a: Array, b: Array, out: Array) -> Array:
        """Multiply as always; without this method, a workspace would not call it."""
        return super().matmul(a, b, out)
